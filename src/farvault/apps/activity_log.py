"""Two places where a server's lines go: plain lines on standard error, and the activity log in the catalog.

The activity log has a thread of its own, so nobody who says something ever waits for the catalog's disk. Lines that
come while a batch is being written make the next batch. While the catalog or its recovery log is full they wait until there
is room. The queue is bounded: what comes when it is full is counted instead of kept (it is on standard error all the same).
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable

import structlog

from farvault.base.errors import MediaFull
from farvault.base.log import Line, Log
from farvault.base.units import show_time
from farvault.catalog import activity
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Transaction

QUEUE_LINES = 10_000
BATCH_LINES = 500
RETRY_SECONDS = 5.0
"""Between two tries while the catalog is full."""


class StandardError:
    """Sink: `MM/DD/YYYY HH:MM:SS ANR0916I text`, one line each, as a service manager's journal likes it."""

    def __init__(self) -> None:
        self._logger = structlog.PrintLogger(sys.stderr)

    def __call__(self, line: Line) -> None:
        self._logger.msg(f"{show_time(line.time_seconds)} {line}")


class ActivityLog:
    """Sink that stores lines in the catalog. `start` it once; `stop` writes what is left.

    `also`: what else is worth writing whenever a transaction is made for lines.
    """

    def __init__(self, catalog: Catalog, log: Log, also: Callable[[Transaction], None]) -> None:
        self._catalog = catalog
        self._log = log
        self._also = also
        self._lines: deque[Line] = deque()
        self._lost = self._taken = self._done = self._refusals = 0
        """Lines not kept, taken into the queue, written or given up; times that the catalog was full."""
        self._stopping = self._is_awaited = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="activity log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def __call__(self, line: Line) -> None:
        with self._changed:
            if len(self._lines) >= QUEUE_LINES:
                self._lost += 1
                return
            self._lines.append(line)
            self._taken += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Write what is queued, as far as the catalog takes it, and end. Lines after this are dropped: remove the sink first."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def settle(self, timeout_seconds: float) -> bool:
        """Until every line so far is written or given up; False where that takes longer, or the catalog is full."""
        with self._changed:
            wanted, refusals = self._taken, self._refusals
            self._is_awaited = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._done >= wanted or self._refusals != refusals, timeout_seconds
            )
            return self._done >= wanted

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                with self._catalog.write() as tx:
                    activity.append(tx, batch)
                    self._also(tx)
            except MediaFull:
                self._wait_for_room(batch)
            except Exception:  # noqa: BLE001 - an error of the disk must not end the log: the next batch may succeed
                self._count_done(batch, lost=len(batch))
            else:
                self._tell_lost()
                self._count_done(batch)

    def _next_batch(self) -> list[Line]:
        """Wait for lines; empty when the server stops and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._stopping)
            return [self._lines.popleft() for _ in range(min(len(self._lines), BATCH_LINES))]

    def _wait_for_room(self, batch: list[Line]) -> None:
        """These come first again. Whoever waits for them has it tried at once. Where the server stops, nothing more is tried."""
        with self._changed:
            self._refusals += 1
            self._changed.notify_all()
            if self._stopping:
                self._lines.clear()
                return
            self._lines.extendleft(reversed(batch))
            self._is_awaited = False
            self._changed.wait_for(lambda: self._is_awaited or self._stopping, RETRY_SECONDS)

    def _tell_lost(self) -> None:
        """Said when lines are written again: while they are not, each of these would be lost as well and make another."""
        with self._changed:
            lost, self._lost = self._lost, 0
        if lost:
            self._log.say("ANR0904W", lines=lost)

    def _count_done(self, batch: list[Line], *, lost: int = 0) -> None:
        with self._changed:
            self._lost += lost
            self._done += len(batch)
            self._changed.notify_all()
