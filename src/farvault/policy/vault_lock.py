"""When a virtual volume that its source has deleted may go for good, and when a source deletes too much. Pure.

Nothing goes before its grace is over and, since it was received, the retention that the target's administrator set.
A lock that was lowered keeps its word to what was received before (`Floor`). After another identity was accepted for
the source, deletions sleep for a full grace first. All periods count on the target's clock by `clock_guard`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from farvault.policy.clock_guard import DAY_SECONDS, Moment, elapsed

LEAST_MARKS: Final = 5
"""So many volumes an hour may go in any vault: of a small one, one volume is more than five percent."""
SLEEP_DAYS: Final = 5
"""How long deletions sleep at least: the reference's grace period."""


class Lock(NamedTuple):
    """What the administrator promises, in days."""

    retention_days: int = 0
    grace_days: int = 0


class Floor(NamedTuple):
    """A lock that was lowered: what was received by then keeps it."""

    received_running: int
    lock: Lock


class Sleep(NamedTuple):
    """Deletions sleep from this moment on for so many days. 0 days: they do not."""

    since: Moment = Moment(0, 0)
    days: int = 0


class Marked(NamedTuple):
    """A segment its source has deleted. `grace_days`: as asked and granted when it was marked."""

    received: Moment
    marked: Moment
    grace_days: int


def lock_of(received_running: int, current: Lock, floors: Iterable[Floor]) -> Lock:
    """The strongest of what holds now and what held for it before."""
    locks = [current, *(floor.lock for floor in floors if received_running <= floor.received_running)]
    return Lock(max(lock.retention_days for lock in locks), max(lock.grace_days for lock in locks))


def seconds_left(segment: Marked, lock: Lock, sleep: Sleep, now: Moment) -> int:
    """Until it may be removed; 0 = it may go now."""
    grace_seconds = max(segment.grace_days, lock.grace_days) * DAY_SECONDS
    left = [
        grace_seconds - elapsed(segment.marked, now),
        lock.retention_days * DAY_SECONDS - elapsed(segment.received, now),
    ]
    if sleep.days:
        wakes = sleep.days * DAY_SECONDS
        if segment.marked.running >= sleep.since.running:
            wakes += grace_seconds  # marked while asleep: its own grace begins when the sleep is over
        left.append(wakes - elapsed(sleep.since, now))
    return max(0, *left)


def is_kept(received: Moment, lock: Lock, now: Moment) -> bool:
    """Does the retention still keep a segment that nobody has deleted? A grace could not even have begun."""
    return lock.grace_days > 0 or elapsed(received, now) < lock.retention_days * DAY_SECONDS


def deletes_too_much(marked_lately: int, volumes: int, *, percent: int, count: int) -> bool:
    """Would one more be too many? `marked_lately`: volumes marked in the last hour; `volumes`: all, marked ones too."""
    now = marked_lately + 1
    if count and now > count:
        return True
    return bool(percent) and now > LEAST_MARKS and now * 100 > volumes * percent
