"""DELHI dies by SIGKILL in RECLAIM STGPOOL and MOVE DATA; a second run completes, nothing is lost.

Every step is killed in tests/unit/processes, without a process of its own; here are those after which most differs.
"""

from __future__ import annotations

import pytest
from tests.faults.killed_server import is_whole, killed, stored
from tests.grid.both_sides import COPY
from tests.grid.grid_server import GridServer

from farvault.catalog import nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

SEEDS = tuple(range(32))
SIZE = 400_000

pytestmark = pytest.mark.slow


def mostly_dead(delhi: GridServer) -> dict[int, bytes]:
    """Four files to a record, all copied; then some records are dead as a whole and most in part. What is left."""
    files = stored(delhi, *SEEDS, size=SIZE, files_in_pack=4)
    delhi.admin(COPY)
    kept = {seed for seed in SEEDS if seed % 8 in (4, 5)} | {8, 9, 10, 11}  # one record of them is whole
    left = {number: files[number] for number, seed in zip(files, SEEDS, strict=True) if seed in kept}
    delhi.server.storage.delete_objects([number for number in files if number not in left])
    return left


def is_whole_from_everywhere(delhi: GridServer, files: dict[int, bytes]) -> bool:
    return is_whole(delhi, files) and is_whole(delhi, files, without="tapepool")


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
    killed(delhi, crash_at, command)
    assert is_whole_from_everywhere(delhi, left)
    delhi.admin(command)
    delhi.admin(COPY)
    assert is_whole_from_everywhere(delhi, left)
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
    killed(delhi, crash_at, command)
    assert is_whole_from_everywhere(delhi, left)
    with delhi.server.catalog.read() as r:
        is_there = nouns.find(r, Volume, volume.name) is not None
    if is_there:
        delhi.admin(command)
    with delhi.server.catalog.read() as r:
        assert nouns.find(r, Volume, volume.name) is None
    assert is_whole_from_everywhere(delhi, left)
