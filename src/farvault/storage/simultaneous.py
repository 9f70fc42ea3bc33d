"""Simultaneous write: what goes into a primary pool goes into its copy pools in the same transaction (TSM reference, storage 3.7).

`CopyPools` writes beside a primary writer; what it wrote becomes known in the primary's own catalog transaction, so a
record has its copies from the first moment or (COPYCONTINUE) BACKUP STGPOOL makes them later. `StoreSession` is what the
transactions of one client session share: its mount points, and the copy pools it has given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, NotAvailable
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Transaction
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import READWRITE
from farvault.policy.collocation import Owner
from farvault.policy.mount_points import Priority
from farvault.storage.mount_points import Worker
from farvault.storage.storage import Storage
from farvault.storage.writing import PoolWriter

CLIENT, MIGRATION, ALL = "CLIENT", "MIGRATION", "ALL"


class _Copy:
    """One copy pool being written. `tags`: what lies at the writer's places 0, 1, 2..."""

    def __init__(self, pool: StoragePool, writer: PoolWriter) -> None:
        self.pool, self.writer = pool, writer
        self.tags: list[Hashable] = []


class CopyPools:
    """Writers into copy pools. Same order as a `PoolWriter`: `append`..., `sync`, `store`; close it in any case.

    `must_all`: the first that fails ends the work (`NotAvailable`); else it is left out, and its name is added to
    `given_up`: whoever shares that set does not try it again.
    """

    def __init__(
        self,
        storage: Storage,
        primary: StoragePool,
        pools: Sequence[StoragePool],
        worker: Worker,
        given_up: set[str],
        *,
        must_all: bool,
    ) -> None:
        self._storage, self._primary, self._worker = storage, primary, worker
        self._given_up, self._must_all = given_up, must_all
        self._copies = [
            _Copy(pool, storage.writer(pool, down=False, worker=worker))
            for pool in pools
            if pool.name not in given_up
        ]
        for copy in list(self._copies):
            if copy.pool.access != READWRITE:
                self._fail(copy, NotAvailable("ANR0525W", pool=copy.pool.name, access=copy.pool.access))

    def __len__(self) -> int:
        """Copy pools that are still written."""
        return len(self._copies)

    @property
    def classes(self) -> Counter[str]:
        """Mount points that writing into all of them takes."""
        return Counter(copy.pool.device_class for copy in self._copies)

    def claim(self, primary_class: str) -> None:
        """Have all mount points before the first record: the primary's and one for each copy pool.

        What cannot be had (MOUNTLIMIT, MAXNUMMP, or it takes too long) costs copy pools, the last one first.
        """
        mounts = self._storage.volumes.mounts
        if mounts.has_spare(self._worker, self.classes + Counter([primary_class])):
            return
        self._worker.rest()
        while self._copies:
            wants = self.classes + Counter([primary_class])
            if mounts.is_over_limit(wants, self._worker):
                self._fail(
                    self._copies[-1],
                    NotAvailable("ANR4761E", who=self._worker.who, points=_shown(wants)),
                )
                continue
            try:
                self._worker.claim(wants)
                return
            except NotAvailable as late:
                for copy in reversed(list(self._copies)):
                    self._fail(copy, late)

    def append(
        self,
        record: memoryview,
        digest: bytes,
        owner: Owner,
        tag: Hashable,
        has_copy: Callable[[StoragePool], bool] = lambda _pool: False,
    ) -> None:
        """Put one record into each copy pool that does not have it. `tag` names it until `store`."""
        for copy in list(self._copies):
            if has_copy(copy.pool):
                continue
            try:
                copy.writer.append(record, digest, owner)
                copy.tags.append(tag)
            except FarvaultError as error:
                self._fail(copy, error)

    def sync(self) -> None:
        """Everything appended is durable in every pool that is left."""
        for copy in list(self._copies):
            try:
                crash_point("simultaneous.copy.before_sync")
                copy.writer.sync()
            except FarvaultError as error:
                self._fail(copy, error)
        crash_point("simultaneous.copies.after_sync")

    def store(self, tx: Transaction, aggregate_of: Callable[[Hashable, StoragePool], int | None]) -> None:
        """Inside the transaction that stores the primary placements. None: this record is not wanted there after all."""
        for copy in self._copies:
            copy.writer.store(tx, [aggregate_of(tag, copy.pool) for tag in copy.tags])
            copy.tags.clear()

    def abort(self) -> None:
        """Forget everything since the last store; never raises."""
        for copy in self._copies:
            copy.writer.abort()
            copy.tags.clear()

    def close(self) -> None:
        """Let go of the volumes; it may go on."""
        for copy in self._copies:
            copy.writer.close()
            copy.tags.clear()

    def _fail(self, copy: _Copy, error: FarvaultError) -> None:
        """One pool cannot be written: without it, or not at all."""
        self._copies.remove(copy)
        copy.writer.close()
        names = {"copy": copy.pool.name, "pool": self._primary.name, "reason": error.message.text}
        if self._must_all:
            raise NotAvailable("ANR4775W", **names) from error
        self._given_up.add(copy.pool.name)
        self._storage.log.repeat(message("ANR4774W", **names))


def copy_pools_for(storage: Storage, primary: StoragePool, occasion: str) -> list[StoragePool]:
    """Copy pools that are written along with this pool. `occasion`: CLIENT or MIGRATION; AUTOCOPY says which count.

    `primary` is the pool that was asked for: a successor that takes the data in its place inherits its copy pools.
    """
    if primary.auto_copy not in (occasion, ALL) or not primary.copy_pools:
        return []
    with storage.catalog.read() as r:
        found = [nouns.find(r, StoragePool, name) for name in primary.copy_pools]
    return [pool for pool in found if pool is not None and pool.is_copy]


class StoreSession:
    """One client session that stores, from its first transaction to its end. One thread uses it at a time."""

    def __init__(self, storage: Storage, who: str = "") -> None:
        self.given_up: set[str] = set()
        """Copy pools that failed: they are left out until the session ends."""
        self._storage, self._who = storage, who
        self._told: set[str] = set()
        self._worker: Worker | None = None
        self._keeps = False

    def begin(self, node: Node) -> Worker:
        """A transaction begins. The node as it is now: MAXNUMMP and KEEPMP may have been changed."""
        mounts = self._storage.volumes.mounts
        if self._worker is None or not self._keeps:
            who = self._who or f"node {node.name}"
            self._worker = mounts.worker(Priority.STORE, who, node=node.name, most=node.max_mount_points)
        self._keeps = node.keep_mount_point
        mounts.idle(self._worker, False)
        self._worker.keeps = self._keeps
        return self._worker

    def tell_next_pool(self, asked: StoragePool, pool: StoragePool) -> None:
        """Said once for each pool: data goes further down, its copies go where they would have gone."""
        if pool.name not in (asked.name, *self._told):
            self._told.add(pool.name)
            self._storage.log.say("ANR1013I", pool=asked.name, next_pool=pool.name)

    def end(self) -> None:
        """The transaction is over. With KEEPMP=YES its mount points stay, unless something more urgent waits for them."""
        if self._worker is not None:
            if self._keeps:
                self._storage.volumes.mounts.idle(self._worker, True)
            else:
                self._worker.rest()

    def close(self) -> None:
        """The session ends."""
        if self._worker is not None:
            self._worker.rest()
            self._worker = None


def _shown(wants: Counter[str]) -> str:
    return ", ".join(f"{number} of {one}" for one, number in sorted(wants.items()))
