"""Sizes as typed and shown; a clock that tests can move."""

from __future__ import annotations

import threading

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.base.clock import ManualClock, SystemClock
from farvault.base.units import parse_size, show_megabytes, show_numbers, show_size, show_time


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("12", 12), ("1K", 1024), ("500m", 500 << 20), ("2G", 2 << 30), ("1t", 1 << 40)],
)
def test_a_size_is_typed_with_a_binary_suffix(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "1.5G", "-1", "1 G", "٣", "1X", "0x10"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


def test_sizes_are_shown_in_the_largest_unit_that_fits() -> None:
    assert [show_size(n) for n in (0, 1023, 1024, 3 << 29)] == ["0 B", "1,023 B", "1.00 KB", "1.50 GB"]
    assert show_megabytes(5 << 30) == "5,120.00"
    assert show_time(None) == ""


def test_a_wait_ends_when_the_manual_clock_has_moved_far_enough() -> None:
    clock, done = ManualClock(), threading.Event()
    woke: list[bool] = []
    waiter = threading.Thread(target=lambda: (woke.append(clock.wait(threading.Event(), 60)), done.set()))
    waiter.start()
    assert clock.is_awaited(PATIENCE_SECONDS)
    clock.advance(59)
    assert not done.is_set()
    clock.advance(1)
    waiter.join(PATIENCE_SECONDS)
    assert woke == [False]
    assert not clock.is_awaited(0)


def test_a_wait_ends_at_once_when_the_event_is_set() -> None:
    event = threading.Event()
    event.set()
    assert ManualClock().wait(event, 3600)
    assert SystemClock().wait(event, 3600)


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [((), ""), ((7,), "7"), ((9, 3, 5, 4), "3-5, 9"), ((1, 2), "1-2"), ((1, 3, 5), "1, 3, 5")],
)
def test_numbers_in_a_row_are_shown_as_a_range(numbers: tuple[int, ...], shown: str) -> None:
    assert show_numbers(numbers) == shown
