"""Volumes are handed out: never two writers, never more than MOUNTLIMIT, what is broken is left."""

from __future__ import annotations

import threading

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.errors import MediaFull, NotAvailable
from farvault.base.units import MIB
from farvault.model.volume import FILLING
from farvault.storage import outputs, volume_life, volumes


def test_two_writers_never_share_a_sequential_volume(depot: Depot) -> None:
    depot.send(some_files(1))
    first = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    second = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    assert first.volume.status == FILLING and second.volume.id != first.volume.id
    for output in (first, second):
        output.abandon()
        depot.storage.volumes.release(output)
    assert len(depot.volumes()) == 1


def test_a_record_that_no_empty_volume_takes_ends_the_work(
    make_depot: MakeDepot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be today, the smallest volume takes the largest record; where it is, new volumes are not made for ever."""
    for module in (outputs, volume_life, volumes):
        monkeypatch.setattr(module, "SMALLEST_CAPACITY_BYTES", MIB)
    depot = make_depot(capacity_bytes=MIB)
    with pytest.raises(MediaFull) as raised:
        depot.send(some_files(1, size=2 * MIB))
    assert raised.value.message.id == "ANR0522W"
    assert depot.volumes() == []


def test_a_writer_waits_for_the_only_volume(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.change_pool("TAPEPOOL", max_scratch=1)
    volumes, pool = depot.storage.volumes, depot.pool("TAPEPOOL")
    volumes.mounts.wait_seconds = 60
    first = volumes.acquire_output(pool, 4096)
    got = []
    thread = threading.Thread(target=lambda: got.append(volumes.acquire_output(pool, 4096)))
    thread.start()
    first.abandon()
    volumes.release(first)
    thread.join(PATIENCE_SECONDS)
    assert got[0].volume.id == first.volume.id
    got[0].abandon()
    volumes.release(got[0])


def test_mountlimit_bounds_what_is_open_and_says_so(depot: Depot) -> None:
    depot.send(some_files(1))
    depot.change_class("TAPECLASS", mount_limit=1)
    name = depot.volumes()[0].name
    with depot.storage.volumes.open_reader("TAPECLASS", name):
        with pytest.raises(NotAvailable, match="ANR0535W"):
            depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
        with (
            pytest.raises(NotAvailable, match="ANR0535W"),
            depot.storage.volumes.open_reader("TAPECLASS", name),
        ):
            pass
    assert depot.restore() == some_files(1)


def test_a_volume_whose_file_is_gone_is_stepped_over(depot: Depot) -> None:
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    (depot.folder / "tapeclass" / volume.name.rpartition("/")[2]).unlink()
    depot.send(some_files(1, start=5))
    assert [one.access for one in depot.volumes()] == ["UNAVAILABLE", "READWRITE"]
