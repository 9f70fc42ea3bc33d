"""Who uses which volume now: one writer, no other user beside who holds it."""

from __future__ import annotations

import pytest
from tests.unit.storage.depot import Depot, some_files

from farvault.base.errors import InUse


def test_what_is_open_now_is_known_until_the_last_user_lets_go(depot: Depot) -> None:
    depot.send(some_files(1))
    volumes, use = depot.storage.volumes, depot.storage.use
    assert use.open_now == []
    output = volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    written = (output.volume.name, "TAPECLASS", True)
    assert use.open_now == [written]
    with volumes.open_reader("TAPECLASS", output.volume.name):
        assert use.open_now == [(output.volume.name, "TAPECLASS", False), written]
        with volumes.open_reader("TAPECLASS", output.volume.name):
            assert len(use.open_now) == 2
    assert use.open_now == [written]
    output.abandon()
    volumes.release(output)
    assert use.open_now == []


def test_held_volumes_are_written_by_nobody(depot: Depot) -> None:
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    with depot.storage.use.hold(volume):
        depot.send(some_files(1, start=5))
        with pytest.raises(InUse, match="ANR2405E"), depot.storage.use.hold(volume):
            pass
    assert len(depot.volumes()) == 2


def test_a_volume_in_use_cannot_be_held(depot: Depot) -> None:
    output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), 4096)
    with pytest.raises(InUse), depot.storage.use.hold(output.volume):
        pass
    output.abandon()
    depot.storage.volumes.release(output)
