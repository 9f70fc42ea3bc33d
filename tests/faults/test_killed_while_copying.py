"""DELHI dies by SIGKILL at every step of BACKUP STGPOOL and of RESTORE VOLUME; a second run completes, nothing is lost."""

from __future__ import annotations

import pytest
from tests.faults.killed_server import is_whole, killed, stored
from tests.grid.both_sides import COPY
from tests.grid.grid_server import GridServer

from farvault.catalog import nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

SEEDS = tuple(range(30))

pytestmark = pytest.mark.slow


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
    files = stored(delhi, *SEEDS)
    killed(delhi, crash_at, COPY)
    assert is_whole(delhi, files)
    delhi.admin(COPY)
    assert "would copy 0 records" in delhi.admin(f"{COPY} preview=yes").text
    assert is_whole(delhi, files, without="tapepool"), "every copy at TOKYO is good"


@pytest.mark.parametrize("crash_at", ["copy.window.before_catalog#1", "copy.window.after_catalog#1"])
def test_a_source_killed_while_it_restores_completes_the_next_time(delhi: GridServer, crash_at: str) -> None:
    files = stored(delhi, *SEEDS)
    delhi.admin(COPY)
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TAPEPOOL")
        lost = nouns.select(r, Volume, pool_id=pool.id)[0]
    killed(delhi, crash_at, f"restore volume {lost.name} wait=yes")
    assert is_whole(delhi, files)
    delhi.admin("restore stgpool tapepool wait=yes")
    assert is_whole(delhi, files, without="targetcopypool"), "every record is back on a tape"
    with delhi.server.catalog.read() as r:
        assert nouns.find(r, Volume, lost.name) is None
