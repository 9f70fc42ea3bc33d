"""Copies sealed records from volume to volume as they are: no key, no new compression, the digest checked on the way.

Reading, checking and writing overlap over a ring of reused buffers. Every window (256 MiB or 30 seconds) is made durable
and stored in the catalog, so what was done stays done when the link breaks or somebody cancels. Where the device of the
target pool can refer to what it holds already, only names travel.

A pool that collocates gets the records of a window sorted by whose they are. Where mount points are short the copy gives
back all it holds at the next safe place and asks for what it needs at once; where reading and writing need the only
point of one class, they take turns.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from farvault.base.disk import crash_point
from farvault.base.pipeline import run_ahead
from farvault.base.units import MIB
from farvault.catalog import placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Transaction
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED
from farvault.policy.collocation import Key, Owner
from farvault.policy.mount_points import Priority
from farvault.seal.record import STORED_MAX_BYTES
from farvault.storage.giving_way import GivingWay
from farvault.storage.mount_points import GiveWay, Worker
from farvault.storage.reading import AggregateReader, Found, Lost
from farvault.storage.simultaneous import CopyPools
from farvault.storage.storage import Storage
from farvault.storage.writing import PoolWriter

WINDOW_BYTES = 256 * MIB
WINDOW_RECORDS = 10_000
WINDOW_SECONDS = 30.0
KNOWN_BATCH = 1000
AHEAD = 4
TURN_RECORDS = 12
"""Read into memory, then written, where reading and writing take turns: up to 48 MiB."""

Stored = Callable[[Transaction, Sequence[int]], "set[int] | None"]
"""Called inside the storing transaction, before the placements, with the aggregates that get one now. It may name some
that shall not get one after all, because what was to be moved has gone elsewhere meanwhile."""


@dataclass(slots=True)
class Copied:
    """What was done. `lost`: aggregates that no allowed placement gave; each was said in the log."""

    records: int = 0
    stored_bytes: int = 0
    referred: int = 0
    """Of these records, how many the target held already: only their names travelled."""
    lost: list[Lost] = field(default_factory=list)


def copy_aggregates(
    storage: Storage,
    rows: Iterable[PlacementRow],
    pool: StoragePool,
    *,
    allowed: Callable[[PlacementRow], bool] | None = None,
    progress: Callable[[int, int], None] = lambda _records, _bytes: None,
    raise_if_cancelled: Callable[[], None] = lambda: None,
    on_store: Stored = lambda _tx, _ids: None,
    exclude: Iterable[int] = (),
    down: bool = False,
    priority: Priority = Priority.COPY,
    who: str = "a copy of records",
    beside: Sequence[StoragePool] = (),
    nearest: bool = False,
) -> Copied:
    """Put a copy of each row's aggregate into the pool. `rows` in the order in which they should be read.

    `allowed`: which placements may be read (only copy pools, only one pool). `progress(records, bytes)` after each that
    is written; less than nothing where a volume broke and they are written once more. `exclude`: volumes that must not receive anything. `down`: go on in the pool's successors when it is full.
    `nearest`: read what lies on this machine before what another server keeps. `beside`: copy pools that get what they
    do not have yet at the same time (migration with AUTOCOPY, see `simultaneous.copy_pools_for`); one that fails is left
    out. `priority` and `who`: where it stands among those that wait for mount points, and how QUERY MOUNT names it.
    An aggregate that is freed meanwhile, or moved to where `allowed` does not look, is left out. Raises what ended the work; what was stored before stays.
    """
    copied = Copied()
    source = iter(rows)
    worker = storage.volumes.mounts.worker(priority, who, gives_way=True)
    reader = AggregateReader(storage, allowed, nearest=nearest, worker=worker)
    try:
        with contextlib.closing(storage.writer(pool, down=down, exclude=exclude, worker=worker)) as writer:
            copies = CopyPools(storage, pool, beside, worker, set(), must_all=False)
            with contextlib.closing(copies):
                copy = _Copy(
                    storage, writer, copies, worker, reader, progress, raise_if_cancelled, on_store, copied
                )
                while window := _next_window(source):
                    copy.window(window)
    finally:
        worker.rest()
    return copied


def _next_window(source: Iterator[PlacementRow]) -> list[PlacementRow]:
    window: list[PlacementRow] = []
    size = 0
    for row in source:
        window.append(row)
        size += row.stored_bytes
        if size >= WINDOW_BYTES or len(window) >= WINDOW_RECORDS:
            break
    return window


class _Copy:
    """One run. `_placed` holds the aggregates written since the last store, in the order of the writer's places;
    `_placed_bytes` and `_placed_by_name` are how much they are, and how many of them were referred to."""

    def __init__(
        self,
        storage: Storage,
        writer: PoolWriter,
        copies: CopyPools,
        worker: Worker,
        reader: AggregateReader,
        progress: Callable[[int, int], None],
        raise_if_cancelled: Callable[[], None],
        on_store: Stored,
        copied: Copied,
    ) -> None:
        self._storage, self._writer, self._worker, self._reader = storage, writer, worker, reader
        self._progress, self._raise_if_cancelled, self._on_store = progress, raise_if_cancelled, on_store
        self._copies, self._copied = copies, copied
        self._are_in: dict[int, set[int]] = {}
        self._placed: list[int] = []
        self._placed_bytes = self._placed_by_name = 0
        self._giving_way = GivingWay(storage, worker, raise_if_cancelled, TURN_RECORDS * STORED_MAX_BYTES)

    def window(self, window: list[PlacementRow]) -> None:
        """Write and store one window, what is kept together at a time.

        On a broken volume what is not stored yet is written once more, elsewhere.
        """
        if self._copies:
            if not self._storage.volumes.mounts.holds(self._worker):
                self._copies.claim(self._writer.pool.device_class)
            with self._storage.catalog.read() as r:
                self._are_in = _pools(placements.of_aggregates(r, [row.aggregate_id for row in window]))
        for together in self._by_key(window):
            self._write_all({row.aggregate_id: row for row in together})

    def _by_key(self, window: list[PlacementRow]) -> list[list[PlacementRow]]:
        keys: dict[Owner, Key | None] = {}
        groups: dict[Key | None, list[PlacementRow]] = {}
        for row in window:
            if row.owner not in keys:
                keys[row.owner] = self._storage.choice.key_of(self._writer.pool, row.owner)
            groups.setdefault(keys[row.owner], []).append(row)
        return list(groups.values())

    def _write_all(self, left: dict[int, PlacementRow]) -> None:
        self._giving_way.until_stored(
            write=lambda: self._take_turns(left) if self._giving_way.takes_turns else self._write(left),
            store=lambda: self._store(left),
            give_way=self._give_way,
            forget=self._forget,
        )

    def _forget(self) -> None:
        self._writer.abort()
        self._copies.abort()
        self._progress(-len(self._placed), -self._placed_bytes)
        self._copied.referred -= self._placed_by_name
        self._clear_placed()

    def _clear_placed(self) -> None:
        self._placed.clear()
        self._placed_bytes = self._placed_by_name = 0

    def _add_placed(self, row: PlacementRow) -> None:
        self._placed.append(row.aggregate_id)
        self._placed_bytes += row.stored_bytes
        self._progress(1, row.stored_bytes)

    # --- mount points are short ------------------------------------------------------------------------------------

    def _give_way(self, way: GiveWay) -> None:
        """Everything is stored."""
        self._writer.close()
        self._copies.close()
        self._giving_way.wait(
            way, self._writer.pool.device_class, self._reader.device_class, self._copies.classes
        )

    def _take_turns(self, left: dict[int, PlacementRow]) -> None:
        """There is one mount point for reading and writing: a few records are read, then written and stored."""
        with self._storage.buffers.ring(TURN_RECORDS) as ring:
            while left:
                self._raise_if_cancelled()
                turn = list(self._read_into(ring, list(islice(left, TURN_RECORDS))))
                if self._copies:
                    self._copies.claim(self._writer.pool.device_class)
                for one in turn:
                    self._take(one, left)
                self._store(left)
                self._writer.close()
                self._copies.close()
                self._worker.rest()

    # --- reading and writing at the same time ----------------------------------------------------------------------

    def _write(self, left: dict[int, PlacementRow]) -> None:
        began = self._storage.clock.monotonic_seconds()
        wanted = self._refer(left)
        with contextlib.closing(self._read(wanted)) as found:
            for one in found:
                self._raise_if_cancelled()
                self._take(one, left)
                self._giving_way.raise_if_wanted(self._writer.pool.device_class)
                if self._storage.clock.monotonic_seconds() - began > WINDOW_SECONDS:
                    self._store(left)
                    began = self._storage.clock.monotonic_seconds()

    def _take(self, one: Found | Lost, left: dict[int, PlacementRow]) -> None:
        if isinstance(one, Lost):
            if self._is_needed(left.pop(one.aggregate_id)):
                self._copied.lost.append(one)
            return
        row = left[one.aggregate_id]
        self._writer.append(one.record, one.header.digest, row.owner)
        self._add_placed(row)
        if self._copies:
            have = self._are_in.get(row.aggregate_id, set())
            self._copies.append(
                one.record, one.header.digest, row.owner, row.aggregate_id, lambda pool: pool.id in have
            )

    def _is_needed(self, listed: PlacementRow) -> bool:
        """Neither freed nor rebuilt since it was listed, nor moved to where it is not to be read."""
        number = listed.aggregate_id
        with self._storage.catalog.read() as r:
            if not placements.aggregates(r, (number,)) or superseded.replacements(r, (number,)):
                return False
            places = placements.of_aggregates(r, (number,))[number]
        return any(one.place == listed.place or self._reader.is_allowed(one) for one in places)

    def _refer(self, left: dict[int, PlacementRow]) -> list[int]:
        """Put what the target holds already by name; returns the aggregates whose bytes must travel."""
        if not self._storage.devices.device(self._writer.pool.device_class).capabilities.refers:
            return list(left)
        missing: list[int] = []
        rows = deque(left.values())
        while batch := list(islice(rows, KNOWN_BATCH)):
            self._raise_if_cancelled()
            places = self._writer.append_known(
                [r.digest for r in batch], [r.stored_bytes for r in batch], batch[0].owner
            )
            for place in places:
                row = rows.popleft()
                if place is None:
                    missing.append(row.aggregate_id)
                else:
                    self._add_placed(row)
                    self._placed_by_name += 1
                    self._copied.referred += 1
        return missing

    def _read(self, wanted: list[int]) -> Generator[Found | Lost, None, None]:
        """Read and check in a second thread, a few records ahead of the writer."""
        with (
            self._storage.buffers.ring(AHEAD) as ring,
            contextlib.closing(run_ahead(self._read_into(ring, wanted), AHEAD, "copy")) as ahead,
        ):
            yield from ahead

    def _read_into(self, ring: list[memoryview], wanted: list[int]) -> Iterator[Found | Lost]:
        turn = 0
        with contextlib.closing(self._reader.read(wanted)) as records:
            for one in records:
                if isinstance(one, Found):
                    kept = ring[turn][: one.record.nbytes]
                    kept[:] = one.record
                    one = one._replace(record=kept)
                    turn = (turn + 1) % len(ring)
                yield one

    def _store(self, left: dict[int, PlacementRow]) -> None:
        """Durable, then catalogued. What was freed, or copied by somebody else, since it was read gets no placement."""
        if not self._placed:
            return
        self._writer.sync()
        self._copies.sync()
        crash_point("copy.window.before_catalog")
        with self._storage.catalog.write() as tx:
            alive = {one.id for one in placements.aggregates(tx, self._placed)}
            kept = [one for one in self._placed if one in alive]
            not_wanted = self._on_store(tx, kept) or set()
            wanted = alive - not_wanted - self._in_the_pool_by_now(tx, kept)
            self._writer.store(tx, [one if one in wanted else None for one in self._placed])
            if self._copies:
                now_in = _pools(placements.of_aggregates(tx, kept))
                self._copies.store(
                    tx, lambda one, pool: one if one in alive and pool.id not in now_in[one] else None
                )
            self._storage.drop_replaced(tx, {*kept, *superseded.replacements(tx, kept).values()})
            self._storage.forget_unplaced(tx, kept)
        crash_point("copy.window.after_catalog")
        for one in self._placed:
            row = left.pop(one)
            self._copied.records += 1
            self._copied.stored_bytes += row.stored_bytes
        self._clear_placed()
        self._giving_way.stored()

    def _in_the_pool_by_now(self, tx: Transaction, aggregate_ids: Sequence[int]) -> set[int]:
        pool_id = self._writer.pool.id
        return {
            number
            for number, rows in placements.of_aggregates(tx, aggregate_ids).items()
            if any(
                row.pool_id == pool_id and not row.damaged and row.volume_access != DESTROYED for row in rows
            )
        }


def _pools(places: Mapping[int, list[PlacementRow]]) -> dict[int, set[int]]:
    """Aggregate -> pools that hold it, damaged or not: replacing a damaged copy is for BACKUP STGPOOL."""
    return {number: {row.pool_id for row in rows} for number, rows in places.items()}
