"""Target side: a segment of a virtual volume being received. Records of a source become extents of an archive object.

The session's thread receives into reused buffers; a second one checks each record and wraps it as it is (one extent,
raw, no cipher: its owner has sealed it already); a third one appends it to the pool. Every 16 MiB, or when nothing more
comes, all of it is made durable, then known to the catalog, and only then acknowledged. A segment that ends in the
middle is given up, but its records stay known for a while: a source that comes back only names them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, NotFound, PeerMisbehaved
from farvault.base.pipeline import Conveyor
from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.catalog import vault as rows
from farvault.catalog.extents import NewAggregate, add_aggregate
from farvault.catalog.transaction import Transaction
from farvault.media import receipt as receipts
from farvault.model.file_space import VAULT_FILE_SPACE, FileSpace
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind
from farvault.policy.collocation import Owner
from farvault.policy.mount_points import Priority
from farvault.protocol.virtual_volumes import Receipt
from farvault.seal.compress import RAW
from farvault.seal.pack import PackBuilder
from farvault.seal.record import STORED_MAX_BYTES, Header, RecordKind, check, seal
from farvault.storage.own_data import is_own_data
from farvault.storage.storage import Storage
from farvault.storage.vault_guard import VaultGuard

FLUSH_BYTES: Final = 16 * MIB
FLUSH_RECORDS: Final = 256
"""What is made durable at once: a third of the source's window (`media/window.py`), so that nobody waits for the other."""
FLUSH_NAMES: Final = 4096
"""The same for records that are only referred to."""
WAITING_RECORDS: Final = 2
"""Records that wait between two threads."""


class Vault(NamedTuple):
    """Where the virtual volumes of one source go: its node's default class, whose archive copy group names the pool."""

    storage: Storage
    destination: StoragePool
    management_class: str
    node_id: int
    node_name: str


_Names = Sequence[bytes]
"""Digests of records that are here already."""


class _Record(NamedTuple):
    """One record of the batch under way. `wrapped`: our own header around it; None where it is only referred to."""

    digest: bytes
    stored_bytes: int
    wrapped: Header | None


class _Incoming(NamedTuple):
    """A record in a receive buffer."""

    digest: bytes
    record: memoryview
    buffer: memoryview


class _Wrapped(NamedTuple):
    """A record inside one of ours, ready to be written."""

    digest: bytes
    stored_bytes: int
    header: Header
    buffer: memoryview


class Segment:
    """One segment from open to close.

    `durable(segment, records, bytes)` and `failed(segment, error)` are called in the workers' threads.
    """

    def __init__(
        self,
        vault: Vault,
        volume: str,
        offset_bytes: int,
        durable: Callable[[Segment, int, int], None],
        failed: Callable[[Segment, FarvaultError], None],
    ) -> None:
        self.volume = volume
        self.error: FarvaultError | None = None
        """Why it takes nothing more."""
        self._vault, self._storage, self._offset = vault, vault.storage, offset_bytes
        self._durable, self._failed = durable, failed
        self._guard = VaultGuard(self._storage.log, vault.node_id, vault.node_name)
        with self._storage.catalog.read() as r:
            self._guard.refuse_circle(r, vault.destination.name)
            self._guard.refuse_overwriting(r, volume, offset_bytes)
            self._guard.refuse_over_quota(r, volume)
        self._pack = PackBuilder(
            vault.node_name, VAULT_FILE_SPACE, int(ObjectKind.ARCHIVE), vault.management_class
        )
        self._writer = self._storage.writer(
            self._storage.choose_pool(vault.destination.name, STORED_MAX_BYTES),
            worker=self._storage.volumes.mounts.worker(Priority.STORE, f"source {vault.node_name}"),
        )
        self._batch: list[_Record] = []
        self._batch_bytes = self._batch_stored = 0
        self._digests: list[bytes] = []
        self._bytes = 0
        self._wrapping: Conveyor[_Incoming | _Names | None] = Conveyor(
            self._wrap, WAITING_RECORDS, "vault wrap"
        )
        self._writing: Conveyor[_Wrapped | _Names | None] = Conveyor(
            self._write, WAITING_RECORDS, "vault write"
        )
        self._asked_to_flush = True
        self._has_own_data = self._own_data_noted = False
        """A record came that this server itself had sealed; and the node's row says so."""
        with self._storage.catalog.write() as tx:
            self._file_space_id = _file_space(tx, vault.node_id)
            self.object_id = rows.open_segment(
                tx,
                vault.node_id,
                self._file_space_id,
                volume,
                offset_bytes,
                self._storage.clock.now_seconds(),
                management_class=vault.management_class,
            )

    # --- in the session's thread -----------------------------------------------------------------------------------

    @property
    def has_unflushed(self) -> bool:
        """Something came since the last `flush`."""
        return not self._asked_to_flush and self.error is None

    def store(self, digest: bytes, record: memoryview, buffer: memoryview) -> None:
        """Take a record that lies in `buffer`, which is ours from now on. Waits while too many are unwritten."""
        self._hand_over(_Incoming(digest, record, buffer))

    def refer(self, digests: Sequence[bytes]) -> None:
        """Add records that are here already."""
        self._hand_over(digests)

    def flush(self) -> None:
        """Nothing more comes for now: make durable what has come."""
        self._asked_to_flush = True
        self._put(None)

    def close(self, stored_bytes: int, records: int, digest: bytes, epoch: int = 0) -> Receipt:
        """Complete it; the receipt is durable when this returns. `PeerMisbehaved` where the contents differ."""
        self._wrapping.finish()
        self._writing.finish()
        if not self._digests:
            raise PeerMisbehaved("ANR4895E", volume=self.volume, node=self._vault.node_name)
        if (stored_bytes, records, digest) != (
            self._bytes,
            len(self._digests),
            receipts.contents_digest(self._digests),
        ):
            raise PeerMisbehaved(
                "ANR4855E",
                volume=self.volume,
                node=self._vault.node_name,
                told=records,
                came=len(self._digests),
            )
        self._sync()
        with (
            self._storage.catalog.read() as r
        ):  # the first contact with a target of our own may have been just now
            self._guard.refuse_circle(r, self._vault.destination.name)
        crash_point("vault.segment.before_close")
        receipt, refusal = self._complete(stored_bytes, records, digest, epoch)
        if refusal is not None:
            raise refusal
        crash_point("vault.segment.after_close")
        self._writer.close()
        return receipt

    def _complete(
        self, stored_bytes: int, records: int, digest: bytes, epoch: int
    ) -> tuple[Receipt, FarvaultError | None]:
        """In one transaction: the last batch, the receipt, and that it replaces what it overlaps (a deletion, too)."""
        with self._storage.catalog.write() as tx:
            now = self._storage.vault_clock.look(tx).moment
            self._store_batch(tx)
            receipt = self._receipt(tx, digest, epoch)
            refusal = None
            if rows.is_overwritten(tx, self._vault.node_id, self.volume, self._offset):
                refusal = self._guard.deletion(tx, self.volume, now)
            if refusal is None:
                rows.close_segment(
                    tx,
                    self.object_id,
                    stored_bytes,
                    records,
                    digest,
                    receipts.to_bytes(receipt),
                    receipt.received_time,
                    now.running,
                )
        return receipt, refusal

    def give_up(self) -> None:
        """The source aborts, or is gone: keep what came, for a next try. Never raises."""
        self._wrapping.stop()
        self._writing.stop()
        if self.error is None:
            with contextlib.suppress(FarvaultError):  # never acknowledged: the source sends it again
                self._flush()
        self._writer.close()
        with (
            contextlib.suppress(FarvaultError),
            self._storage.catalog.write() as tx,
        ):  # else the next start does it
            rows.abort_segment(tx, self.object_id, self._storage.clock.now_seconds())
        if not self._digests:  # nothing to come back for
            with contextlib.suppress(FarvaultError):
                self._storage.delete_objects([self.object_id])

    def _hand_over(self, item: _Incoming | _Names) -> None:
        self._asked_to_flush = False
        self._put(item)

    def _put(self, item: _Incoming | _Names | None) -> None:
        if self.error is None:  # else it was told already, by a worker
            self._wrapping.offer(item)

    # --- in the workers' threads -----------------------------------------------------------------------------------

    def _wrap(self, item: _Incoming | _Names | None) -> None:
        with self._told():
            self._writing.offer(self._wrapped(item) if isinstance(item, _Incoming) else item)

    def _wrapped(self, incoming: _Incoming) -> _Wrapped:
        digest, record, buffer = incoming
        into = self._storage.buffers.take()
        try:
            if check(record).digest != digest:
                raise PeerMisbehaved("ANR4854E", volume=self.volume, node=self._vault.node_name)
            self._has_own_data = self._has_own_data or is_own_data(record, self._storage.keyring, into)
            self._pack.add_extent(digest, record)
            parts = self._pack.parts()
            plain_bytes = sum(map(len, parts))
            header = seal(
                into, parts, kind=RecordKind.AGGREGATE, codec=RAW, plain_bytes=plain_bytes, keyring=None
            )
            return _Wrapped(digest, record.nbytes, header, into)
        except FarvaultError:
            self._storage.buffers.give(into)
            raise
        finally:
            self._pack.reset()
            self._storage.buffers.give(buffer)

    def _write(self, item: _Wrapped | _Names | None) -> None:
        with self._told():
            if item is None:
                self._flush()
            elif isinstance(item, _Wrapped):
                self._append(item)
            else:
                self._refer(item)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The first error ends the segment and is told at once; what still waits is dropped."""
        try:
            yield
        except FarvaultError as error:
            if self.error is None:
                self.error = error
                self._failed(self, error)
            raise

    def _append(self, wrapped: _Wrapped) -> None:
        header = wrapped.header
        try:
            self._writer.append(
                wrapped.buffer[: header.stored_bytes],
                header.digest,
                Owner(self._vault.node_id, self._file_space_id),
            )
        finally:
            self._storage.buffers.give(wrapped.buffer)
        self._add(_Record(wrapped.digest, wrapped.stored_bytes, header))

    def _refer(self, digests: _Names) -> None:
        with self._storage.catalog.read() as r:
            found = rows.find_records(r, self._vault.node_id, digests)
        in_batch = {record.digest: record.stored_bytes for record in self._batch}
        for digest in digests:
            if digest not in found and digest not in in_batch:
                raise NotFound("ANR4857E", volume=self.volume, node=self._vault.node_name)
            length = found[digest].length_bytes if digest in found else in_batch[digest]
            self._add(_Record(digest, length, None))

    def _add(self, record: _Record) -> None:
        self._batch.append(record)
        self._batch_bytes += record.stored_bytes if record.wrapped else 0
        self._digests.append(record.digest)
        self._bytes += record.stored_bytes
        self._batch_stored += record.wrapped is not None
        is_full = self._batch_bytes >= FLUSH_BYTES or self._batch_stored >= FLUSH_RECORDS
        if is_full or len(self._batch) >= FLUSH_NAMES:
            self._flush()

    def _flush(self) -> None:
        if not self._batch:
            return
        self._sync()
        with self._storage.catalog.write() as tx:
            self._store_batch(tx)
        crash_point("vault.records.after_commit")
        self._durable(self, len(self._digests), self._bytes)

    def _sync(self) -> None:
        crash_point("vault.records.before_sync")
        self._writer.sync()
        crash_point("vault.records.after_sync")

    def _store_batch(self, tx: Transaction) -> None:
        """Durable on media already; now the catalog. The batch is empty afterwards."""
        batch, self._batch = self._batch, []
        self._batch_bytes = self._batch_stored = 0
        if not batch:
            return
        self._guard.refuse_over_quota(tx, self.volume, sum(record.stored_bytes for record in batch))
        now = self._storage.clock.now_seconds()
        if self._has_own_data and not self._own_data_noted:
            self._guard.note_own_data(tx, self.volume, now)
            self._own_data_noted = True
        extents: dict[bytes, int] = {}
        aggregates: list[int | None] = []
        for record in batch:
            if record.wrapped is not None:
                aggregate_id, (extent_id,) = add_aggregate(tx, self._aggregate(record, record.wrapped), now)
                aggregates.append(aggregate_id)
                extents[record.digest] = extent_id
        self._writer.store(tx, aggregates)
        referred = [record.digest for record in batch if record.digest not in extents]
        found = rows.find_records(tx, self._vault.node_id, referred)
        if any(digest not in found for digest in referred):
            raise NotFound("ANR4857E", volume=self.volume, node=self._vault.node_name)
        extents.update((digest, one.extent_id) for digest, one in found.items())
        rows.append_records(
            tx, self.object_id, [(extents[record.digest], record.stored_bytes) for record in batch]
        )

    def _aggregate(self, record: _Record, wrapped: Header) -> NewAggregate:
        return NewAggregate(
            record_id=wrapped.record_id,
            digest=wrapped.digest,
            stored_bytes=wrapped.stored_bytes,
            plain_bytes=wrapped.plain_bytes,
            codec=wrapped.codec,
            key_id=wrapped.key_id,
            node_id=self._vault.node_id,
            file_space_id=self._file_space_id,
            domain_pool_id=self._vault.destination.id,
            extents=[(record.digest, record.stored_bytes)],
        )

    def _receipt(self, tx: Transaction, digest: bytes, epoch: int) -> Receipt:
        last = rows.last_receipt(tx, self._vault.node_id)
        number, previous = 1, receipts.FIRST_PREVIOUS
        if last is not None:
            number, previous = last[0] + 1, receipts.chain_digest(receipts.from_bytes(last[1]))
        return receipts.sign(
            Receipt(
                number=number,
                volume=self.volume,
                offset_bytes=self._offset,
                stored_bytes=self._bytes,
                records=len(self._digests),
                digest=digest,
                received_time=self._storage.clock.now_seconds(),
                previous=previous,
                epoch=epoch,
            ),
            self._storage.identity,
        )


def _file_space(tx: Transaction, node_id: int) -> int:
    """The file space that holds a source's virtual volumes; made with its first one."""
    found = nouns.find(tx, FileSpace, node_id, VAULT_FILE_SPACE)
    if found is not None:
        return found.id
    taken = [space.number for space in nouns.select(tx, FileSpace, node_id=node_id)]
    space = FileSpace(
        node_id=node_id,
        name=VAULT_FILE_SPACE,
        number=max(taken, default=0) + 1,
        platform="Farvault",
        type="SERVER",
    )
    return nouns.insert(tx, space)
