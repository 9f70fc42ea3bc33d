"""One transaction of a client node: packs in, everything visible at once or nothing at all.

The session's thread hands each pack over and goes on receiving; a second thread opens it, verifies every extent, seals
the compressed bytes as they came and writes them. What goes wrong there is told by `commit`. Extents the pool holds
already are referred to, whoever sent them first: their bytes were verified here. Extents a client only names must be
its own: naming a digest proves nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from farvault.base.disk import crash_point
from farvault.base.errors import BadInput, NotAvailable, NotFound, RecordDamaged
from farvault.base.pipeline import Conveyor
from farvault.base.units import KIB
from farvault.catalog import client_transactions, extents, freeing, objects
from farvault.catalog.client_transactions import CommittedTransaction
from farvault.catalog.extents import NewAggregate
from farvault.catalog.objects import NewObject
from farvault.catalog.transaction import Transaction
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind
from farvault.policy.collocation import Owner
from farvault.protocol.messages import TransactionAnswer
from farvault.seal.compress import decompress
from farvault.seal.digest import DIGEST_BYTES
from farvault.seal.pack import PACK_EXTENT_BYTES, OpenPack, parse
from farvault.seal.record import STORED_MAX_BYTES, Header, RecordKind, seal
from farvault.storage.arriving import Arriving, Unacceptable
from farvault.storage.simultaneous import CLIENT, CopyPools, StoreSession, copy_pools_for
from farvault.storage.storage import Storage
from farvault.storage.writing import PoolWriter

PACKS_WAITING = 3
"""Received packs that wait for the second thread. Each holds one buffer."""
PACKED_MOST_BYTES = STORED_MAX_BYTES - 64 * KIB
"""A record must leave room for what a target, and a target of that target, put around it in a record of their own."""


class _Received(NamedTuple):
    codec: int
    plain_bytes: int
    buffer: memoryview
    packed_bytes: int


class _Sealed(NamedTuple):
    """A record on its way; its extents' digests joined, and their lengths."""

    header: Header
    digests: bytes
    lengths: array[int]

    def extents(self) -> list[tuple[bytes, int]]:
        starts = range(0, len(self.digests), DIGEST_BYTES)
        return [
            (self.digests[at : at + DIGEST_BYTES], length)
            for at, length in zip(starts, self.lengths, strict=True)
        ]


class Intake:
    """Made at BeginTransaction; ended by `commit` or `abort`.

    `destination`: the pool the copy group names; also the domain of deduplication, wherever the bytes end up. Raises
    `NotFound`, `NotAvailable` or `MediaFull` where the destination cannot take data. `most_objects`: TXNGROUPMAX, 0 = no
    limit. What the client says of sizes (0: nothing) decides which pool down the hierarchy takes the whole transaction.
    `session`: what it shares with the transactions before and after it. `transaction_id`: its answer is kept under it.
    """

    def __init__(
        self,
        storage: Storage,
        node: Node,
        file_space: FileSpace,
        kind: int,
        destination: str,
        management_class: str,
        size_estimate_bytes: int = 0,
        most_objects: int = 0,
        largest_object_bytes: int = 0,
        session: StoreSession | None = None,
        transaction_id: bytes = b"",
    ) -> None:
        self._storage = storage
        self._node, self._file_space = node, file_space
        self._owner = Owner(node.id, file_space.id)
        self._session = session or StoreSession(storage)
        self._id = transaction_id
        self._kind, self._class = kind, management_class
        self._most_objects = most_objects
        self._domain = storage.destination(destination)
        self._estimate, self._largest = size_estimate_bytes, largest_object_bytes
        if size_estimate_bytes:
            storage.choose_pool(destination, size_estimate_bytes, largest_object_bytes)
        self._writer: PoolWriter | None = None
        self._copies: CopyPools | None = None
        self._conveyor: Conveyor[_Received] = Conveyor(self._take_in, PACKS_WAITING, f"intake {node.name}")
        self._record = memoryview(b"")
        self._sealed: list[_Sealed] = []
        self._own: set[bytes] = set()
        self._found: set[bytes] = set()
        self._named: set[bytes] = set()
        self._arriving = Arriving()
        self._expired: list[int] = []
        self._updated: list[tuple[int, bytes]] = []
        self._rebound: list[tuple[str, Sequence[int]]] = []

    # --- while it is open ------------------------------------------------------------------------------------------

    def known(self, digests: bytes) -> bytes:
        """One byte for each 32-byte digest: 1 where this node may refer to it. From the catalog as it is now."""
        asked = [digests[at : at + 32] for at in range(0, len(digests), 32)]
        with self._storage.catalog.read() as r:
            return extents.known(r, self._node.id, self._domain.id, asked)

    def store_pack(self, codec: int, plain_bytes: int, packed_bytes: int, buffer: memoryview) -> None:
        """Take a pack that lies at the start of `buffer` (one of the storage's), which is ours from now on.

        Waits while too many are unwritten. Never raises: `commit` tells.
        """
        if self._conveyor.failed:
            self._storage.buffers.give(buffer)
        else:
            self._conveyor.offer(_Received(codec, plain_bytes, buffer, packed_bytes))

    def expire(self, ids: Iterable[int]) -> None:
        """These active backup versions are gone at the client."""
        self._expired.extend(ids)

    def update(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """(object, attributes) of versions whose data did not change."""
        self._updated.extend(rows)

    def rebind(self, ids: Sequence[int], management_class: str) -> None:
        """All versions of these objects belong to another class from now on."""
        self._rebound.append((management_class, ids))

    # --- the end -----------------------------------------------------------------------------------------------------

    def commit(self) -> TransactionAnswer:
        """Durable and visible when it returns. Any error: nothing of it is kept."""
        try:
            self._conveyor.finish()
            self._arriving_finished()
            if self._writer is not None:
                self._writer.sync()
            if self._copies is not None:
                self._copies.sync()
            crash_point("transaction.commit.before_catalog")
            with self._storage.catalog.write() as tx:
                answer = self._store(tx)
            crash_point("transaction.commit.after_catalog")
            return answer
        finally:
            self.abort()

    def abort(self) -> None:
        """Forget what is not committed, and let go of volumes and buffers. Harmless after `commit`."""
        self._conveyor.stop()
        if self._copies is not None:
            self._copies.close()
            self._copies = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._session.end()
        if self._record:
            self._storage.buffers.give(self._record)
            self._record = memoryview(b"")

    # --- the second thread -------------------------------------------------------------------------------------------

    def _take_in(self, received: _Received) -> None:
        packed = received.buffer[: received.packed_bytes]
        try:
            pack = parse(decompress(received.codec, packed, received.plain_bytes))
            self._check_labels(pack)
            self._check_size(pack, received)
            pack.verify()
            self._keep(pack, received, packed)
        except RecordDamaged as damaged:
            raise self._refusal(damaged.message.text) from damaged
        except Unacceptable as wrong:
            raise self._refusal(str(wrong)) from wrong
        finally:
            del packed
            self._storage.buffers.give(received.buffer)

    def _check_labels(self, pack: OpenPack) -> None:
        """A pack carries its owner's names: on a volume without a catalog they are all there is. They must be true."""
        directory = pack.directory
        labels = (directory.node, directory.file_space, directory.kind, directory.management_class)
        if labels != (self._node.name, self._file_space.name, self._kind, self._class):
            raise self._refusal("a pack names another node, file space, kind or class")

    def _check_size(self, pack: OpenPack, received: _Received) -> None:
        """What compresses well may hold more than a pack: the part another node needs could not be sent to it raw."""
        size = sum(length for _, length in pack.directory.extents)
        if size > PACK_EXTENT_BYTES or received.packed_bytes > PACKED_MOST_BYTES:
            raise self._refusal(f"a pack of {size} bytes of data, {received.packed_bytes} compressed")

    def _keep(self, pack: OpenPack, received: _Received, packed: memoryview) -> None:
        directory = pack.directory
        inline = [digest for digest, _ in directory.extents]
        with self._storage.catalog.read() as r:
            found = extents.lookup(r, self._domain.id, inline)
        self._found.update(found)
        if any(digest not in found and digest not in self._own for digest in inline):
            header = self._write(received, packed)
            lengths = array("I", [length for _, length in directory.extents])
            self._sealed.append(_Sealed(header, b"".join(inline), lengths))
            self._own.update(inline)
        own = self._own
        self._named.update(digest for digest, _ in directory.references if digest not in own)
        self._arriving.add(pack)
        if 0 < self._most_objects < len(self._arriving):
            raise BadInput("ANR0445W", node=self._node.name, most=self._most_objects)

    def _write(self, received: _Received, packed: memoryview) -> Header:
        if self._writer is None:
            self._writer = self._open_pools(received.plain_bytes)
            self._record = self._storage.buffers.take()
        header = seal(
            self._record,
            [packed],
            kind=RecordKind.AGGREGATE,
            codec=received.codec,
            plain_bytes=received.plain_bytes,
            keyring=self._storage.keyring,
        )
        record = self._record[: header.stored_bytes]
        self._writer.append(record, header.digest, self._owner)
        if self._copies is not None:
            self._copies.append(record, header.digest, self._owner, len(self._sealed))
        return header

    def _open_pools(self, size_bytes: int) -> PoolWriter:
        """The pool that takes it, and the copy pools of the pool it was meant for."""
        size = max(self._estimate, size_bytes)
        pool = self._storage.choose_pool(self._domain.name, size, self._largest)
        worker = self._session.begin(self._node)
        writer = self._storage.writer(pool, largest_file_bytes=self._largest, worker=worker)
        if copies := copy_pools_for(self._storage, self._domain, CLIENT):
            try:
                self._copies = CopyPools(
                    self._storage,
                    self._domain,
                    copies,
                    worker,
                    self._session.given_up,
                    must_all=not self._domain.copy_continue,
                )
                self._copies.claim(pool.device_class)
                self._session.tell_next_pool(self._domain, pool)
            except BaseException:
                self._session.end()
                raise
        return writer

    def _arriving_finished(self) -> None:
        try:
            self._arriving.finish()
        except Unacceptable as wrong:
            raise self._refusal(str(wrong)) from wrong

    # --- the catalog transaction ---------------------------------------------------------------------------------------

    def _store(self, tx: Transaction) -> TransactionAnswer:
        now = self._storage.clock.now_seconds()
        found = extents.lookup(tx, self._domain.id, self._found)
        if self._found - self._own - found.keys():
            raise self._changed_meanwhile()  # a pack was left out because of them
        numbers, new_ids = self._add_aggregates(tx, now)
        # The older copy is the one to use: what came a second time inside a new pack is dead from birth.
        numbers.update({digest: number for digest, (number, _) in found.items()})
        self._resolve_named(tx, numbers)
        new = list(self._arriving.objects(numbers))
        self._check_twice(new)
        stored = self._store_objects(tx, new, now)
        unused = new_ids.difference(*(each.extents for each in new))
        self._storage.freed(tx, freeing.free_extents(tx, unused))
        expired = objects.expire(tx, self._node.id, self._expired, now)
        updated = objects.update_attributes(tx, self._node.id, self._updated)
        rebound = 0
        for management_class, ids in self._rebound:
            rebound += objects.rebind(tx, self._node.id, ids, management_class)
        committed = CommittedTransaction(
            objects=stored,
            expired=expired,
            updated=updated,
            new_extents=len(new_ids) - len(unused),
            stored_bytes=sum(one.header.stored_bytes for one in self._sealed),
            rebound=rebound,
        )
        if self._id:
            client_transactions.keep(tx, self._node.id, self._id, committed, now)
        return answer_of(committed)

    def _add_aggregates(self, tx: Transaction, now: int) -> tuple[dict[bytes, int], set[int]]:
        """The sealed packs' rows; returns digest -> extent number, and all new numbers."""
        numbers: dict[bytes, int] = {}
        new_ids: set[int] = set()
        aggregate_ids: list[int] = []
        for sealed in self._sealed:
            header, inside = sealed.header, sealed.extents()
            new = NewAggregate(
                record_id=header.record_id,
                digest=header.digest,
                stored_bytes=header.stored_bytes,
                plain_bytes=header.plain_bytes,
                codec=header.codec,
                key_id=header.key_id,
                node_id=self._node.id,
                file_space_id=self._file_space.id,
                domain_pool_id=self._domain.id,
                extents=inside,
            )
            aggregate_id, extent_ids = extents.add_aggregate(tx, new, now)
            aggregate_ids.append(aggregate_id)
            new_ids.update(extent_ids)
            for (digest, _), number in zip(inside, extent_ids, strict=True):
                numbers.setdefault(digest, number)
        if self._writer is not None:
            self._writer.store(tx, aggregate_ids)
        if self._copies is not None:
            self._copies.store(tx, lambda tag, _pool: aggregate_ids[cast(int, tag)])
        return numbers, new_ids

    def _resolve_named(self, tx: Transaction, numbers: dict[bytes, int]) -> None:
        """Extents the client only names: its own, or the transaction is refused."""
        named = sorted(self._named - numbers.keys())
        if not named:
            return
        if not all(extents.known(tx, self._node.id, self._domain.id, named)):
            raise self._changed_meanwhile()
        numbers.update(
            {digest: number for digest, (number, _) in extents.lookup(tx, self._domain.id, named).items()}
        )

    def _check_twice(self, new: list[NewObject]) -> None:
        if self._kind != ObjectKind.ARCHIVE and len({(each.directory, each.name) for each in new}) != len(
            new
        ):
            raise self._refusal("it names an object twice")

    def _store_objects(self, tx: Transaction, new: list[NewObject], now: int) -> int:
        if not new:
            return 0
        try:
            ids = objects.store_objects(
                tx,
                node_id=self._node.id,
                file_space_id=self._file_space.id,
                kind=self._kind,
                management_class=self._class,
                objects=new,
                now=now,
            )
        except NotFound as gone:
            raise self._changed_meanwhile() from gone
        return len(ids)

    def _changed_meanwhile(self) -> NotAvailable:
        return NotAvailable("ANR0536W", node=self._node.name)

    def _refusal(self, reason: str) -> BadInput:
        return BadInput("ANR0537W", node=self._node.name, reason=reason)


def answer_of(committed: CommittedTransaction) -> TransactionAnswer:
    """What its client is told, once or again."""
    return TransactionAnswer(**committed._asdict())
