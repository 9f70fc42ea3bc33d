"""Pools whose volumes another server keeps: filled, read, copied and lost like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.grid_server import GridServer
from tests.grid.vaults import Source
from tests.unit.storage.depot import Depot, some_files

from farvault.base.errors import FarvaultError, MediaFull
from farvault.base.units import MIB
from farvault.catalog import placements
from farvault.catalog.placements import PlacementRow
from farvault.model.volume import FULL
from farvault.storage.copying import copy_aggregates

FILES = some_files(60, 300_000)


@pytest.fixture
def delhi(tokyo: GridServer, tmp_path: Path) -> Iterator[Depot]:
    source = Source(tokyo.port)
    folder = tmp_path / "delhi"
    folder.mkdir()
    # a clock that stands still never ends a retry: none here
    depot = Depot(folder, connect_server=lambda _class: source.device(mount_limit=1, retry_period_minutes=0))
    yield depot
    depot.close()


def missing(depot: Depot, copy_pool: str) -> list[PlacementRow]:
    with depot.catalog.read() as r:
        return placements.missing_in_copy(r, depot.pool("TAPEPOOL").id, depot.pool(copy_pool).id)


def test_what_is_lost_here_is_read_from_the_target(delhi: Depot) -> None:
    delhi.send(FILES)
    done = copy_aggregates(delhi.storage, missing(delhi, "TARGETCOPYPOOL"), delhi.pool("TARGETCOPYPOOL"))
    assert done.records == len(delhi.placed("TAPEPOOL")) and done.referred == 0
    assert missing(delhi, "TARGETCOPYPOOL") == []
    for file in (delhi.folder / "tapeclass").iterdir():
        file.unlink()
    assert delhi.restore() == FILES


def test_what_the_target_holds_already_travels_by_name(delhi: Depot) -> None:
    delhi.send(FILES)
    for pool in ("TARGETCOPYPOOL", "TARGETCOPYPOOL2"):
        done = copy_aggregates(delhi.storage, missing(delhi, pool), delhi.pool(pool))
    assert done.referred == done.records == len(delhi.placed("TAPEPOOL"))
    assert [row.digest for row in delhi.placed("TARGETCOPYPOOL2")] == [
        row.digest for row in delhi.placed("TARGETCOPYPOOL")
    ]


def test_a_pool_that_is_full_keeps_what_travelled_by_name(tokyo: GridServer, tmp_path: Path) -> None:
    source = Source(tokyo.port)
    delhi = Depot(
        tmp_path, capacity_bytes=8 * MIB, connect_server=lambda _: source.device(max_capacity_bytes=8 * MIB)
    )
    try:
        delhi.send(FILES)
        copy_aggregates(delhi.storage, missing(delhi, "TARGETCOPYPOOL"), delhi.pool("TARGETCOPYPOOL"))
        delhi.change_pool("TARGETCOPYPOOL2", max_scratch=1)
        with pytest.raises(MediaFull):
            copy_aggregates(delhi.storage, missing(delhi, "TARGETCOPYPOOL2"), delhi.pool("TARGETCOPYPOOL2"))
        (volume,) = delhi.volumes("TARGETCOPYPOOL2")
        assert volume.status == FULL
        kept = len(delhi.placed("TARGETCOPYPOOL2"))
        assert 0 < kept < len(delhi.placed("TAPEPOOL"))
        delhi.change_pool("TARGETCOPYPOOL2", max_scratch=9)
        left = missing(delhi, "TARGETCOPYPOOL2")
        done = copy_aggregates(delhi.storage, left, delhi.pool("TARGETCOPYPOOL2"))
        assert done.referred == len(left) == len(delhi.placed("TAPEPOOL")) - kept
    finally:
        delhi.close()


def test_a_primary_pool_at_the_target_takes_transactions(delhi: Depot) -> None:
    for start in (0, 30):
        delhi.send(dict(list(FILES.items())[start : start + 30]), pool="TARGETPOOL")
    volumes = delhi.volumes("TARGETPOOL")
    assert (
        len(volumes) > 1 and volumes[0].status == FULL
    )  # one mount point is enough to go from one to the next
    assert all(volume.receipt for volume in volumes)
    assert delhi.restore() == FILES


def test_a_transaction_that_is_undone_leaves_the_volume_as_it_was(delhi: Depot) -> None:
    delhi.send(some_files(3), pool="TARGETPOOL")
    delhi.faults.fail("commit", FarvaultError("ANR0536W", node="ALICE"))
    with pytest.raises(FarvaultError):
        delhi.send(some_files(3, start=10), pool="TARGETPOOL")
    delhi.send(some_files(3, start=20), pool="TARGETPOOL")
    assert len(delhi.volumes("TARGETPOOL")) == 1
    assert delhi.restore() == some_files(3) | some_files(3, start=20)


def test_emptied_virtual_volumes_go_at_both_ends(delhi: Depot) -> None:
    delhi.send(some_files(5), pool="TARGETPOOL")
    delhi.storage.delete_objects(delhi.inventory().values())
    assert delhi.volumes("TARGETPOOL") == []
    delhi.send(some_files(5, start=10), pool="TARGETPOOL")
    assert delhi.restore() == some_files(5, start=10)


def test_a_target_that_is_away_fails_the_work_and_harms_nothing(delhi: Depot, tokyo: GridServer) -> None:
    delhi.send(FILES)
    delhi.send(some_files(3, start=100), pool="TARGETPOOL")
    tokyo.stop()
    with pytest.raises(FarvaultError):
        copy_aggregates(delhi.storage, missing(delhi, "TARGETCOPYPOOL"), delhi.pool("TARGETCOPYPOOL"))
    with pytest.raises(FarvaultError):
        delhi.send(some_files(3, start=200), pool="TARGETPOOL")
    contents, lost = delhi.restore_some("ALICE", delhi.inventory())
    assert (contents, sorted(lost)) == (FILES, sorted(some_files(3, start=100)))
    assert [volume.access for volume in delhi.volumes("TARGETPOOL")] == ["READWRITE"]
    assert not any(row.damaged for row in delhi.placed("TARGETPOOL"))
    assert delhi.volumes("TARGETCOPYPOOL") == []
