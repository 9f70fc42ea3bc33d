"""Time through one door, so tests can hold it still. Stored times are whole seconds UTC; durations are monotonic."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """`now_seconds` for what is stored and shown, `monotonic_seconds` for how long something took."""

    def now_seconds(self) -> int: ...

    def monotonic_seconds(self) -> float: ...

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        """Wait until the event is set or the time is over; True when it was set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_seconds(self) -> int:
        return int(time.time())

    def monotonic_seconds(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        return event.wait(timeout_seconds)


class ManualClock:
    """A clock that moves only when a test says so; waits on it end when it has moved far enough."""

    def __init__(self, now_seconds: int = 1_000_000_000) -> None:
        self._now = float(now_seconds)
        self._moved = threading.Condition()
        self._waiters = 0

    def now_seconds(self) -> int:
        return int(self._now)

    def monotonic_seconds(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward and wake every waiter."""
        with self._moved:
            self._now += seconds
            self._moved.notify_all()

    def is_awaited(self, timeout_seconds: float) -> bool:
        """True as soon as somebody waits on this clock: moving it earlier would only move the end of that wait too."""
        with self._moved:
            return self._moved.wait_for(lambda: self._waiters > 0, timeout_seconds)

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        with self._moved:
            deadline = self._now + timeout_seconds
            self._waiters += 1
            self._moved.notify_all()
            while not event.is_set() and self._now < deadline:
                self._moved.wait(0.01)  # the event itself cannot wake us: look now and then
            self._waiters -= 1
        return event.is_set()
