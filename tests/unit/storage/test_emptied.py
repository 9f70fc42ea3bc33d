"""Volumes that lost all they held: when they are reused, and when they go."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.storage.depot import Depot, packs, send_pack, some_files

from farvault.base.errors import MediaFailed
from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.model.volume import EMPTY, FILLING, PENDING, Volume
from farvault.model.volume_history import STGREUSE, HistoryVolume
from farvault.storage.volume_life import DAY_SECONDS


def test_an_emptied_volume_waits_for_its_reuse_delay(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", reuse_delay_days=2)
    depot.send(some_files(1))
    depot.storage.delete_objects(depot.inventory().values())
    (volume,) = depot.volumes()
    assert volume.status == PENDING
    depot.clock.advance(2 * DAY_SECONDS - 1)
    assert depot.storage.emptied.end_pending() == []
    depot.clock.advance(1)
    assert depot.storage.emptied.end_pending() == [volume.name]
    assert depot.volumes() == []


def test_an_empty_offsite_volume_stays(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.change_volume(depot.volumes()[0], access="OFFSITE")
    depot.storage.delete_objects(depot.inventory().values())
    for _ in range(2):
        (volume,) = depot.volumes()
        assert (volume.status, volume.access) == (EMPTY, "OFFSITE")
        depot.storage.tidy()
        depot.restart()
    assert depot.messages().count("ANR1423W") == 1
    depot.change_volume(volume, access="READWRITE")
    depot.storage.emptied.came_back(volume.id)
    assert depot.volumes() == []


def test_an_offsite_volume_waits_for_its_reuse_delay_and_is_empty_then(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", reuse_delay_days=2)
    depot.send(some_files(1))
    depot.change_volume(depot.volumes()[0], access="OFFSITE")
    depot.storage.delete_objects(depot.inventory().values())
    assert depot.volumes()[0].status == PENDING
    depot.clock.advance(2 * DAY_SECONDS)
    depot.storage.emptied.end_pending()
    (volume,) = depot.volumes()
    assert (volume.status, volume.access) == (EMPTY, "OFFSITE")


def a_defined_volume(depot: Depot) -> Volume:
    """The only one that TAPEPOOL may write, with data on it."""
    depot.change_pool("TAPEPOOL", max_scratch=0)
    depot.storage.life.define(depot.pool("TAPEPOOL"), "defined", capacity_bytes=8 * MIB)
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    return volume


def send_while_media_go(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody stores at the worst moment: the row says that the volume is empty, and its old bytes are about to go."""
    arrive = depot.faults.arrive

    def sends(operation: str) -> int:
        if operation == "delete":
            monkeypatch.undo()
            depot.change_pool("TAPEPOOL", max_scratch=1)
            depot.send(some_files(2, start=5))
        return arrive(operation)

    monkeypatch.setattr(depot.faults, "arrive", sends)


def test_nobody_writes_a_volume_whose_reuse_delay_just_ends(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = a_defined_volume(depot)
    depot.change_pool("TAPEPOOL", reuse_delay_days=2)
    depot.storage.delete_objects(depot.inventory().values())
    depot.clock.advance(2 * DAY_SECONDS)
    send_while_media_go(depot, monkeypatch)
    depot.storage.tidy()
    assert depot.restore() == some_files(2, start=5)
    assert {row.volume_id for row in depot.placed("TAPEPOOL")} != {volume.id}


def test_a_defined_volume_that_was_emptied_offsite_is_reused_when_it_is_back(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = a_defined_volume(depot)
    depot.change_volume(volume, access="OFFSITE")
    depot.storage.delete_objects(depot.inventory().values())
    assert Path(volume.name).exists() and history(depot, STGREUSE) == []
    depot.change_volume(volume, access="READWRITE")
    send_while_media_go(depot, monkeypatch)
    depot.storage.emptied.came_back(volume.id)
    assert not Path(volume.name).exists()
    assert history(depot, STGREUSE) == [volume.name]
    assert depot.restore() == some_files(2, start=5)


def test_a_defined_volume_that_was_never_written_comes_back_as_it_was(depot: Depot) -> None:
    volume = depot.storage.life.define(depot.pool("COPYPOOL"), "defined", capacity_bytes=8 * MIB)
    depot.storage.emptied.came_back(volume.id)
    assert Path(volume.name).exists() and history(depot, STGREUSE) == []


def history(depot: Depot, event: str) -> list[str]:
    with depot.catalog.read() as r:
        return [row.volume for row in nouns.select(r, HistoryVolume, type=event)]


def test_an_offsite_volume_that_still_holds_data_comes_back_as_it_was(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.storage.emptied.came_back(depot.volumes()[0].id)
    assert depot.restore() == some_files(1)


def test_a_volume_that_empties_while_it_is_written_goes_when_it_is_let_go(depot: Depot) -> None:
    depot.send(some_files(1))
    output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    depot.storage.delete_objects(depot.inventory().values())
    assert len(depot.volumes()) == 1
    output.abandon()
    depot.storage.volumes.release(output)
    assert depot.volumes() == []


@pytest.mark.parametrize("later", ["tidy", "restart"])
def test_media_that_cannot_be_deleted_now_are_deleted_later(depot: Depot, later: str) -> None:
    depot.send(some_files(1))
    error = MediaFailed("ANR8359E", operation="delete", volume="v", reason="I/O error")
    depot.faults.fail("delete", error)
    depot.storage.delete_objects(depot.inventory().values())
    assert [(volume.status, volume.scratch) for volume in depot.volumes()] == [(EMPTY, True)]
    depot.send(some_files(1, start=5))  # another one: this one's old bytes are not trusted
    if later == "tidy":
        depot.storage.tidy()
    else:
        depot.restart()
    assert [volume.status for volume in depot.volumes()] == [FILLING]
    assert depot.restore() == some_files(1, start=5)


def test_tidying_leaves_a_volume_alone_that_is_written_for_the_first_time(depot: Depot) -> None:
    intake = depot.begin()
    for each in packs(some_files(3)):
        send_pack(intake, each)
    intake._conveyor.stop()
    depot.storage.tidy()
    intake.commit()
    assert depot.restore() == some_files(3)
