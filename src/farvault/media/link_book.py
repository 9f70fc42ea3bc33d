"""What goes on between this server and each of its targets, since the server was started: what QUERY SERVER shows.

All sessions with a target count, those of device classes and those that compare and ask. Only in memory: it is about now.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from farvault.base.clock import Clock
from farvault.base.messages import Message
from farvault.transport.connection import Connection


@dataclass(frozen=True, slots=True)
class Retry:
    """Somebody who tries to reach the target again. Times are seconds UTC. `volume`: empty for a short request."""

    volume: str
    since_time: int
    next_time: int
    reason: str


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One target. Bytes are those of whole frames, signing on included; sessions that have ended count."""

    sessions: int
    waiting: int
    """Requests that wait for a session of their device class."""
    retries: tuple[Retry, ...]
    bytes_sent: int
    bytes_received: int
    opened: int
    """Sessions that were opened."""
    broken: int
    """Times that a link broke, or the target could not be reached."""
    records_again: int
    """Records that travelled a second time after a broken link."""
    error: str
    error_time: int
    """Of the last failure; 0 = there was none."""


class LinkRecord:
    """One target's page. Thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: list[Connection] = []
        self._retries: dict[object, Retry] = {}
        self._waiting = self._opened = self._broken = self._again = 0
        self._ended_sent = self._ended_received = 0
        self._error, self._error_time = "", 0

    def opened(self, connection: Connection) -> None:
        with self._lock:
            self._fold()
            self._open.append(connection)
            self._opened += 1

    def failed(self, reason: Message) -> None:
        """A session could not be had, or was refused, or broke."""
        with self._lock:
            self._broken += 1
            self._error, self._error_time = str(reason), self._clock.now_seconds()

    def retrying(
        self, who: object, volume: str, reason: Message, since_seconds: float, wait_seconds: float
    ) -> None:
        """`who` has been trying for so many seconds and tries again after that wait; until `settled`."""
        now = self._clock.now_seconds()
        with self._lock:
            self._retries[who] = Retry(
                volume, now - round(since_seconds), now + round(wait_seconds), reason.text
            )

    def settled(self, who: object) -> None:
        """It got through, or gave up; fine where it was not trying."""
        with self._lock:
            self._retries.pop(who, None)

    def sent_again(self) -> None:
        with self._lock:
            self._again += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block somebody waits for a session."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def status(self) -> LinkStatus:
        with self._lock:
            self._fold()
            return LinkStatus(
                sessions=len(self._open),
                waiting=self._waiting,
                retries=tuple(sorted(self._retries.values(), key=lambda one: one.since_time)),
                bytes_sent=self._ended_sent + sum(one.bytes_sent for one in self._open),
                bytes_received=self._ended_received + sum(one.bytes_received for one in self._open),
                opened=self._opened,
                broken=self._broken,
                records_again=self._again,
                error=self._error,
                error_time=self._error_time,
            )

    def _fold(self) -> None:
        """Those that have ended are not kept, only what they moved. The lock is held."""
        for one in self._open:
            if one.ended.is_set():
                self._ended_sent += one.bytes_sent
                self._ended_received += one.bytes_received
        self._open = [one for one in self._open if not one.ended.is_set()]


class LinkBook:
    """A page for every target that was ever used, by the name of its server definition. Thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pages: dict[str, LinkRecord] = {}
        self._lock = threading.Lock()

    def of(self, server_name: str) -> LinkRecord:
        with self._lock:
            return self._pages.setdefault(server_name, LinkRecord(self._clock))
