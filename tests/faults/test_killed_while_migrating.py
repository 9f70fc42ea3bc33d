"""DELHI dies by SIGKILL while MIGRATE STGPOOL moves to TOKYO; nothing is lost, and a second run completes.

Every other step is tried in `tests/unit/processes/test_migrate.py`, where dying costs milliseconds.
"""

from __future__ import annotations

import pytest
from tests.faults.killed_server import is_whole, killed, stored
from tests.grid.grid_server import GridServer

from farvault.catalog import nouns, placements
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

SEEDS = tuple(range(20))
MIGRATE = "migrate stgpool diskpool lowmig=0 wait=yes"

pytestmark = pytest.mark.slow


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With DISKPOOL, whose next pool is at TOKYO."""
    delhi.admin("define stgpool targetpool targetclass maxscratch=100")
    delhi.admin("define stgpool diskpool disk nextstgpool=targetpool highmig=100 lowmig=0 cache=yes")
    delhi.admin(f"define volume diskpool {delhi.folder}/disk.dsm formatsize=40 wait=yes")
    return delhi


def placed(delhi: GridServer, pool_name: str) -> list[int]:
    """Aggregates that lie in a pool."""
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, pool_name)
        volumes = nouns.select(r, Volume, pool_id=pool.id)
        return [row.aggregate_id for one in volumes for row in placements.on_volume(r, one.id)]


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
    files = stored(delhi, *SEEDS, pool="DISKPOOL")
    before = sorted(placed(delhi, "DISKPOOL"))
    killed(delhi, crash_at, MIGRATE)
    assert is_whole(delhi, files)
    assert sorted(placed(delhi, "DISKPOOL") + placed(delhi, "TARGETPOOL")) == before, "each in one pool"
    delhi.admin(MIGRATE)
    assert placed(delhi, "DISKPOOL") == [] and sorted(placed(delhi, "TARGETPOOL")) == before
    assert is_whole(delhi, files), "from the cache"
    delhi.admin(f"vary offline {delhi.folder}/disk.dsm wait=yes")
    assert is_whole(delhi, files), "from TOKYO"
