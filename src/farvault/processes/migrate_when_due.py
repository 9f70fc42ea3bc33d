"""Migration that starts by itself: when a pool has reached HIGHMIG (TSM reference, storage 3.2.1 and 3.2.4).

Looked at every minute, and at once when somebody has stored data or changed a pool. Where a migration failed or found
nothing that may go, the next one waits: a minute, doubled up to an hour. Here is also where cached copies go whose pool
is CACHE=NO by now.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from farvault.base.errors import InUse
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy.migration import NEVER_PERCENT, End, is_due, retry_seconds
from farvault.processes.migrate import DESCRIPTION, migrate_pool
from farvault.processes.process import Process, Processes
from farvault.storage.pool_use import cached_bytes, pool_use
from farvault.storage.storage import Storage

PERIOD_SECONDS = 60.0


@dataclass(slots=True)
class _Waits:
    """A pool whose last migration did not help."""

    failures: int
    until: float
    """By the monotonic clock."""


class MigrateWhenDue:
    """A piece of housekeeping: call it now and then. Thread safe."""

    def __init__(self, storage: Storage, processes: Processes) -> None:
        self._storage, self._processes, self._clock = storage, processes, storage.clock
        self._lock = threading.Lock()
        self._waits: dict[int, _Waits] = {}

    def __call__(self) -> None:
        """Start what is due; one migration a pool."""
        storage = self._storage
        with storage.catalog.read() as r:
            pools = nouns.select(r, StoragePool)
            due = [pool for pool in pools if self._may_start(pool) and self._is_due(r, pool)]
            give_up = [pool for pool in pools if not pool.cache and cached_bytes(storage, r, pool)]
        for pool in give_up:
            self._give_up_cache(pool)
        for pool in due:
            self._start(pool)

    def may_be_due(self, pool: StoragePool, filled_a_volume: bool) -> bool:
        """After data was stored in a pool: is it worth looking? Asked often, so it must be cheap.

        The use of a sequential pool counts in volumes or takes reading: then once a volume.
        """
        if not self._may_start(pool) or not (pool.is_random or filled_a_volume):
            return False
        with self._storage.catalog.read() as r:
            return self._is_due(r, pool)

    def look_again(self, pool: StoragePool) -> None:
        """It was changed: what kept the last migration from helping may be over."""
        with self._lock:
            self._waits.pop(pool.id, None)

    def _may_start(self, pool: StoragePool) -> bool:
        if pool.is_copy or not pool.next_pool or pool.access == "UNAVAILABLE":
            return False
        if pool.high_migration_percent >= NEVER_PERCENT:
            return False
        with self._lock:
            waits = self._waits.get(pool.id)
        if waits is not None and self._clock.monotonic_seconds() < waits.until:
            return False
        return not self._processes.is_moving(pool.name)

    def _is_due(self, r: Snapshot, pool: StoragePool) -> bool:
        return is_due(pool_use(self._storage, r, pool), pool.high_migration_percent)

    def _start(self, pool: StoragePool) -> None:
        def work(process: Process) -> None:
            helped = False
            try:
                helped = (
                    migrate_pool(self._storage, process, pool.name) is End.LOW_REACHED or process.objects > 0
                )
            finally:
                self._remember(pool, helped and not process.failed_objects)

        try:
            self._processes.start(DESCRIPTION, work, pool=pool.name)
        except InUse:
            return  # whoever is at work there moves data out as well

    def _remember(self, pool: StoragePool, helped: bool) -> None:
        with self._lock:
            if helped:
                self._waits.pop(pool.id, None)
                return
            had = self._waits.get(pool.id)
            failures = had.failures + 1 if had else 1
            seconds = retry_seconds(failures)
            self._waits[pool.id] = _Waits(failures, self._clock.monotonic_seconds() + seconds)
        self._storage.log.say("ANR1002I", pool=pool.name, seconds=seconds)

    def _give_up_cache(self, pool: StoragePool) -> None:
        with self._storage.catalog.read() as r:
            volumes = [volume.id for volume in nouns.select(r, Volume, pool_id=pool.id)]
        if number := self._storage.cache.drop(volumes):
            self._storage.log.say("ANR4703I", pool=pool.name, number=f"{number:,}")
