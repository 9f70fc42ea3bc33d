"""Makes aggregates anew without their dead extents: open, verify, pack, compress, seal, place (docs/decisions/0024).

The extents move to the new aggregate in the transaction that places it. The old record goes from the pool the new one
came to, and stays everywhere else until its replacement is there too (docs/decisions/0025).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from blake3 import blake3

from farvault.base.disk import crash_point
from farvault.base.errors import RecordDamaged
from farvault.base.units import MIB
from farvault.catalog import extents, owners, placements, superseded
from farvault.catalog.placements import AggregateRow
from farvault.catalog.superseded import Replacement
from farvault.catalog.transaction import Transaction
from farvault.model.storage_pool import StoragePool
from farvault.policy.collocation import Owner
from farvault.policy.mount_points import Priority
from farvault.seal.compress import RAW, Compressor, decompress
from farvault.seal.digest import Buffer
from farvault.seal.pack import OpenPack, PackBuilder, PackObject, parse
from farvault.seal.record import STORED_MAX_BYTES, Header, RecordKind, open_checked, seal
from farvault.storage.copying import Stored
from farvault.storage.giving_way import GivingWay
from farvault.storage.mount_points import GiveWay, Worker
from farvault.storage.reading import AggregateReader, Found, Lost
from farvault.storage.storage import Storage
from farvault.storage.writing import PoolWriter

WINDOW_BYTES = 64 * MIB
WINDOW_RECORDS = 200
"""Rebuilt in one transaction, so that it stays short also where aggregates hold thousands of extents."""
WINDOW_EXTENTS = 4096
APART_RECORDS = 8
"""Read before the first of them is written where there is one mount point for both."""
LEVEL = 3
"""Done once, in the background: a better ratio for a little time."""


@dataclass(slots=True)
class Rebuilt:
    """What was done. `failed`: aggregates that no record gave or whose contents are wrong; they are as they were."""

    records: int = 0
    before_bytes: int = 0
    after_bytes: int = 0
    failed: list[int] = field(default_factory=list)


def rebuild_aggregates(
    storage: Storage,
    aggregate_ids: Iterable[int],
    pool: StoragePool,
    *,
    progress: Callable[[int, int], None] = lambda _records, _bytes: None,
    raise_if_cancelled: Callable[[], None] = lambda: None,
    on_store: Stored = lambda _tx, _ids: None,
    exclude: Iterable[int] = (),
    allowed: Callable[[placements.PlacementRow], bool] | None = None,
    priority: Priority = Priority.RECLAMATION,
    who: str = "records made anew",
    done: Rebuilt | None = None,
) -> Rebuilt:
    """Put a new record of each aggregate into the pool. What was freed or rebuilt meanwhile is left out.

    `on_store` gets the old aggregates that are about to be replaced, and may name some that shall stay as they are.
    Bytes come from the nearest intact record, the aggregate's own or one it was rebuilt from. What needs keys this server
    lacks fails. `allowed`: which placements may be read. `priority` and `who`: where it stands among those that wait for
    mount points, and how QUERY MOUNT names it. Raises what ended the work; what was stored before stays, and `done` has it.
    """
    done = done if done is not None else Rebuilt()
    waiting = iter(aggregate_ids)
    worker = storage.volumes.mounts.worker(priority, who, gives_way=True)
    try:
        with contextlib.closing(storage.writer(pool, down=False, exclude=exclude, worker=worker)) as writer:
            work = _Rebuilding(storage, writer, worker, allowed, on_store, progress, raise_if_cancelled, done)
            while batch := list(islice(waiting, WINDOW_RECORDS)):
                for owner, together in _by_owner(storage, batch).items():
                    work.owner = owner
                    work.batch(together)
    finally:
        worker.rest()
    return done


def _by_owner(storage: Storage, aggregate_ids: Sequence[int]) -> dict[Owner | None, list[int]]:
    """A pool that collocates gets the records of one owner in a row."""
    with storage.catalog.read() as r:
        owner_of = owners.owners_of_aggregates(r, aggregate_ids)
    found: dict[Owner | None, list[int]] = {}
    for number in aggregate_ids:
        found.setdefault(owner_of.get(number), []).append(number)
    return found


@dataclass(slots=True)
class _Made:
    """A new record that is written and not stored yet."""

    old: AggregateRow
    new: Replacement


class _Rebuilding:
    def __init__(
        self,
        storage: Storage,
        writer: PoolWriter,
        worker: Worker,
        allowed: Callable[[placements.PlacementRow], bool] | None,
        on_store: Stored,
        progress: Callable[[int, int], None],
        raise_if_cancelled: Callable[[], None],
        done: Rebuilt,
    ) -> None:
        self._storage, self._writer, self._worker = storage, writer, worker
        self._reader = AggregateReader(storage, allowed, nearest=True, worker=worker)
        self._giving_way = GivingWay(storage, worker, raise_if_cancelled, APART_RECORDS * STORED_MAX_BYTES)
        self._on_store, self._progress = on_store, progress
        self._raise_if_cancelled, self._done = raise_if_cancelled, done
        self._compressor = Compressor(LEVEL)
        self._made: list[_Made] = []
        self._extents = self._bytes = 0

    def batch(self, aggregate_ids: Sequence[int]) -> None:
        """Rebuild and store these; on a broken volume what is not stored yet once more, elsewhere."""
        left = dict.fromkeys(aggregate_ids)
        self._giving_way.until_stored(
            write=lambda: self._rebuild(left),
            store=lambda: self._store(left),
            give_way=self._give_way,
            forget=self._forget,
        )

    owner: Owner | None = None
    """Whose records come at present."""

    def _give_way(self, way: GiveWay) -> None:
        """Everything is stored."""
        self._writer.close()
        self._giving_way.wait(way, self._writer.pool.device_class, self._reader.device_class, Counter())

    def _forget(self) -> None:
        self._writer.abort()
        self._made.clear()
        self._extents = self._bytes = 0

    def _rebuild(self, left: dict[int, None]) -> None:
        with self._storage.catalog.read() as r:
            rows = {row.id: row for row in placements.aggregates(r, list(left))}
            older = superseded.predecessors(r, rows)
            gone = superseded.replacements(r, rows)
        for one in [number for number in left if number not in rows or number in gone]:
            del left[one]  # freed or rebuilt meanwhile
        records = (
            self._apart(left, rows, older)
            if self._giving_way.takes_turns
            else self._records([rows[one] for one in left], older)
        )
        with contextlib.closing(records):
            for row, found in records:
                self._raise_if_cancelled()
                made = self._make(row, found) if found is not None else None
                if made is None:
                    self._done.failed.append(row.id)
                    left.pop(row.id)
                    continue
                self._made.append(made)
                self._extents += len(made.new.extents)
                self._bytes += made.new.stored_bytes
                if self._extents >= WINDOW_EXTENTS or self._bytes >= WINDOW_BYTES:
                    self._store(left)
                self._giving_way.raise_if_wanted(self._writer.pool.device_class)

    def _apart(
        self, left: dict[int, None], rows: dict[int, AggregateRow], older: dict[int, list[int]]
    ) -> Generator[tuple[AggregateRow, Found | None], None, None]:
        """`_records`, a few at a time: reading ends before writing begins and writing before the next are read."""
        waiting = list(left)
        for start in range(0, len(waiting), APART_RECORDS):
            numbers = waiting[start : start + APART_RECORDS]
            kept = [
                (row, found and found._replace(record=memoryview(bytes(found.record))))
                for row, found in self._records([rows[one] for one in numbers], older)
            ]
            yield from kept
            self._store(left)
            self._writer.close()
            self._worker.rest()

    def _records(
        self, rows: Sequence[AggregateRow], older: dict[int, list[int]]
    ) -> Generator[tuple[AggregateRow, Found | None], None, None]:
        """Each aggregate's own record, or one that it was rebuilt from, or None."""
        by_id = {row.id: row for row in rows}
        missed: list[int] = []
        with contextlib.closing(self._reader.read(list(by_id))) as records:
            for one in records:
                if isinstance(one, Lost):
                    missed.append(one.aggregate_id)
                else:
                    yield by_id[one.aggregate_id], one
        for number in missed:
            with contextlib.closing(self._reader.read(older[number], in_order=True)) as records:
                found = next((one for one in records if isinstance(one, Found)), None)
                yield by_id[number], found

    def _make(self, row: AggregateRow, found: Found) -> _Made | None:
        """Seal and write the new record; None where the old one cannot be opened or holds other bytes than it should."""
        with self._storage.catalog.read() as r:
            living = {digest for _, _, _, digest in placements.aggregate_extents(r, row.id)}
        try:
            packed = open_checked(found.header, found.record, self._storage.keyring)
            pack = parse(decompress(found.header.codec, packed, found.header.plain_bytes))
            builder = self._packed_anew(pack, living, row.domain_pool_id)
        except RecordDamaged as damaged:
            self._storage.log.repeat(damaged.message)
            return None
        inside = [(digest, length) for digest, length in pack.directory.extents if digest in living]
        if {digest for digest, _ in inside} != living or not living:
            return None
        header = self._write(found.header.codec, builder.build())
        return _Made(
            row,
            Replacement(
                record_id=header.record_id,
                digest=header.digest,
                stored_bytes=header.stored_bytes,
                plain_bytes=header.plain_bytes,
                codec=header.codec,
                key_id=header.key_id,
                extents=list(dict(inside).items()),
            ),
        )

    def _packed_anew(self, pack: OpenPack, living: set[bytes], domain_pool_id: int) -> PackBuilder:
        directory = pack.directory
        builder = PackBuilder(
            directory.node, directory.file_space, directory.kind, directory.management_class
        )
        for index, (digest, _) in enumerate(directory.extents):
            if digest in living:
                data = pack.extent(index)
                if blake3(data).digest() != digest:
                    raise RecordDamaged(
                        "ANR9803E", reason=f"extent {digest.hex()[:16]} does not match its digest"
                    )
                builder.add_extent(digest, data)
        for each, named in self._whole_objects(pack, living, domain_pool_id):
            builder.add_object(
                each.directory,
                each.name,
                each.type,
                each.size_bytes,
                each.attributes,
                each.description,
                [builder.add_reference(digest, length) for digest, length in named],
                each.before,
                each.more,
            )
        return builder

    def _whole_objects(
        self, pack: OpenPack, living: set[bytes], domain_pool_id: int
    ) -> list[tuple[PackObject, list[tuple[bytes, int]]]]:
        """Objects with their extents, all of which live here or are stored elsewhere.

        What is gone is gone as a whole, mostly: so the first extent that does not live here is asked for before the others.
        """
        named = [(each, pack.extents_of(each)) for each in pack.directory.objects]
        missing = [[digest for digest, _ in several if digest not in living] for _, several in named]
        with self._storage.catalog.read() as r:
            elsewhere = extents.stored(r, domain_pool_id, {one[0] for one in missing if one})
            further = {digest for one in missing if one and one[0] in elsewhere for digest in one[1:]}
            elsewhere |= extents.stored(r, domain_pool_id, further)
        return [found for found, several in zip(named, missing, strict=True) if elsewhere.issuperset(several)]

    def _write(self, old_codec: int, plain: Buffer) -> Header:
        codec, packed = (RAW, plain) if old_codec == RAW else self._compressor.compress(plain)
        buffer = self._storage.buffers.take()
        try:
            header = seal(
                buffer,
                [packed],
                kind=RecordKind.AGGREGATE,
                codec=codec,
                plain_bytes=len(plain),
                keyring=self._storage.keyring,
            )
            self._writer.append(buffer[: header.stored_bytes], header.digest, self.owner)
        finally:
            self._storage.buffers.give(buffer)
        return header

    def _store(self, left: dict[int, None]) -> None:
        """Durable, then catalogued: extents move, the new record is placed, the old one leaves this pool."""
        if not self._made:
            return
        self._writer.sync()
        crash_point("rebuild.window.before_catalog")
        with self._storage.catalog.write() as tx:
            numbers = self._replace(tx)
            self._writer.store(tx, numbers)
            replaced = [
                (made, number) for made, number in zip(self._made, numbers, strict=True) if number is not None
            ]
            self._storage.drop_replaced(tx, [number for _, number in replaced])
            self._storage.forget_unplaced(tx, [made.old.id for made, _ in replaced])
        crash_point("rebuild.window.after_catalog")
        for made, _ in replaced:
            self._done.records += 1
            self._done.before_bytes += made.old.stored_bytes
            self._done.after_bytes += made.new.stored_bytes
            self._progress(1, made.old.stored_bytes)
        for made in self._made:
            left.pop(made.old.id)
        self._made.clear()
        self._extents = self._bytes = 0
        self._giving_way.stored()

    def _replace(self, tx: Transaction) -> list[int | None]:
        """Number of each new aggregate; None where the old one was freed, rebuilt or moved away meanwhile."""
        numbers = [made.old.id for made in self._made]
        alive = {row.id for row in placements.aggregates(tx, numbers)} - set(
            superseded.replacements(tx, numbers)
        )
        alive -= self._on_store(tx, [one for one in numbers if one in alive]) or set()
        return [
            superseded.replace(tx, made.old.id, made.new) if made.old.id in alive else None
            for made in self._made
        ]
