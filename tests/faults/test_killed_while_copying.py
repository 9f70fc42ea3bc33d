"""DELHI dies by SIGKILL at every step of BACKUP STGPOOL and of RESTORE VOLUME; a second run completes, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.two_servers import farvault_admin
from tests.grid.grid_server import GridServer
from tests.grid.server_process import ServerProcess
from tests.grid.vaults import file_bytes, make_source, make_target, restored, store_files
from tests.patience import PATIENCE_SECONDS

from farvault.catalog import audit, nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

SEEDS = tuple(range(30))
MIB = 1 << 20
COPY = "backup stgpool tapepool targetcopypool wait=yes"

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
    yield server
    server.stop()


def killed(delhi: GridServer, crash_at: str, command: str) -> None:
    """Run the command in a process of its own that dies at the label; DELHI runs again afterwards."""
    delhi.stop()
    running = ServerProcess(delhi.folder, FARVAULT_CRASH_AT=crash_at)
    try:
        assert running.port, running.lines
        farvault_admin(delhi.folder, command)
        assert running.process.wait(PATIENCE_SECONDS) == -9, "it never came by there"
    finally:
        running.kill()
    delhi.start()


def lose_tapes(delhi: GridServer) -> None:
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")


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
        "volume.scratch.before_create#2",
        "virtual_volume.commit.before_close#1",
        "virtual_volume.commit.after_receipt#1",
        "virtual_volume.commit.before_close#3",
        "virtual_volume.commit.after_receipt#3",
        "copy.window.before_catalog#1",
        "copy.window.after_catalog#1",
    ],
)
def test_a_source_killed_while_it_copies_completes_the_next_time(delhi: GridServer, crash_at: str) -> None:
    ids = store_files(delhi, *SEEDS)
    killed(delhi, crash_at, COPY)
    assert is_whole(delhi, ids)
    delhi.admin(COPY)
    assert "would copy 0 records" in delhi.admin(f"{COPY} preview=yes").text
    lose_tapes(delhi)
    assert is_whole(delhi, ids), "every copy at TOKYO is good"


@pytest.mark.parametrize("crash_at", ["copy.window.before_catalog#1", "copy.window.after_catalog#1"])
def test_a_source_killed_while_it_restores_completes_the_next_time(delhi: GridServer, crash_at: str) -> None:
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TAPEPOOL")
        lost = nouns.select(r, Volume, pool_id=pool.id)[0]
    command = f"restore volume {lost.name} wait=yes"
    killed(delhi, crash_at, command)
    assert is_whole(delhi, ids)
    delhi.admin("restore stgpool tapepool wait=yes")
    delhi.admin("update volume * access=unavailable wherestgpool=targetcopypool")
    assert is_whole(delhi, ids), "every record is back on a tape"
    with delhi.server.catalog.read() as r:
        assert nouns.find(r, Volume, lost.name) is None
