"""Which volume is written next."""

from __future__ import annotations

import pytest
from tests.unit.storage.depot import Depot, MakeDepot, packs, send_pack, some_files

from farvault.base.errors import MediaFull
from farvault.model.volume import EMPTY


def test_the_fullest_volume_is_taken_first(depot: Depot) -> None:
    intakes = [depot.begin(), depot.begin("BOB")]
    for intake, count in zip(intakes, (1, 9), strict=True):
        for each in packs(some_files(count, start=count * 10), intake._node.name):
            send_pack(intake, each)
        intake._conveyor.stop()  # it has its volume now
    for intake in intakes:
        intake.commit()
    assert len(depot.volumes()) == 2
    output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    assert output.volume.written_bytes == max(volume.written_bytes for volume in depot.volumes())
    output.abandon()
    depot.storage.volumes.release(output)


def test_a_defined_volume_comes_before_scratch_and_stays_when_it_is_empty(depot: Depot) -> None:
    defined = depot.storage.life.define(depot.pool("TAPEPOOL"), "defined.bfs")
    assert defined.name == str(depot.folder / "tapeclass" / "defined.bfs")
    depot.send(some_files(3))
    assert [volume.name for volume in depot.volumes()] == [defined.name]
    depot.storage.delete_objects(depot.inventory().values())
    (volume,) = depot.volumes()
    assert (volume.status, volume.written_bytes) == (EMPTY, 0)
    depot.send(some_files(3))
    assert depot.restore() == some_files(3)
    assert depot.volumes()[0].write_pass == 2


def test_maxscratch_bounds_the_volumes_a_pool_makes(make_depot: MakeDepot) -> None:
    depot = make_depot(max_scratch=1)
    pool = depot.pool("TAPEPOOL")
    output = depot.storage.volumes.acquire_output(pool, 4096)
    with pytest.raises(MediaFull, match="ANR1405W"):
        depot.storage.volumes.acquire_output(pool, 4096, {output.volume.id})
    output.abandon()
    depot.storage.volumes.release(output)


@pytest.mark.parametrize("access", ["READONLY", "UNAVAILABLE"])
def test_only_readwrite_volumes_are_written(depot: Depot, access: str) -> None:
    depot.send(some_files(1))
    depot.change_volume(depot.volumes()[0], access=access)
    depot.send(some_files(1, start=5))
    assert len(depot.volumes()) == 2
