"""Growing pauses after failed sign-ons: guessing passwords gets slow, and nobody is locked out for good.

A name has five free tries, then the pause before the next doubles from one second to 15 minutes. So that a stranger
cannot keep the owner out by failing on purpose, a host from which the name has signed on before is counted by
itself. A host has 20 failures a minute whatever the names. What is refused here was not tried, so it counts for
nothing. Memory is bounded: the longest unused entries are forgotten first.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from farvault.base.clock import Clock
from farvault.base.errors import LoginRefused

FREE_TRIES: Final = 5
LONGEST_PAUSE_SECONDS: Final = 900.0
FORGOTTEN_AFTER_SECONDS: Final = 3600.0
HOST_FAILURES_PER_MINUTE: Final = 20
_MOST_ENTRIES: Final = 10_000

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """A dictionary that holds the most recently used entries only."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, str], Value] = OrderedDict()

    def get(self, name: str, host: str) -> Value | None:
        return self._entries.get((name, host))

    def put(self, name: str, host: str, value: Value) -> None:
        self._entries[name, host] = value
        self._entries.move_to_end((name, host))
        if len(self._entries) > _MOST_ENTRIES:
            self._entries.popitem(last=False)

    def drop(self, name: str, host: str) -> None:
        self._entries.pop((name, host), None)


class Throttle:
    """One for each server. `host`: the other side's address without its port. Thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: _Recent[tuple[int, float]] = _Recent()
        self._hosts: _Recent[tuple[float, float]] = _Recent()
        self._trusted: _Recent[bool] = _Recent()

    def check(self, name: str, host: str) -> None:
        """Before a password is looked at. `LoginRefused` while a pause lasts."""
        with self._lock:
            now = self._clock.monotonic_seconds()
            seconds = max(self._name_pause(name, host, now), self._host_pause(host, now))
        if seconds > 0:
            raise LoginRefused("ANR0421W", name=name, address=host, seconds=math.ceil(seconds))

    def failed(self, name: str, host: str) -> None:
        """The password was wrong or the name unknown."""
        with self._lock:
            now = self._clock.monotonic_seconds()
            failures, last = self._counter(name, host)
            if now - last > FORGOTTEN_AFTER_SECONDS:
                failures = 0
            self._failures.put(name, self._counted_host(name, host), (failures + 1, now))
            self._hosts.put("", host, (self._tries_left(host, now) - 1, now))

    def succeeded(self, name: str, host: str) -> None:
        """The password was right: forget this name's failures from there, and remember the host."""
        with self._lock:
            self._trusted.put(name, host, True)
            self._failures.drop(name, host)

    def _counted_host(self, name: str, host: str) -> str:
        return host if self._trusted.get(name, host) else ""

    def _counter(self, name: str, host: str) -> tuple[int, float]:
        return self._failures.get(name, self._counted_host(name, host)) or (0, 0.0)

    def _name_pause(self, name: str, host: str, now: float) -> float:
        failures, last = self._counter(name, host)
        if failures < FREE_TRIES:
            return 0.0
        pause = min(2.0 ** min(failures - FREE_TRIES, 20), LONGEST_PAUSE_SECONDS)
        return last + pause - now

    def _host_pause(self, host: str, now: float) -> float:
        missing = 1 - self._tries_left(host, now)
        return missing * 60 / HOST_FAILURES_PER_MINUTE

    def _tries_left(self, host: str, now: float) -> float:
        left, last = self._hosts.get("", host) or (float(HOST_FAILURES_PER_MINUTE), now)
        return min(left + (now - last) * HOST_FAILURES_PER_MINUTE / 60, HOST_FAILURES_PER_MINUTE)
