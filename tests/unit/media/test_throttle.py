"""The throttle: bytes take the time that BANDWIDTH says, at the time of day it is; nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.vaults import HurriedClock
from tests.patience import PATIENCE_SECONDS

from farvault.base.cancel import cancelled_by
from farvault.base.clock import ManualClock
from farvault.base.disk import aligned_buffer
from farvault.base.units import KIB, MIB
from farvault.media.file import FileDevice
from farvault.media.interface import Span
from farvault.media.throttle import Throttle, ThrottledDevice
from farvault.model.bandwidth import parse_rates

RECORD = 64 * KIB


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(hour: float) -> HurriedClock:
    """A clock that stands at this hour of some day."""
    return HurriedClock(1_000_000_000 // 86_400 * 86_400 + int(hour * 3600))


def throttled(folder: Path, rates: str, clock: ManualClock) -> ThrottledDevice:
    return ThrottledDevice(FileDevice([str(folder)]), Throttle(lambda: parse_rates(rates), clock))


def _record(byte: int) -> memoryview:
    buffer = aligned_buffer(RECORD)
    buffer[:] = bytes([byte]) * RECORD
    return buffer


def write(device: ThrottledDevice, name: str, records: int) -> list[Span]:
    device.create(name, 100 * MIB)
    writer = device.open_writer(name, 0, 100 * MIB)
    spans = []
    for number in range(records):
        record = _record(number % 251)
        spans.append(Span(writer.append(record, bytes(32)), RECORD))
    writer.commit()
    writer.close()
    return spans


def test_writing_takes_the_time_that_the_rate_says(tmp_path: Path) -> None:
    clock = at(12)
    device = throttled(tmp_path, "64K", clock)
    started = clock.monotonic_seconds()
    write(device, str(tmp_path / "one"), 100)
    assert 98 <= clock.monotonic_seconds() - started <= 100


def test_reading_takes_the_time_that_the_rate_says_and_gives_the_same_bytes(tmp_path: Path) -> None:
    clock = at(12)
    device = throttled(tmp_path, "NOLIMIT,10:00-14:00=128K", clock)
    clock.advance(-3 * 3600)
    spans = write(device, str(tmp_path / "one"), 60)
    assert clock.monotonic_seconds() == at(9).monotonic_seconds(), "no limit before ten"
    clock.advance(3 * 3600)
    started = clock.monotonic_seconds()
    reader = device.open_reader(str(tmp_path / "one"))
    got = [None if record is None else bytes(record[:1]) for record in reader.read_many(spans)]
    assert got == [bytes([number]) for number in range(60)]
    assert 27 <= clock.monotonic_seconds() - started <= 30
    reader.close()


def test_another_rate_counts_from_the_minute_it_begins_also_for_who_waits_already(tmp_path: Path) -> None:
    clock = at(7 + 3595 / 3600)  # five seconds before eight
    device = throttled(tmp_path, "16K,08:00-18:00=NOLIMIT", clock)
    started = clock.monotonic_seconds()
    write(device, str(tmp_path / "one"), 100)
    assert 5 <= clock.monotonic_seconds() - started <= 6.5


def test_all_volumes_of_the_class_share_the_rate(tmp_path: Path) -> None:
    clock = at(12)
    device = throttled(tmp_path, "64K", clock)
    started = clock.monotonic_seconds()
    write(device, str(tmp_path / "one"), 30)
    write(device, str(tmp_path / "two"), 30)
    assert 58 <= clock.monotonic_seconds() - started <= 60


def test_a_limit_that_is_changed_counts_for_volumes_that_are_open(tmp_path: Path) -> None:
    clock, rates = at(12), ["16K"]
    throttle = Throttle(lambda: parse_rates(rates[0]), clock)
    device = ThrottledDevice(FileDevice([str(tmp_path)]), throttle)
    name = str(tmp_path / "one")
    device.create(name, 100 * MIB)
    writer = device.open_writer(name, 0, 100 * MIB)
    writer.append(_record(0), bytes(32))
    rates[0] = ""
    started = clock.monotonic_seconds()
    for _ in range(100):
        writer.append(_record(0), bytes(32))
    assert clock.monotonic_seconds() - started <= 2
    writer.close()


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_who_is_to_end_is_not_held_up(tmp_path: Path, how: str) -> None:
    clock = ManualClock()  # stands still: only the event ends a wait
    device = throttled(tmp_path, "16K", clock)
    event, done = threading.Event(), threading.Event()

    def work() -> None:
        if how == "cancelled":
            with cancelled_by(event):
                write(device, str(tmp_path / "one"), 5)
        else:
            write(device, str(tmp_path / "one"), 5)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert not done.wait(0.05)
    event.set()
    if how == "closed":
        device.close()
    assert done.wait(PATIENCE_SECONDS)
    thread.join(PATIENCE_SECONDS)
