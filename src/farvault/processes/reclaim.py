"""Space reclamation: volumes that hold little that is still needed are emptied and come back (TSM reference, storage 3.4).

By itself every hour where a pool's RECLAIM percentage is passed, and by RECLAIM STGPOOL. Of a pool at most one runs, and
not beside a migration: `Processes.start` with the pool sees to that.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from farvault.base.errors import BadInput, Cancelled, InUse, NotAvailable
from farvault.base.units import show_size
from farvault.catalog import nouns, owners
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFSITE, READWRITE, UNAVAILABLE, Volume
from farvault.policy.mount_points import useful_workers
from farvault.policy.reclamation import NEVER, VolumeState, choose, eligible, rebuild_percent
from farvault.processes.emptying import Emptied, empty_volume
from farvault.processes.process import Process, Processes, run_side_by_side
from farvault.storage.storage import Storage

DESCRIPTION = "SPACE RECLAMATION"
MINUTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Options:
    """What RECLAIM STGPOOL says; None: as the pool has it (`duration_minutes`: no limit)."""

    threshold_percent: int | None = None
    duration_minutes: int | None = None
    offsite_limit: int | None = None
    offsite_limit_given: bool = False


class _TimeIsOver(Cancelled):
    """DURATION: the run ends between two records, and that is fine."""


def check_pool(r: Snapshot, pool: StoragePool, options: Options) -> StoragePool:
    """Where the reclaimed data goes; `BadInput`, `NotAvailable` or `NotFound` where the pool cannot be reclaimed."""
    if pool.is_random:
        raise BadInput("ANR4721E", pool=pool.name)
    if pool.access == UNAVAILABLE:
        raise NotAvailable("ANR4722E", pool=pool.name, access=pool.access)
    if _threshold(pool, options) >= NEVER:
        raise BadInput("ANR4728E", pool=pool.name)
    if not pool.reclaim_pool:
        return pool
    destination = nouns.get(r, StoragePool, pool.reclaim_pool)
    if destination.access != READWRITE:
        raise NotAvailable("ANR4722E", pool=destination.name, access=destination.access)
    return destination


def volumes_to_reclaim(r: Snapshot, pool: StoragePool, options: Options) -> list[int]:
    """Numbers, in order."""
    limit = options.offsite_limit if options.offsite_limit_given else pool.offsite_reclaim_limit
    return choose(volume_states(r, pool), _threshold(pool, options), limit)


def volume_states(r: Snapshot, pool: StoragePool) -> list[VolumeState]:
    held = owners.pool_bytes(r, pool.id)
    return [
        _state(volume, held.get(volume.id, owners.NOTHING).live_bytes)
        for volume in nouns.select(r, Volume, pool_id=pool.id)
    ]


def reclaim_pool(storage: Storage, process: Process, pool_name: str, options: Options) -> None:
    """One run. It fails where a volume could not be emptied; what was moved by then stays."""
    with storage.catalog.read() as r:
        pool = nouns.get(r, StoragePool, pool_name)
        destination = check_pool(r, pool, options)
        waiting = volumes_to_reclaim(r, pool, options)[::-1]
    _Run(storage, process, pool, destination, options, waiting).run()


class _Run:
    def __init__(
        self,
        storage: Storage,
        process: Process,
        pool: StoragePool,
        destination: StoragePool,
        options: Options,
        waiting: list[int],
    ) -> None:
        self._storage, self._process = storage, process
        self._pool, self._destination = pool, destination
        self._threshold = _threshold(pool, options)
        self._waiting = waiting
        self._lock = threading.Lock()
        minutes = options.duration_minutes
        self._deadline = (
            None if minutes is None else storage.clock.monotonic_seconds() + minutes * MINUTE_SECONDS
        )
        self._total = Emptied()
        self._volumes = 0

    def run(self) -> None:
        """Volume by volume, RECLAIMPROCESS of them side by side."""
        try:
            run_side_by_side([self._work] * self._workers(), self._process.cancel_event)
        finally:
            self._process.note = ""
            self._tell()

    def _workers(self) -> int:
        """RECLAIMPROCESS, as far as there are mount points for it."""
        with self._storage.catalog.read() as r:
            limit = nouns.get(r, DeviceClass, self._destination.device_class).mount_limit
        wanted = min(self._pool.reclaim_processes, len(self._waiting))
        reads_there = self._pool.device_class == self._destination.device_class
        return useful_workers(wanted, limit, reads_there=reads_there)

    def _work(self) -> None:
        try:
            while (volume := self._next()) is not None:
                self._reclaim(volume)
        except _TimeIsOver:
            with self._lock:
                self._waiting.clear()

    def _next(self) -> Volume | None:
        """The next volume that is still worth it: it may have changed since it was chosen."""
        while True:
            self._raise_if_over()
            with self._lock:
                if not self._waiting:
                    return None
                volume_id = self._waiting.pop()
            with self._storage.catalog.read() as r:
                found = nouns.select(r, Volume, id=volume_id)
                live = owners.volume_bytes(r, volume_id).live_bytes
            if found and eligible(_state(found[0], live), self._threshold):
                return found[0]

    def _reclaim(self, volume: Volume) -> None:
        device = self._storage.devices.device(self._destination.device_class)
        names = {"volume": volume.name, "pool": self._pool.name}
        self._process.note = f"Volume {volume.name}"
        self._process.say("ANR1040I", **names, number=self._process.number)
        try:
            done = empty_volume(
                self._storage,
                self._process,
                volume,
                self._destination,
                rebuild_from_percent=rebuild_percent(self._threshold, remote=device.capabilities.remote),
                raise_if_cancelled=self._raise_if_over,
            )
        except InUse as busy:
            self._process.repeat(busy.message)
            self._process.say("ANR4723I", volume=volume.name)
            return
        self._process.say("ANR1041I", **names, **_figures(done))
        if volume.access == OFFSITE:
            self._process.say("ANR4724I", volume=volume.name)
        if done.left:
            self._process.say("ANR4725W", volume=volume.name, records=f"{done.left:,}")
        self._add(done)

    def _add(self, done: Emptied) -> None:
        with self._lock:
            self._volumes += 1
            for name in ("moved", "moved_bytes", "referred", "rebuilt", "won_bytes", "left"):
                setattr(self._total, name, getattr(self._total, name) + getattr(done, name))

    def _tell(self) -> None:
        self._process.say(
            "ANR4726I", pool=self._pool.name, volumes=f"{self._volumes:,}", **_figures(self._total)
        )

    def _raise_if_over(self) -> None:
        self._process.raise_if_cancelled()
        if self._deadline is not None and self._storage.clock.monotonic_seconds() >= self._deadline:
            raise _TimeIsOver("ANR4727I", pool=self._pool.name)


class ReclaimWhenDue:
    """Starts a process for each pool whose RECLAIM percentage is passed by a volume, unless one runs for it."""

    def __init__(self, storage: Storage, processes: Processes) -> None:
        self._storage, self._processes = storage, processes

    def __call__(self) -> None:
        with self._storage.catalog.read() as r:
            due = [pool for pool in nouns.select(r, StoragePool) if self._is_due(r, pool)]
        for pool in due:
            self._start(pool)

    def _is_due(self, r: Snapshot, pool: StoragePool) -> bool:
        if pool.is_random or pool.reclaim_percent >= NEVER or pool.access == UNAVAILABLE:
            return False
        return bool(volumes_to_reclaim(r, pool, Options()))

    def _start(self, pool: StoragePool) -> None:
        def work(process: Process) -> None:
            reclaim_pool(self._storage, process, pool.name, Options())

        with contextlib.suppress(InUse):  # whoever is at work there moves data out as well
            self._processes.start(DESCRIPTION, work, pool=pool.name)


class AfterDeletions:
    """Counts what is deleted, and calls `due` when it is worth looking at the volumes before the hour is over."""

    def __init__(self, due: Callable[[], None], worth_bytes: int = 1 << 30) -> None:
        self._due, self._worth_bytes = due, worth_bytes
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, freed_bytes: int) -> None:
        with self._lock:
            self._bytes += freed_bytes
            if self._bytes < self._worth_bytes:
                return
            self._bytes = 0
        self._due()


def _threshold(pool: StoragePool, options: Options) -> int:
    return pool.reclaim_percent if options.threshold_percent is None else options.threshold_percent


def _state(volume: Volume, live_bytes: int) -> VolumeState:
    return VolumeState(
        volume.id, volume.access, volume.status, volume.capacity_bytes, volume.written_bytes, live_bytes
    )


def _figures(done: Emptied) -> dict[str, str]:
    return {
        "records": f"{done.moved:,}",
        "size": show_size(done.moved_bytes),
        "referred": f"{done.referred:,}",
        "rebuilt": f"{done.rebuilt:,}",
        "won": show_size(done.won_bytes),
    }
