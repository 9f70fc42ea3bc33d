"""The storage of one server: its pools and volumes, and the parts that taking in, reading and copying share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, MediaFailed, MediaFull, NotAvailable, NotFound
from farvault.base.log import Log
from farvault.base.units import show_size
from farvault.catalog import freeing, holds, nouns, placements, superseded
from farvault.catalog.catalog import Catalog
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.freeing import Freed
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import FILLING, READWRITE, UNAVAILABLE, Volume
from farvault.policy.destination import PoolState, Refusal, choose_pool, follow_chain
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.storage.buffers import Buffers
from farvault.storage.cache import Cache
from farvault.storage.deletions import Deletions
from farvault.storage.devices import Devices
from farvault.storage.emptied import EmptiedVolumes
from farvault.storage.free_space import FreeSpaces
from farvault.storage.mount_points import MOUNT_WAIT_SECONDS, MountPoints, Worker
from farvault.storage.output_choice import OutputChoice
from farvault.storage.outputs import SMALLEST_CAPACITY_BYTES
from farvault.storage.vault_clock import VaultClock
from farvault.storage.volume_life import VolumeLife
from farvault.storage.volume_use import VolumeUse
from farvault.storage.volumes import Volumes
from farvault.storage.watch import PoolWatch
from farvault.storage.writing import PoolWriter


class Storage:
    """One per server. `recover` once before the first session; `close` at the end.

    `cache`: what migration left in random pools. `watch`: who wants to know that a pool has changed.
    `life`: define, empty, delete volumes (what commands call). `volumes`: opens them, `use`: who uses which now, `choice`:
    which is written next, `emptied`: those that may go. Deleting goes through `freed` or `delete_objects`, so that space
    and empty volumes come back.
    """

    def __init__(
        self,
        catalog: Catalog,
        keyring: Keyring,
        identity: Identity,
        devices: Devices,
        log: Log,
        clock: Clock,
        *,
        mount_wait_seconds: float = MOUNT_WAIT_SECONDS,
    ) -> None:
        self.catalog, self.keyring, self.identity = catalog, keyring, identity
        self.devices, self.log, self.clock = devices, log, clock
        self.buffers = Buffers()
        self.tell_deleted: Callable[[int], None] = lambda _bytes: None
        """Told after each deletion how much data is needed no more."""
        self.spaces = FreeSpaces()
        self.vault_clock = VaultClock(catalog, clock, log)
        self.deletions = Deletions(catalog, devices, log, clock)
        self.life = VolumeLife(catalog, devices, self.spaces, self.deletions, log, clock)
        self.cache = Cache(catalog, self.spaces, clock)
        mounts = MountPoints(lambda name: devices.device_class(name).mount_limit, clock, mount_wait_seconds)
        self.use = VolumeUse(mounts.changed, clock)
        self.emptied = EmptiedVolumes(catalog, self.life, self.use)
        self.choice = OutputChoice(catalog, self.spaces, self.use)
        self.volumes = Volumes(
            catalog,
            devices,
            self.life,
            self.spaces,
            self.cache,
            clock,
            mounts,
            self.use,
            self.choice,
            self.emptied,
        )
        self.watch = PoolWatch()
        self.history_in_use: set[int] = set()
        """Numbers of volume history rows whose volume is being written now (`history_writing.py`)."""
        with catalog.read() as r:
            self.spaces.load(r)

    def recover(self) -> None:
        """After a stop of any kind: cut torn tails, finish what was on its way in or out."""
        self.life.finish_interrupted()
        with self.catalog.read() as r:
            unfinished = freeing.unfinished_deletions(r)
        self.delete_objects(unfinished)
        self._empty_what_a_crash_left()
        self._cut_torn_tails()

    def tidy(self) -> None:
        """Hourly: volumes whose REUSEDELAY is over, and those that could not be emptied or deleted when it was time."""
        self.emptied.tidy()

    def close(self) -> None:
        self.devices.close()

    # --- pools ---------------------------------------------------------------------------------------------------

    def destination(self, name: str) -> StoragePool:
        """The primary pool a copy group names; `NotFound` where it cannot be one."""
        with self.catalog.read() as r:
            pool = nouns.find(r, StoragePool, name)
        if pool is None or pool.is_copy:
            raise NotFound("ANR0520W", pool=name)
        return pool

    def choose_pool(self, name: str, size_bytes: int, largest_file_bytes: int = 0) -> StoragePool:
        """The first pool from `name` down its hierarchy that has room for this size (TSM reference, storage 3.1).

        MAXSIZE is compared with the largest file, where that is known, else with the size as a whole.
        """
        with self.catalog.read() as r:
            pools = {pool.name: pool for pool in nouns.select(r, StoragePool)}
            chain = follow_chain(name, {pool.name: pool.next_pool for pool in pools.values()})
            choice = choose_pool(
                [self._state(r, pools[one]) for one in chain], size_bytes, largest_file_bytes or size_bytes
            )
        if choice.refusal is None:
            return pools[choice.name]
        if choice.refusal is Refusal.UNDEFINED:
            raise NotFound("ANR0520W", pool=name)
        if choice.refusal is Refusal.TOO_LARGE:
            raise MediaFull("ANR0521W", pool=name, size=show_size(largest_file_bytes or size_bytes))
        if all(pools[one].access != READWRITE for one in chain):
            raise NotAvailable("ANR0525W", pool=name, access=pools[name].access)
        raise MediaFull("ANR0522W", pool=name)

    def _state(self, r: Snapshot, pool: StoragePool) -> PoolState:
        return PoolState(pool.name, pool.access, pool.max_size_bytes, self.choice.free_bytes(r, pool))

    def writer(
        self,
        pool: StoragePool,
        *,
        down: bool = True,
        exclude: Iterable[int] = (),
        largest_file_bytes: int = 0,
        worker: Worker | None = None,
    ) -> PoolWriter:
        """Writes into the pool; with `down`, what it cannot take goes to its successors. `exclude`: volumes not to use.

        `largest_file_bytes`: what the successors' MAXSIZE is compared with; 0: with each record's own size. `worker`: who
        holds the mount points.
        """

        def successor(full: StoragePool, size_bytes: int) -> StoragePool:
            if not full.next_pool:
                raise MediaFull("ANR0522W", pool=full.name)
            return self.choose_pool(full.next_pool, size_bytes, largest_file_bytes)

        next_pool = successor if down else None
        return PoolWriter(
            self.volumes, self.choice, self.life, self.watch, self.clock, pool, next_pool, exclude, worker
        )

    # --- deleting --------------------------------------------------------------------------------------------------

    def freed(self, tx: Transaction, freed: Freed) -> None:
        """Call it in the transaction that freed something: once it is durable, spans and empty volumes come back."""
        tx.after_commit.append(lambda: self.tell_deleted(freed.live_bytes))
        self._give_back(tx, freed.spans)

    def drop_placements(self, tx: Transaction, rows: Sequence[PlacementRow]) -> None:
        """These aggregates do not lie there any more: space and empty volumes come back when it is durable."""
        self.leave_placements(tx, rows)
        self.forget_unplaced(tx, {row.aggregate_id for row in rows})

    def leave_placements(self, tx: Transaction, rows: Sequence[PlacementRow]) -> None:
        """The same for what gets another place in this transaction; `forget_unplaced` once it has it."""
        placements.remove_many(tx, [(row.aggregate_id, row.volume_id) for row in rows])
        self._give_back(tx, [FreedSpan(row.volume_id, row.offset_bytes, row.stored_bytes) for row in rows])

    def forget_unplaced(self, tx: Transaction, aggregate_ids: Collection[int]) -> None:
        """Of these, and what they were rebuilt from, older records that lie nowhere any more are gone."""
        older = superseded.predecessors(tx, aggregate_ids)
        self._give_back(
            tx, superseded.forget_unplaced(tx, {*older, *(one for old in older.values() for one in old)})
        )

    def _give_back(self, tx: Transaction, spans: Sequence[FreedSpan]) -> None:
        if spans:
            tx.after_commit.append(lambda: self.emptied.empty_if_free(self.spaces.give_back(spans)))

    def drop_replaced(self, tx: Transaction, aggregate_ids: Collection[int]) -> None:
        """These aggregates have got new places: what they were rebuilt from goes from every pool where they are good now."""
        older = {new: old for new, old in superseded.predecessors(tx, aggregate_ids).items() if old}
        if not older:
            return
        now = placements.of_aggregates(tx, older)
        before = placements.of_aggregates(tx, {one for several in older.values() for one in several})
        dropped = []
        for new_id, old_ids in older.items():
            pools = {row.pool_id for row in now[new_id] if not row.is_lost}
            dropped += [row for one in old_ids for row in before[one] if row.pool_id in pools]
        self.drop_placements(tx, dropped)

    def delete_objects(
        self, ids: Iterable[int], raise_if_cancelled: Callable[[], None] = lambda: None
    ) -> tuple[int, int]:
        """Delete for good, in short transactions; returns (objects, plain bytes no longer needed)."""
        wanted = list(ids)
        objects = live_bytes = at = 0
        while at < len(wanted):
            raise_if_cancelled()
            batch = wanted[at : at + freeing.WORK_LIMIT]
            with self.catalog.write() as tx:
                done = freeing.delete_objects(tx, batch)
                self.freed(tx, done)
            objects, live_bytes = objects + done.objects, live_bytes + done.live_bytes
            at += batch.index(done.left[0]) if done.left else len(batch)
        return objects, live_bytes

    def delete_unheld(
        self, ids: Iterable[int], raise_if_cancelled: Callable[[], None] = lambda: None
    ) -> tuple[int, int, dict[int, tuple[str, ...]]]:
        """As `delete_objects`, but what a hold keeps stays; also returns that, with the names of the holds."""
        wanted = list(ids)
        objects = live_bytes = at = 0
        size = freeing.WORK_LIMIT
        kept: dict[int, tuple[str, ...]] = {}
        while at < len(wanted):
            raise_if_cancelled()
            batch = wanted[at : at + size]
            with self.catalog.write() as tx:
                held = holds.held(tx, batch)
                done = freeing.delete_objects(tx, [one for one in batch if one not in held])
                self.freed(tx, done)
            kept.update(held)
            objects, live_bytes = objects + done.objects, live_bytes + done.live_bytes
            at += batch.index(done.left[0]) if done.left else len(batch)
            size = freeing.next_size(size, done)
        return objects, live_bytes, kept

    def _empty_what_a_crash_left(self) -> None:
        """Local volumes whose last record went just before the crash; other servers are asked by `tidy` later."""
        with self.catalog.read() as r:
            pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
            left = [nouns.by_id(r, Volume, number) for number in placements.emptied_volumes(r)]
        self.emptied.empty_if_free(
            volume.id
            for volume in left
            if not self.devices.device(pools[volume.pool_id].device_class).capabilities.remote
        )

    def _cut_torn_tails(self) -> None:
        """What a crash left behind the last catalogued byte of local volumes goes; a volume that lost bytes shows now."""
        with self.catalog.read() as r:
            pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
            filling = nouns.select(r, Volume, status=FILLING, access=READWRITE)
        for volume in filling:
            device = self.devices.device(pools[volume.pool_id].device_class)
            if device.capabilities.remote:
                continue  # its target cuts when it is opened next; it need not be reachable now
            try:
                capacity = max(volume.capacity_bytes, SMALLEST_CAPACITY_BYTES)
                device.open_writer(volume.name, volume.written_bytes, capacity).close()
            except (MediaFailed, NotFound) as error:
                self.life.set_access(volume.id, UNAVAILABLE, error)
            except FarvaultError as error:
                self.log.repeat(error.message)
