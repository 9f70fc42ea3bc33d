"""Source side: virtual volumes that are gone here and are still to be marked for deletion at their target.

There is one way out for volumes of pools and for those of the volume history. The volume's row goes in the same
transaction in which its deletion is queued, so a crash never leaves one without the other. The target is told at once
and, where that did not work, now and then and whenever it is reached again. Telling it twice does no harm while the row
is there: its name is not given again before.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable

from farvault.base.clock import Clock
from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, NotFound
from farvault.base.log import Log
from farvault.catalog import pending_deletions as rows
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Transaction
from farvault.model.pending_deletion import PendingDeletion
from farvault.storage.devices import Devices

AT_ONCE = 10_000
"""Told in one run; the next run goes on."""


class Deletions:
    """The queue of one server. Thread safe."""

    def __init__(self, catalog: Catalog, devices: Devices, log: Log, clock: Clock) -> None:
        self._catalog, self._devices, self._log, self._clock = catalog, devices, log, clock
        self._telling = threading.Lock()
        self._one_at_a_time: dict[str, threading.Lock] = {}
        """By target: a name is free again when its row is gone, and no other deletion of it may be on its way then."""

    def delete(
        self,
        device_class: str,
        volume: str,
        forget: Callable[[Transaction], None],
        *,
        uses_reserve: bool = False,
    ) -> PendingDeletion:
        """`forget` takes the volume's row away, and what is returned is queued in the same transaction; then `tell` it."""
        with self._catalog.write(uses_reserve=uses_reserve) as tx:
            forget(tx)
            queued = rows.add(tx, device_class, volume, self._clock.now_seconds())
            crash_point("deletion.queue.before_commit")
        crash_point("deletion.queue.after_commit")
        return queued

    def tell(self, row: PendingDeletion) -> bool:
        """Mark it at the target now; False where it goes on waiting, which is said. Raises nothing a target can cause."""
        error = self._try(row)
        if error is not None:
            self._say_waits(row, error)
        return error is None

    def tell_all(self, queued: Iterable[PendingDeletion]) -> int:
        """The same for several; a target that could not be told of one is left alone. Returns how many go on waiting."""
        queued = list(queued)
        return len(queued) - self._tell_each(queued).total()

    def tell_waiting(self) -> int:
        """Everything that waits, those that were tried longest ago first; returns how many targets know of now.

        A target that refuses one or cannot be reached is left alone until the next run. Waits for a run under way:
        that one may have been refused what is allowed by now.
        """
        with self._telling:
            return self._tell_waiting()

    @property
    def is_telling(self) -> bool:
        """A run is under way: that a target was reached is no news."""
        return self._telling.locked()

    def _tell_waiting(self) -> int:
        with self._catalog.read() as r:
            waiting = rows.waiting(r, AT_ONCE)
        told = self._tell_each(waiting)
        for server, count in told.items():
            self._log.say("ANR4871I", server=server, count=f"{count:,}")
        return told.total()

    def _tell_each(self, waiting: list[PendingDeletion]) -> Counter[str]:
        """How many each target knows of now."""
        told: Counter[str] = Counter()
        down: set[str] = set()
        for row in waiting:
            if row.server_name in down:
                continue
            error = self._try(row)
            if error is None:
                told[row.server_name] += 1
                continue
            self._say_waits(row, error)
            if not isinstance(error, NotFound):  # its class is gone: that is about this one only
                down.add(row.server_name)
        return told

    def _try(self, row: PendingDeletion) -> FarvaultError | None:
        """Somebody else may have told it since the row was read: the name may be another volume's by now."""
        try:
            with self._one_at_a_time.setdefault(row.server_name, threading.Lock()):
                self._tell_if_it_waits(row)
        except FarvaultError as error:  # of the target, or our own catalog's: it goes on waiting
            with contextlib.suppress(FarvaultError), self._catalog.write() as tx:
                rows.failed(tx, row, str(error.message), self._clock.now_seconds())
            return error
        return None

    def _tell_if_it_waits(self, row: PendingDeletion) -> None:
        with self._catalog.read() as r:
            if not rows.waits(r, row):
                return
        self._devices.device(row.device_class).delete(row.volume)
        crash_point("deletion.told.before_row")
        with self._catalog.write() as tx:
            rows.told(tx, row)

    def _say_waits(self, row: PendingDeletion, error: FarvaultError) -> None:
        self._log.say("ANR4870W", volume=row.volume, server=row.server_name, reason=error.message)
