"""MIGRATE STGPOOL: move data of a primary pool to its next pool (TSM reference, storage 3.2).

Each record takes its new place and leaves its old one in one transaction, so whatever stops the work loses nothing. With
CACHE=YES its bytes stay behind as a cached copy. Workers share one list of portions; before each, the pool is looked at:
where it is low enough, they stop.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from farvault.base.disk import crash_point
from farvault.base.errors import BadInput, Cancelled, CatalogFull, MediaFull, NotAvailable, PeerUnreachable
from farvault.base.units import show_size
from farvault.catalog import migrating, nouns, placements
from farvault.catalog.owners import groups_of_nodes
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.policy.destination import follow_chain
from farvault.policy.migration import (
    End,
    Pass,
    Portion,
    is_low,
    order_of_owners,
    order_of_volumes,
    passes,
    portions_of_owners,
    takes_file,
)
from farvault.policy.mount_points import Priority, useful_workers
from farvault.processes.process import Process, run_side_by_side
from farvault.storage.copying import Stored, copy_aggregates
from farvault.storage.pool_use import pool_use
from farvault.storage.simultaneous import MIGRATION, copy_pools_for
from farvault.storage.storage import Storage

DESCRIPTION = "MIGRATION"
PAGE = 1000


class _TimeOver(Cancelled):
    """DURATION is over: what is written is kept, as when somebody cancels."""


def migratable(r: Snapshot, name: str) -> StoragePool:
    """The pool; raises what keeps it from migrating: a copy pool, no next pool, access UNAVAILABLE."""
    pool = nouns.get(r, StoragePool, name)
    if pool.is_copy:
        raise BadInput("ANR2255E", pool=pool.name, needed="a primary storage pool")
    if not pool.next_pool:
        raise BadInput("ANR4700E", pool=pool.name)
    if pool.access == "UNAVAILABLE":
        raise NotAvailable("ANR4701E", pool=pool.name)
    return pool


def migrate_pool(
    storage: Storage,
    process: Process,
    pool_name: str,
    *,
    low_percent: int | None = None,
    duration_minutes: float | None = None,
) -> End:
    """Until the pool is at `low_percent` (its LOWMIG where None), nothing is left, or the time is over; returns which.

    The process fails where records could not be read or no next pool takes them. Raises what ended the work before:
    `MediaFull` where the next pools are full. What was moved stays moved.
    """
    with storage.catalog.read() as r:
        pool = migratable(r, pool_name)
        use = pool_use(storage, r, pool)
    low = pool.low_migration_percent if low_percent is None else low_percent
    process.say("ANR1000I", number=process.number, pool=pool.name, percent=f"{use.percent:.1f}", low=low)
    run = _Run(storage, process, pool, low, duration_minutes)
    objects_before, bytes_before = process.objects, process.bytes  # of a reclamation that came first
    try:
        end = run.run()
    except MediaFull as full:
        if isinstance(full, CatalogFull):
            raise
        process.repeat(full.message)
        raise MediaFull("ANR1025W", pool=pool.name, next_pool=pool.next_pool) from full
    finally:
        process.note = ""
        run.say_what_stays()
    with storage.catalog.read() as r:
        left = pool_use(storage, r, pool).percent
    process.say(
        "ANR1001I",
        number=process.number,
        pool=pool.name,
        records=f"{process.objects - objects_before:,}",
        size=show_size(process.bytes - bytes_before),
        left=f"{left:.1f}",
        why=end.value,
    )
    return end


@dataclass(slots=True)
class _Stays:
    """What could not be moved."""

    unreadable: int = 0
    too_large: set[int] = field(default_factory=set)
    """Aggregates; each is met once a pass."""


class _Run:
    def __init__(
        self, storage: Storage, process: Process, pool: StoragePool, low: int, duration_minutes: float | None
    ) -> None:
        self._storage, self._process, self._pool, self._low = storage, process, pool, low
        self._deadline = (
            None if duration_minutes is None else storage.clock.monotonic_seconds() + 60 * duration_minutes
        )
        self._lock = threading.Lock()
        self._waiting: list[Portion] = []
        self._stays = _Stays()
        self._is_low = False

    def run(self) -> End:
        pool, now = self._pool, self._storage.clock.now_seconds()
        try:
            for one in passes(now, pool.migration_delay_days, pool.migration_continue):
                self._waiting = self._portions(one)[::-1]
                self._go_through(one)
                if self._is_low:
                    return End.LOW_REACHED
        except _TimeOver:
            return End.TIME_OVER
        with self._storage.catalog.read() as r:
            left = pool_use(self._storage, r, pool)
        if left.used and is_low(left, self._low):
            return End.LOW_REACHED
        delayed = pool.migration_delay_days and not pool.migration_continue and left.used
        return End.DELAYED if delayed else End.NOTHING_LEFT

    def say_what_stays(self) -> None:
        """Counted as failed: the process does not end with success."""
        if self._stays.unreadable:
            self._process.say("ANR1028W", pool=self._pool.name, records=f"{self._stays.unreadable:,}")
        if self._stays.too_large:
            self._process.count_failed(len(self._stays.too_large))
            self._process.say("ANR1026W", pool=self._pool.name, records=f"{len(self._stays.too_large):,}")

    # --- what goes --------------------------------------------------------------------------------------------------

    def _portions(self, one: Pass) -> list[Portion]:
        pool = self._pool
        with self._storage.catalog.read() as r:
            if not pool.is_random:
                return order_of_volumes(migrating.volumes(r, pool.id), one)
            collocate = nouns.get(r, StoragePool, pool.next_pool).collocate
            found = portions_of_owners(migrating.owners(r, pool.id), collocate, groups_of_nodes(r))
            return order_of_owners(found, one)

    def _next(self) -> Portion | None:
        """The next portion; None where there is none, or the pool is low enough by now."""
        with self._lock:
            if not self._waiting or self._is_low:
                return None
            with self._storage.catalog.read() as r:
                self._is_low = is_low(pool_use(self._storage, r, self._pool), self._low)
            return None if self._is_low else self._waiting.pop()

    def _go_through(self, one: Pass) -> None:
        def work() -> None:
            while (portion := self._next()) is not None:
                self._move(portion, one)

        run_side_by_side([work] * self._workers(), self._process.cancel_event)

    def _workers(self) -> int:
        """MIGPROCESS, as far as the first next pool has mount points for it."""
        with self._storage.catalog.read() as r:
            first = nouns.get(r, StoragePool, self._pool.next_pool)
            limit = nouns.get(r, DeviceClass, first.device_class).mount_limit
        wanted = min(self._pool.migration_processes, len(self._waiting))
        return useful_workers(wanted, limit, reads_there=first.device_class == self._pool.device_class)

    # --- one portion ------------------------------------------------------------------------------------------------

    def _move(self, portion: Portion, one: Pass) -> None:
        """To the first pool down the hierarchy that takes it; what is too large for that one, to a later one."""
        successors = self._successors()
        limits = [pool.max_size_bytes for pool in successors]
        for index, pool in enumerate(successors):
            self._copy(self._chosen(portion, one, limits, index), pool)
            if limits[index] is None:
                return
        for row in self._chosen(portion, one, limits, None):
            self._stays.too_large.add(row.aggregate_id)

    def _successors(self) -> list[StoragePool]:
        """Those that may be written, down the hierarchy, as they are now."""
        with self._storage.catalog.read() as r:
            pools = {pool.name: pool for pool in nouns.select(r, StoragePool)}
        chain = follow_chain(self._pool.next_pool, {pool.name: pool.next_pool for pool in pools.values()})
        found = [
            pools[name] for name in chain if pools[name].access == "READWRITE" and name != self._pool.name
        ]
        if not found:
            raise MediaFull("ANR0522W", pool=self._pool.next_pool)
        return found

    def _chosen(
        self, portion: Portion, one: Pass, limits: Sequence[int | None], index: int | None
    ) -> Iterator[PlacementRow]:
        """Records of the portion that the pool of this number takes first (None: that none takes)."""
        place = (-1, -1)
        while True:
            with self._storage.catalog.read() as r:
                rows = migrating.records(r, self._pool.id, portion, one.before, place, PAGE)
                if any(limit is not None for limit in limits):
                    sizes = migrating.largest_files(r, [row.aggregate_id for row in rows])
                    chosen = [
                        row for row in rows if takes_file(limits, sizes.get(row.aggregate_id, 0)) == index
                    ]
                else:
                    chosen = rows
            for row in chosen:
                self._process.note = f"Storage pool {self._pool.name}, volume {row.volume_name}"
                yield row
            if len(rows) < PAGE:
                return
            place = rows[-1].place

    def _copy(self, rows: Iterator[PlacementRow], pool: StoragePool) -> None:
        crash_point("migrate.portion.before")
        try:
            copied = copy_aggregates(
                self._storage,
                rows,
                pool,
                allowed=lambda row: row.pool_id == self._pool.id,
                progress=self._process.advance,
                raise_if_cancelled=self._raise_if_over,
                on_store=self._leaving(),
                down=True,
                priority=Priority.MIGRATION,
                who=f"process {self._process.number} ({self._process.description})",
                beside=copy_pools_for(self._storage, pool, MIGRATION),
            )
        except PeerUnreachable:
            self._process.raise_if_cancelled()  # it was not tried again because of that
            raise
        crash_point("migrate.portion.after")
        for lost in copied.lost:
            self._process.count_failed()
            self._process.repeat(lost.reason)
        with self._lock:
            self._stays.unreadable += len(copied.lost)

    def _raise_if_over(self) -> None:
        self._process.raise_if_cancelled()
        if self._deadline is not None and self._storage.clock.monotonic_seconds() >= self._deadline:
            raise _TimeOver("ANR0943I", number=self._process.number)

    def _leaving(self) -> Stored:
        """In the transaction that gives an aggregate its new place: the old one goes, or stays as a cached copy.

        What has no old place any more was moved by somebody else, and stays where that one has put it.
        """

        def leave(tx: Transaction, aggregate_ids: Sequence[int]) -> set[int]:
            crash_point("migrate.leave.before")
            found = placements.of_aggregates(tx, aggregate_ids).values()
            rows = [row for places in found for row in places if row.pool_id == self._pool.id]
            moved_meanwhile = set(aggregate_ids).difference(row.aggregate_id for row in rows)
            caches = self._pool.is_random and nouns.by_id(tx, StoragePool, self._pool.id).cache
            if caches:
                self._storage.cache.keep(tx, [row for row in rows if not row.damaged])
                rows = [row for row in rows if row.damaged]
            self._storage.leave_placements(tx, rows)
            crash_point("migrate.leave.after")
            return moved_meanwhile

        return leave
