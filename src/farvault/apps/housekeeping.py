"""What a server does now and then by itself: pieces of work, each with a period of its own.

At the target: deleted virtual volumes after their grace, what unfinished transfers left after a day. At the source:
deletions that a target could not be told yet. Volumes that wait
for reuse (PENDING). Old lines of the activity log. Each is a short piece of work that can be repeated at any time; what
fails is said once a period and tried again. Long work (expiration every EXPINTERVAL hours) is started as a process of its
own. Who knows that something has become due before its time pokes the piece.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError
from farvault.base.log import Log
from farvault.catalog import activity
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.model.storage_pool import StoragePool
from farvault.processes.expire_inventory import (
    DESCRIPTION,
    EXPIRE_HOURS,
    ONE_RUNS,
    Options,
    expire_inventory,
    is_quiet,
)
from farvault.processes.migrate_when_due import PERIOD_SECONDS, MigrateWhenDue
from farvault.processes.process import Processes
from farvault.processes.reclaim import ReclaimWhenDue
from farvault.processes.scrub import ScrubWhenDue
from farvault.storage.history_volumes import delete_left_behind
from farvault.storage.storage import Storage
from farvault.storage.vault_volumes import collect_deleted, collect_unfinished, unfinished_kept_hours

HOUR_SECONDS: Final = 3600.0
SLACK_SECONDS: Final = HOUR_SECONDS / 2
"""Who looks each hour whether something is due takes what is due before the middle of the next hour: looks come a little early or
late, and a period of hours must not be missed by a second.
"""
IDLE_SESSIONS_SECONDS: Final = 60.0
"""MOUNTRETENTION is in minutes."""
ACTIVITY_LOG_DAYS: Final = 30
"""Where ACTLOGRETENTION is not set."""
TELL_DELETIONS: Final = "tell deletions"
"""Poked whenever a target is reached."""
TELL_SECONDS: Final = 600.0
CLOCK_SECONDS: Final = 300.0
"""Grace and retention count what is seen: a crash loses at most so much of the running time."""
RECLAIM: Final = "reclaim storage pools"
MIGRATE: Final = "migrate"
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Piece:
    """`work` is done every `period_seconds`, first one period after the start, and soon after a poke by `name`.

    `is_urgent`: it is short and waits for no other piece; a thread of its own does those.
    """

    name: str
    work: Callable[[], object]
    period_seconds: float = HOUR_SECONDS
    is_urgent: bool = False


class Housekeeping:
    """Two threads from `start` to `stop`, for urgent pieces and for the others: in their order, one at a time."""

    def __init__(self, pieces: Sequence[Piece], log: Log, clock: Clock) -> None:
        self._pieces = tuple(pieces)
        self._log, self._clock = log, clock
        self._due = {piece.name: clock.monotonic_seconds() + piece.period_seconds for piece in pieces}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wakes: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        for is_urgent in (True, False):
            lane = [piece for piece in self._pieces if piece.is_urgent is is_urgent]
            if lane:
                wake = threading.Event()
                self._wakes.append(wake)
                self._threads.append(
                    threading.Thread(target=self._run, args=(lane, wake), name="housekeeping", daemon=True)
                )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when the pieces of work under way have ended."""
        self._stopping.set()
        self._wake_all()
        for thread in self._threads:
            thread.join()

    def poke(self, name: str) -> None:
        """It is due now. Returns at once; any thread may call it, also inside a transaction's `after_commit`."""
        with self._lock:
            self._due[name] = self._clock.monotonic_seconds()
        self._wake_all()

    def do_everything(self) -> None:
        """Every piece once, in the caller's thread; an error of one does not keep the others from being done."""
        self._do(self._pieces)

    def _wake_all(self) -> None:
        for wake in self._wakes:
            wake.set()

    def _run(self, pieces: Sequence[Piece], wake: threading.Event) -> None:
        while not self._stopping.is_set():
            self._clock.wait(wake, self._seconds_until_due(pieces))
            wake.clear()
            self._do(self._take_due(pieces))

    def _seconds_until_due(self, pieces: Sequence[Piece]) -> float:
        with self._lock:
            return max(0.0, min(self._due[piece.name] for piece in pieces) - self._clock.monotonic_seconds())

    def _take_due(self, pieces: Sequence[Piece]) -> list[Piece]:
        now = self._clock.monotonic_seconds()
        with self._lock:
            due = [piece for piece in pieces if self._due[piece.name] <= now]
            self._due.update((piece.name, now + piece.period_seconds) for piece in due)
        return due

    def _do(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if self._stopping.is_set():
                return
            try:
                piece.work()
            except FarvaultError as error:
                self._log.repeat(error.message)
            except Exception as error:  # noqa: BLE001 - a defect here must not end the server
                traceback.print_exc(file=sys.stderr)
                self._log.say("ANR9999D", place=f"housekeeping, {piece.name}", error=repr(error))


def pieces(
    catalog: Catalog, storage: Storage, processes: Processes, clock: Clock, migrate: MigrateWhenDue
) -> list[Piece]:
    """What every server does by itself."""
    return [
        Piece("collect deleted volumes", lambda: collect_deleted(storage)),
        Piece("collect unfinished volumes", lambda: forget_unfinished(catalog, storage)),
        Piece(TELL_DELETIONS, storage.deletions.tell_waiting, TELL_SECONDS),
        Piece("look at the clock", lambda: look_at_clock(storage), CLOCK_SECONDS),
        Piece("close idle sessions", storage.devices.idle_sessions, IDLE_SESSIONS_SECONDS),
        Piece("tidy storage", storage.tidy),
        Piece("delete volumes left behind", lambda: delete_left_behind(storage, remote=True)),
        Piece("prune activity log", lambda: prune_activity_log(catalog, clock)),
        Piece("expire inventory", ExpireWhenDue(catalog, storage, processes, clock)),
        Piece(RECLAIM, ReclaimWhenDue(storage, processes)),
        Piece(MIGRATE, migrate, PERIOD_SECONDS),
        Piece("scrub", ScrubWhenDue(storage, processes)),
    ]


def forget_unfinished(catalog: Catalog, storage: Storage) -> int:
    """At a target: what transfers left that nobody went on with for UNFINISHEDRETENTION hours."""
    with catalog.read() as r:
        hours = unfinished_kept_hours(r)
    return collect_unfinished(storage, hours * int(HOUR_SECONDS))


def look_at_clock(storage: Storage) -> None:
    """Notice a jump, and remember how long the server has run."""
    with storage.catalog.write() as tx:
        storage.vault_clock.look(tx)


def watch_pools(storage: Storage, housekeeping: Housekeeping, migrate: MigrateWhenDue) -> None:
    """Whoever stores data or changes a pool makes the server look at once whether migration is due, or reclamation."""

    def stored(pool: StoragePool, filled_a_volume: bool) -> None:
        if migrate.may_be_due(pool, filled_a_volume):
            housekeeping.poke(MIGRATE)

    def changed(pool: StoragePool) -> None:
        migrate.look_again(pool)
        housekeeping.poke(MIGRATE)
        if not pool.is_random:
            housekeeping.poke(RECLAIM)

    storage.watch.listen(stored, changed)


def prune_activity_log(catalog: Catalog, clock: Clock) -> None:
    """Lines older than ACTLOGRETENTION go, in short transactions."""
    with catalog.read() as r:
        days = int(get_setting(r, "ACTLOGRETENTION") or ACTIVITY_LOG_DAYS)
    before = clock.now_seconds() - days * _DAY_SECONDS
    pruned = 1
    while pruned:
        with catalog.write() as tx:
            pruned = activity.prune(tx, before)


class ExpireWhenDue:
    """EXPINTERVAL, as it is when one looks. First an hour after the start, so that a server that comes back has other
    things behind it.
    """

    def __init__(self, catalog: Catalog, storage: Storage, processes: Processes, clock: Clock) -> None:
        self._catalog, self._storage, self._processes, self._clock = catalog, storage, processes, clock
        self._last: float | None = None

    def __call__(self) -> None:
        with self._catalog.read() as r:
            hours = int(get_setting(r, "EXPINTERVAL") or EXPIRE_HOURS)
            options = Options(quiet=is_quiet(r))
        now = self._clock.monotonic_seconds()
        if not hours or (self._last is not None and now < self._last + hours * HOUR_SECONDS - SLACK_SECONDS):
            return
        self._last = now
        storage = self._storage
        self._processes.start(
            DESCRIPTION, lambda process: expire_inventory(storage, process, options), refusal=ONE_RUNS
        )
