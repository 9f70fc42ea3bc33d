"""DELHI dies by SIGKILL in RECLAIM STGPOOL and MOVE DATA; a second run completes, nothing is lost.

Every step is killed in tests/unit/processes, without a process of its own; here are those after which most differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.two_servers import farvault_admin
from tests.grid.grid_server import GridServer
from tests.grid.server_process import ServerProcess
from tests.grid.vaults import file_bytes, make_source, make_target, restored, store_files

from farvault.catalog import audit, nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

SEEDS = tuple(range(32))
SIZE = 400_000

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
        assert running.process.wait(30) == -9, "it never came by there"
    finally:
        running.kill()
    delhi.start()


def mostly_dead(delhi: GridServer) -> dict[int, int]:
    """Four files to a record, all copied; then some records are dead as a whole and most in part. What is left."""
    ids = store_files(delhi, *SEEDS, size=SIZE, files_in_pack=4)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    kept = {seed for seed in SEEDS if seed % 8 in (4, 5)} | {8, 9, 10, 11}  # one record of them is whole
    left = {number: seed for number, seed in zip(ids, SEEDS, strict=True) if seed in kept}
    delhi.server.storage.delete_objects([number for number in ids if number not in left])
    return left


def is_whole(delhi: GridServer, left: dict[int, int]) -> bool:
    with delhi.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []
    return restored(delhi, list(left)) == {number: file_bytes(seed, SIZE) for number, seed in left.items()}


def is_whole_from_copies(delhi: GridServer, left: dict[int, int]) -> bool:
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    whole = is_whole(delhi, left)
    delhi.admin("update volume * access=readwrite wherestgpool=tapepool")
    return whole


@pytest.mark.parametrize(
    ("pool", "crash_at"),
    [
        ("tapepool", "rebuild.window.after_catalog"),
        ("tapepool", "copy.window.after_catalog"),
        ("tapepool", "volume.empty.before_delete"),
        ("targetcopypool", "rebuild.window.after_catalog"),
        ("targetcopypool", "virtual_volume.commit.after_receipt"),
        ("targetcopypool", "copy.window.after_catalog"),
    ],
)
def test_a_server_killed_while_it_reclaims_completes_the_next_time(
    delhi: GridServer, pool: str, crash_at: str
) -> None:
    left = mostly_dead(delhi)
    command = f"reclaim stgpool {pool} threshold=30 wait=yes"
    killed(delhi, f"{crash_at}#1", command)
    assert is_whole(delhi, left)
    assert is_whole_from_copies(delhi, left)
    delhi.admin(command)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert is_whole(delhi, left)
    assert is_whole_from_copies(delhi, left)
    with delhi.server.catalog.read() as r:
        assert r.all("SELECT 1 FROM superseded_aggregates") == []


@pytest.mark.parametrize("crash_at", ["rebuild.window.after_catalog", "volume.delete.before_row"])
def test_a_server_killed_while_it_moves_data_completes_the_next_time(
    delhi: GridServer, crash_at: str
) -> None:
    left = mostly_dead(delhi)
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TAPEPOOL")
        volume = nouns.select(r, Volume, pool_id=pool.id)[0]
    command = f"move data {volume.name} reconstruct=yes wait=yes"
    killed(delhi, f"{crash_at}#1", command)
    assert is_whole(delhi, left)
    assert is_whole_from_copies(delhi, left)
    with delhi.server.catalog.read() as r:
        is_there = nouns.find(r, Volume, volume.name) is not None
    if is_there:
        delhi.admin(command)
    with delhi.server.catalog.read() as r:
        assert nouns.find(r, Volume, volume.name) is None
    assert is_whole(delhi, left)
    assert is_whole_from_copies(delhi, left)
