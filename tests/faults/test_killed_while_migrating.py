"""DELHI dies by SIGKILL while MIGRATE STGPOOL moves to TOKYO; nothing is lost, and a second run completes.

Every other step is tried in `tests/unit/processes/test_migrate.py`, where dying costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.two_servers import farvault_admin
from tests.grid.grid_server import GridServer
from tests.grid.server_process import ServerProcess
from tests.grid.vaults import file_bytes, make_source, make_target, restored, store_files

from farvault.catalog import audit, nouns, placements
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

SEEDS = tuple(range(20))
MIB = 1 << 20
MIGRATE = "migrate stgpool diskpool lowmig=0 wait=yes"

pytestmark = pytest.mark.slow


@pytest.fixture
def tokyo(tmp_path: Path) -> Iterator[GridServer]:
    server = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    make_target(server, "DELHI")
    yield server
    server.stop()


@pytest.fixture
def delhi(tmp_path: Path, tokyo: GridServer) -> Iterator[GridServer]:
    server = GridServer("DELHI", str(tmp_path / "delhi")).start()
    make_source(server, tokyo)
    server.admin("define stgpool targetpool targetclass maxscratch=100")
    server.admin("define stgpool diskpool disk nextstgpool=targetpool highmig=100 lowmig=0 cache=yes")
    server.admin(f"define volume diskpool {server.folder}/disk.dsm formatsize=40 wait=yes")
    yield server
    server.stop()


def placed(delhi: GridServer, pool_name: str) -> list[int]:
    """Aggregates that lie in a pool."""
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, pool_name)
        volumes = nouns.select(r, Volume, pool_id=pool.id)
        return [row.aggregate_id for one in volumes for row in placements.on_volume(r, one.id)]


def is_whole(delhi: GridServer, ids: list[int]) -> bool:
    with delhi.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []
    return restored(delhi, ids) == {
        number: file_bytes(seed, MIB) for number, seed in zip(ids, SEEDS, strict=True)
    }


@pytest.mark.parametrize(
    "crash_at",
    [
        "virtual_volume.commit.before_close#1",
        "virtual_volume.commit.after_receipt#2",
        "copy.window.before_catalog#1",
        "migrate.leave.before#1",
        "migrate.leave.after#1",
        "copy.window.after_catalog#1",
    ],
)
def test_killed_while_it_migrates_nothing_is_lost_and_it_completes_the_next_time(
    delhi: GridServer, crash_at: str
) -> None:
    ids = store_files(delhi, *SEEDS, pool="DISKPOOL")
    before = sorted(placed(delhi, "DISKPOOL"))
    delhi.stop()
    running = ServerProcess(delhi.folder, FARVAULT_CRASH_AT=crash_at)
    try:
        assert running.port, running.lines
        farvault_admin(delhi.folder, MIGRATE)
        assert running.process.wait(30) == -9, "it never came by there"
    finally:
        running.kill()
    delhi.start()
    assert is_whole(delhi, ids)
    assert sorted(placed(delhi, "DISKPOOL") + placed(delhi, "TARGETPOOL")) == before, "each in one pool"
    delhi.admin(MIGRATE)
    assert placed(delhi, "DISKPOOL") == [] and sorted(placed(delhi, "TARGETPOOL")) == before
    assert is_whole(delhi, ids), "from the cache"
    delhi.admin(f"vary offline {delhi.folder}/disk.dsm wait=yes")
    assert is_whole(delhi, ids), "from TOKYO"
