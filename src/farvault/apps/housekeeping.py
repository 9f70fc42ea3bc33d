"""What a server does now and then by itself, every hour: things whose time is over go.

At the target: deleted virtual volumes after their grace, what unfinished transfers left after a day. Volumes that wait
for reuse (PENDING). Old lines of the activity log. Each is a short piece of work that can be repeated at any time; what
fails is said once an hour and tried again. And every EXPINTERVAL hours expiration is started, as a process of its own.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError
from farvault.base.log import Log
from farvault.catalog import activity
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.processes.expire_inventory import DESCRIPTION, Options, expire_inventory, refuse_second
from farvault.processes.process import Processes
from farvault.storage.storage import Storage
from farvault.storage.vault_volumes import collect_deleted, collect_unfinished

PERIOD_SECONDS = 3600.0
UNFINISHED_KEPT_SECONDS = 24 * 3600
"""A source that lost its link comes back within this time and only names what it had sent."""
ACTIVITY_LOG_DAYS = 30
"""Where ACTLOGRETENTION is not set."""
EXPIRE_HOURS = 24
"""Where EXPINTERVAL is not set."""
_DAY_SECONDS = 86_400


class Housekeeping:
    """A thread from `start` to `stop`."""

    def __init__(
        self, catalog: Catalog, storage: Storage, processes: Processes, log: Log, clock: Clock
    ) -> None:
        self._catalog, self._storage, self._processes = catalog, storage, processes
        self._expire_from = clock.monotonic_seconds()
        self._log, self._clock = log, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the piece of work under way has ended."""
        self._stopping.set()
        self._thread.join()

    def do_everything(self) -> None:
        """Every piece once; an error of one does not keep the others from being done."""
        pieces: tuple[Callable[[], object], ...] = (
            lambda: collect_deleted(self._storage),
            lambda: collect_unfinished(self._storage, UNFINISHED_KEPT_SECONDS),
            self._storage.tidy,
            self._prune_activity_log,
            self._expire_when_due,
        )
        for piece in pieces:
            if self._stopping.is_set():
                return
            try:
                piece()
            except FarvaultError as error:
                self._log.repeat(error.message)
            except Exception as error:  # noqa: BLE001 - a defect here must not end the server
                traceback.print_exc(file=sys.stderr)
                self._log.say("ANR9999D", place="housekeeping", error=repr(error))

    def _run(self) -> None:
        while not self._clock.wait(self._stopping, PERIOD_SECONDS):
            self.do_everything()

    def _expire_when_due(self) -> None:
        """First an hour after the start, so that a server that comes back has other things behind it."""
        with self._catalog.read() as r:
            hours = int(get_setting(r, "EXPINTERVAL") or EXPIRE_HOURS)
        now = self._clock.monotonic_seconds()
        if not hours or now < self._expire_from:
            return
        self._expire_from = now + hours * 3600.0
        storage, processes = self._storage, self._processes
        refuse_second(processes)
        processes.start(DESCRIPTION, lambda process: expire_inventory(storage, process, processes, Options()))

    def _prune_activity_log(self) -> None:
        with self._catalog.read() as r:
            days = int(get_setting(r, "ACTLOGRETENTION") or ACTIVITY_LOG_DAYS)
        before = self._clock.now_seconds() - days * _DAY_SECONDS
        pruned = 1
        while pruned and not self._stopping.is_set():
            with self._catalog.write() as tx:
                pruned = activity.prune(tx, before)
