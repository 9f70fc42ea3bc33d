"""Who is connected: what QUERY SESSION shows and CANCEL SESSION ends."""

from __future__ import annotations

import itertools
import threading
import time

from farvault.base.clock import Clock
from farvault.base.errors import NotFound
from farvault.transport.connection import Connection


class SessionEntry:
    """One session. `type`: Node, Admin or Server. `since`: seconds UTC of its start."""

    def __init__(
        self, number: int, type: str, name: str, platform: str, since: int, connection: Connection
    ) -> None:
        self.number = number
        self.type = type
        self.name = name
        self.platform = platform
        self.since = since
        self.connection = connection
        self.cancelled = False

    @property
    def address(self) -> str:
        return self.connection.peer

    @property
    def state(self) -> str:
        """Run, IdleW (waits for a request), RecvW, SendW."""
        return self.connection.state

    @property
    def wait_seconds(self) -> float:
        """How long it has been in this state; 0 while it runs."""
        return 0.0 if self.state == "Run" else time.monotonic() - self.connection.state_since

    @property
    def bytes_sent(self) -> int:
        return self.connection.bytes_sent

    @property
    def bytes_received(self) -> int:
        return self.connection.bytes_received


class SessionTable:
    """Numbers grow from 1 and are not used again while the server runs. Thread safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._entries: dict[int, SessionEntry] = {}
        self._lock = threading.Lock()

    def open(self, connection: Connection, type: str, name: str, platform: str = "") -> SessionEntry:
        """Enter a session; `remove` it in any case."""
        with self._lock:
            entry = SessionEntry(
                next(self._numbers), type, name, platform, self._clock.now_seconds(), connection
            )
            self._entries[entry.number] = entry
            return entry

    def remove(self, entry: SessionEntry) -> None:
        """Forget a session; fine where it is gone."""
        with self._lock:
            self._entries.pop(entry.number, None)

    def list(self) -> list[SessionEntry]:
        """All open sessions by number."""
        with self._lock:
            return [entry for _, entry in sorted(self._entries.items())]

    def cancel(self, number: int) -> SessionEntry:
        """Cut a session's connection; its thread finds out at once. `NotFound` where there is none."""
        with self._lock:
            entry = self._entries.get(number)
        if entry is None:
            raise NotFound("ANR2034E", command="CANCEL SESSION")
        entry.cancelled = True
        entry.connection.shutdown()
        return entry
