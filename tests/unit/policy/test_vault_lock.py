"""The vault lock: when a deleted volume may go, and when a source deletes too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.policy.clock_guard import DAY_SECONDS, Moment
from farvault.policy.vault_lock import (
    Floor,
    Lock,
    Marked,
    Sleep,
    deletes_too_much,
    is_kept,
    lock_of,
    seconds_left,
)

AWAKE = Sleep()


def day(number: float) -> Moment:
    """A server that never stops, and whose clock is right."""
    return Moment(1_000_000_000 + int(number * DAY_SECONDS), int(number * DAY_SECONDS))


@pytest.mark.parametrize(
    ("grace", "lock", "received", "marked", "now", "days_left"),
    [
        (5, Lock(), 0, 10, 10, 5),
        (5, Lock(), 0, 10, 15, 0),
        (0, Lock(), 0, 10, 10, 0),
        (0, Lock(grace_days=7), 0, 10, 10, 7),
        (9, Lock(grace_days=7), 0, 10, 10, 9),
        (0, Lock(retention_days=30), 0, 1, 1, 29),
        (0, Lock(retention_days=30), 0, 40, 40, 0),
        (5, Lock(retention_days=30), 0, 28, 30, 3),
        (5, Lock(retention_days=30, grace_days=7), 0, 28, 30, 5),
        (9999, Lock(retention_days=30), 0, 0, 30, 9969),
    ],
)
def test_the_longest_of_grace_and_lock_counts(
    grace: int, lock: Lock, received: float, marked: float, now: float, days_left: float
) -> None:
    segment = Marked(day(received), day(marked), grace)
    assert seconds_left(segment, lock, AWAKE, day(now)) == days_left * DAY_SECONDS


@pytest.mark.parametrize(
    ("marked", "now", "days_left"),
    [
        (8, 10, 5),  # marked before: it only waits until the sleep is over
        (8, 14.5, 0.5),
        (8, 15, 0),
        (10, 10, 8),  # marked in the sleep: the sleep, then the whole grace of 3 days
        (12, 15, 3),
        (12, 18, 0),
        (16, 16, 3),  # marked after it
        (16, 19, 0),
    ],
)
def test_deletions_sleep_after_another_identity_was_accepted(
    marked: float, now: float, days_left: float
) -> None:
    asleep = Sleep(day(10), 5)
    left = seconds_left(Marked(day(0), day(marked), 3), Lock(), asleep, day(now))
    assert left == days_left * DAY_SECONDS


def test_a_lowered_lock_keeps_its_word_to_what_came_before() -> None:
    floors = [Floor(100, Lock(30, 0)), Floor(200, Lock(10, 7))]
    assert lock_of(50, Lock(1, 1), floors) == Lock(30, 7)
    assert lock_of(100, Lock(1, 1), floors) == Lock(30, 7)
    assert lock_of(101, Lock(1, 1), floors) == Lock(10, 7)
    assert lock_of(201, Lock(1, 1), floors) == Lock(1, 1)
    assert lock_of(50, Lock(60, 1), floors) == Lock(60, 7)


def test_what_nobody_deleted_is_kept_by_retention_and_by_any_grace() -> None:
    assert is_kept(day(0), Lock(30, 0), day(29)) and not is_kept(day(0), Lock(30, 0), day(30))
    assert is_kept(day(0), Lock(0, 1), day(1000)) and not is_kept(day(0), Lock(), day(0))


moments = st.builds(Moment, st.integers(0, 10**10), st.integers(0, 10**9))
locks = st.builds(Lock, st.integers(0, 9999), st.integers(0, 9999))


@given(
    moments,
    moments,
    moments,
    locks,
    st.integers(0, 9999),
    st.lists(st.builds(Floor, st.integers(0, 10**9), locks)),
)
def test_nothing_goes_before_every_period_is_over_by_both_clocks(
    received: Moment, marked: Moment, now: Moment, lock: Lock, grace: int, floors: list[Floor]
) -> None:
    held = lock_of(received.running, lock, floors)
    if seconds_left(Marked(received, marked, grace), held, AWAKE, now) == 0:
        for since, days in ((received, held.retention_days), (marked, max(grace, held.grace_days))):
            assert now.wall - since.wall >= days * DAY_SECONDS
            assert now.running - since.running >= days * DAY_SECONDS
    assert held.retention_days >= lock.retention_days and held.grace_days >= lock.grace_days


@given(moments, moments, moments, locks, locks, st.integers(0, 9999))
def test_a_stronger_lock_never_shortens(
    received: Moment, marked: Moment, now: Moment, lock: Lock, more: Lock, grace: int
) -> None:
    stronger = Lock(lock.retention_days + more.retention_days, lock.grace_days + more.grace_days)
    segment = Marked(received, marked, grace)
    assert seconds_left(segment, stronger, AWAKE, now) >= seconds_left(segment, lock, AWAKE, now)


@pytest.mark.parametrize(
    ("lately", "volumes", "percent", "count", "too_much"),
    [
        (0, 1, 5, 50, False),  # the only volume there is
        (4, 10, 5, 50, False),  # five an hour may always go
        (5, 10, 5, 50, True),
        (5, 119, 5, 50, True),
        (5, 120, 5, 50, False),
        (49, 100_000, 5, 50, False),
        (50, 100_000, 5, 50, True),
        (50, 100_000, 5, 0, False),
        (1000, 1000, 0, 0, False),
        (1, 1000, 0, 1, True),
    ],
)
def test_five_percent_or_fifty_an_hour_are_too_much(
    lately: int, volumes: int, percent: int, count: int, too_much: bool
) -> None:
    assert deletes_too_much(lately, volumes, percent=percent, count=count) is too_much
