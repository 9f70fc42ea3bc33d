"""Turn what was read into transactions: ask what is known, pack, compress beside the next group, send, commit.

One thread owns the connection, so answers come in the order of the questions. Compression runs in threads of its own
(it does not hold the interpreter's lock) and packs leave in order. A transaction is atomic: after its answer every
object of it restores; where the answer does not come, the server is asked by the transaction's id whether it has
committed, and only where it has not, the whole unit is read and sent again.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from farvault.base.errors import FarvaultError, PeerUnreachable
from farvault.client.idle import kept_alive
from farvault.client.reading import Extent, Group, Reading, ReadObject
from farvault.client.session import NodeSession
from farvault.client.work import Unit, UnitResult
from farvault.protocol import messages as m
from farvault.protocol.frames import ProtocolError
from farvault.seal.compress import RAW, Compressor
from farvault.seal.digest import Buffer
from farvault.seal.pack import PIECE_EXTENTS, PackBuilder

COMPRESSED_AHEAD: Final = 3
"""Packs being compressed or waiting to be sent."""
REMEMBERED_MOST: Final = 1_000_000
"""Digests of this run that are remembered as sent (about 90 bytes each)."""
TRANSACTION_ID_BYTES: Final = 16
IDS_A_MESSAGE: Final = 20_000
UPDATE_BYTES_A_MESSAGE: Final = 1 << 20

Packed = tuple[int, int, Buffer]
"""(codec, plain bytes, packed bytes)"""


class Attempts:
    """What all tries of one unit share: the id by which the server knows a transaction it has committed.

    `ended`: what came of the try whose EndTransaction has left, until its answer is here.
    """

    def __init__(self) -> None:
        self.transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        self.ended: UnitResult | None = None


class Sender:
    """Performs units over one session. `node`: as the server knows it, in capitals."""

    def __init__(
        self,
        node: str,
        compression_level: int | None,
        threads: int = 2,
        piece_extents: int = PIECE_EXTENTS,
    ) -> None:
        self._node = node
        self._piece_extents = piece_extents
        self._compressor = None if compression_level is None else Compressor(compression_level)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compress")
        self._sent: set[bytes] = set()
        self._sent_to = ("", "")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def perform(
        self,
        session: NodeSession,
        reading: Reading,
        groups: Iterable[Group],
        attempts: Attempts | None = None,
    ) -> UnitResult:
        """One unit as one transaction. A refusal is part of the result; `PeerUnreachable` is the caller's to handle: he
        comes back with the same `attempts`.
        """
        result = UnitResult(number=reading.unit.number)
        sent, seconds = session.connection.bytes_sent, session.transfer_seconds
        transaction = _Transaction(self, session, reading, result, attempts or Attempts())
        try:
            if (stored := transaction.begin()) is not None:
                return stored
            with contextlib.closing(kept_alive(session.connection, groups)) as alive:
                for group in alive:
                    if group.restart:
                        transaction.start_over()
                    else:
                        transaction.add(group)
            transaction.finish()
        except (PeerUnreachable, ProtocolError):
            self._sent.clear()
            result.sent_bytes = session.connection.bytes_sent - sent  # it may turn out to be stored
            raise
        except FarvaultError as refusal:
            reading.abandoned = True
            transaction.give_up()
            result = UnitResult(
                number=reading.unit.number,
                refused=(refusal.message.id, refusal.message.text),
                processed_bytes=result.processed_bytes,
            )
        _with_reading(result, reading)
        result.sent_bytes = session.connection.bytes_sent - sent
        result.transfer_seconds = session.transfer_seconds - seconds
        return result

    def _compress(self, plain: bytes) -> Packed:
        codec, packed = (RAW, plain) if self._compressor is None else self._compressor.compress(plain)
        return codec, len(plain), packed

    def submit(self, plain: bytes) -> Future[Packed]:
        return self._pool.submit(self._compress, plain)

    def sent_before(self, unit: Unit) -> set[bytes]:
        """Digests this session has sent to the same destination and that the server has acknowledged."""
        destination = (unit.file_space, unit.management_class)
        if destination != self._sent_to or len(self._sent) > REMEMBERED_MOST:
            self._sent = set()
            self._sent_to = destination
        return self._sent

    def forget(self) -> None:
        self._sent.clear()


class _Transaction:
    """One transaction at the server, from Begin to its answer."""

    def __init__(
        self,
        sender: Sender,
        session: NodeSession,
        reading: Reading,
        result: UnitResult,
        attempts: Attempts,
    ) -> None:
        self._sender = sender
        self._session = session
        self._reading = reading
        self._unit = unit = reading.unit
        self._attempts = attempts
        self._result = result
        self._before = sender.sent_before(unit)
        self._open = False
        self._reset()

    def _reset(self) -> None:
        unit = self._unit
        self._builder = PackBuilder(self._sender._node, unit.file_space, unit.kind, unit.management_class)
        self._leaving: deque[Future[Packed]] = deque()
        self._mine: set[bytes] = set()
        self._partly_there = False  # the long file that is being sent
        self._nothing_stored()

    def _nothing_stored(self) -> None:
        result = self._result
        result.stored = result.new_bytes = result.packed_bytes = result.deduplicated = 0

    def begin(self) -> UnitResult | None:
        """What came of it, where the server has committed an earlier try."""
        unit = self._unit
        answer = self._session.connection.call(
            m.BeginTransaction(
                file_space=unit.file_space,
                kind=unit.kind,
                management_class=unit.management_class,
                size_estimate_bytes=unit.size_bytes,
                largest_object_bytes=unit.largest_bytes,
                transaction_id=self._attempts.transaction_id,
            ),
            m.Done,
            m.TransactionAnswer,
        )
        ended, self._attempts.ended = self._attempts.ended, None
        if isinstance(answer, m.TransactionAnswer):
            if ended is None:
                raise ProtocolError("the answer to a transaction that was not ended")
            _count_changes(ended, answer)
            return ended
        self._open = True
        return None

    def add(self, group: Group) -> None:
        """Pack a group; what the server has or gets in this transaction anyway is only named."""
        there = self._ask(group.extents)
        mine = self._mine
        if len(mine) > REMEMBERED_MOST:  # forgetting is no fault: an extent may come twice
            mine.clear()
        data = {
            digest: piece for digest, piece in group.extents if digest not in mine and digest not in there
        }
        if group.reused:
            self._partly_there |= len(data) < len(group.extents)
        for each in group.objects:
            some_there = self._partly_there
            for digest, _ in each.extents:
                if (piece := data.pop(digest, None)) is not None:
                    self._put(digest, piece)
                elif not group.reused:  # the extents of a long file may have come with earlier groups
                    some_there = True
            if some_there and not each.more:
                self._result.deduplicated += 1
                self._partly_there = False
            for part in self._pieces(each):
                self._place(part)
        for digest, piece in data.items():  # of a long file whose object comes later
            self._put(digest, piece)
        if group.reused:
            self._close_pack()

    def _put(self, digest: bytes, piece: Buffer) -> None:
        if not self._builder.fits(len(piece)):
            self._close_pack()
        self._builder.add_extent(digest, piece)
        self._mine.add(digest)
        self._result.new_bytes += len(piece)
        self._result.processed_bytes += len(piece)

    def _pieces(self, each: ReadObject) -> Iterator[ReadObject]:
        """The object as it is, or cut where its list of extents is too long for a pack."""
        most, extents = self._sender._piece_extents, each.extents
        start = 0
        while len(extents) - start > most:
            cut = extents[start : start + most]
            yield each._replace(attributes=b"", extents=cut, before=each.before + start, more=True)
            start += most
        yield each._replace(extents=extents[start:], before=each.before + start) if start else each

    def _place(self, each: ReadObject) -> None:
        description = "" if each.more else self._unit.description
        name_bytes = len(each.directory) + len(each.name) + len(each.attributes) + 4 * len(description)
        if not self._builder.fits_object(name_bytes, len(each.extents)):
            self._close_pack()
        refer = self._builder.add_reference  # gives the inline index where the extent is in this pack
        extents = [refer(digest, length) for digest, length in each.extents]
        self._builder.add_object(
            each.directory,
            each.name,
            each.type,
            each.size_bytes,
            each.attributes,
            description,
            extents,
            each.before,
            each.more,
        )
        self._result.stored += not each.more

    def _ask(self, extents: list[Extent]) -> set[bytes]:
        there = {each.digest for each in extents if each.digest in self._before}
        if self._unit.may_be_known and extents:
            unsure = list(
                {
                    each.digest: None
                    for each in extents
                    if each.digest not in there and each.digest not in self._mine
                }
            )
            answer = self._session.known(unsure) if unsure else b""
            there.update(digest for digest, known in zip(unsure, answer, strict=False) if known)
        return there

    def _close_pack(self) -> None:
        if self._builder.is_empty:
            return
        plain = self._builder.build()
        self._builder.reset()
        self._leaving.append(self._sender.submit(plain))
        while len(self._leaving) > COMPRESSED_AHEAD or (self._leaving and self._leaving[0].done()):
            self._send_next()

    def _send_next(self) -> None:
        codec, plain_bytes, packed = self._leaving.popleft().result()
        self._session.send_pack(codec, plain_bytes, packed)
        self._result.packed_bytes += len(packed)

    def finish(self) -> None:
        """Send what is left, then the changes, and commit. An empty transaction is given up instead."""
        self._close_pack()
        while self._leaving:
            self._send_next()
        self._change()
        commit = bool(self._result.stored or self._unit.expire or self._unit.updates or self._unit.rebind)
        self._open = False
        if commit:
            self._attempts.ended = _with_reading(self._result, self._reading)
        answer = self._session.connection.call(m.EndTransaction(commit=commit), m.TransactionAnswer, m.Done)
        self._attempts.ended = None
        if isinstance(answer, m.TransactionAnswer) and commit:
            _count_changes(self._result, answer)
            self._before |= self._mine
        else:
            self._nothing_stored()

    def _change(self) -> None:
        send = self._session.connection.send
        unit = self._unit
        for start in range(0, len(unit.expire), IDS_A_MESSAGE):
            send(m.ExpireObjects(ids=tuple(unit.expire[start : start + IDS_A_MESSAGE])))
        rows: list[m.AttributesRow] = []
        size = 0
        for row in unit.updates:
            rows.append(row)
            size += len(row.attributes) + 16
            if size > UPDATE_BYTES_A_MESSAGE:
                send(m.UpdateObjects(rows=tuple(rows)))
                rows, size = [], 0
        if rows:
            send(m.UpdateObjects(rows=tuple(rows)))
        for start in range(0, len(unit.rebind), IDS_A_MESSAGE):
            ids = tuple(unit.rebind[start : start + IDS_A_MESSAGE])
            send(m.RebindObjects(ids=ids, management_class=unit.management_class))
            self._result.rebound += len(ids)

    def start_over(self) -> None:
        """Throw away what was sent in this transaction and begin again."""
        self._drop_leaving()
        self._open = False
        self._session.connection.call(m.EndTransaction(commit=False), m.TransactionAnswer, m.Done)
        self._reset()
        self.begin()

    def give_up(self) -> None:
        """After a refusal: end the transaction where the server still holds it open."""
        self._drop_leaving()
        self._sender.forget()
        if not self._open:
            return
        self._open = False
        try:
            self._session.connection.call(m.EndTransaction(commit=False), m.TransactionAnswer, m.Done)
        except (PeerUnreachable, ProtocolError):
            raise
        except FarvaultError:
            return  # it says once more why it refuses

    def _drop_leaving(self) -> None:
        for each in self._leaving:
            each.cancel()
        self._leaving.clear()


def _with_reading(result: UnitResult, reading: Reading) -> UnitResult:
    result.failures, result.retried = reading.failures, reading.retried
    result.read_bytes = reading.read_bytes
    return result


def _count_changes(result: UnitResult, answer: m.TransactionAnswer) -> None:
    result.expired, result.updated = answer.expired, answer.updated
