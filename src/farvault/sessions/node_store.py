"""What a node stores and changes: transactions. Deleting stands in `node_delete`.

A transaction is served as a whole, from BeginTransaction to EndTransaction, by one function: whatever happens on the
way (a refusal, a broken link, a defect), it is committed once or given up. Frames without an answer cannot be refused
one by one: what is wrong with them is told at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from farvault.base.errors import BadInput, FarvaultError, PeerMisbehaved, PeerUnreachable
from farvault.catalog import client_transactions
from farvault.model.stored_object import ObjectKind
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import (
    BeginTransaction,
    Body,
    Done,
    EndTransaction,
    ExpireObjects,
    Known,
    KnownAnswer,
    Ping,
    RebindObjects,
    StorePack,
    UpdateObjects,
)
from farvault.protocol.refusal import to_refused
from farvault.seal.pack import ATTRIBUTES_MAX_BYTES
from farvault.sessions.node_policy import copy_group
from farvault.sessions.node_session import IDLE_SECONDS, TRANSACTION_SECONDS, Handlers, NodeSession
from farvault.storage.intake import Intake, answer_of
from farvault.transport.connection import Incoming

DIGEST_BYTES: Final = 32
END_OF_OTHER_SECONDS: Final = 60.0
"""How long a repeated transaction waits for the session that began it before. It may be making it durable."""
CHANGES_MOST: Final = 1_000_000
"""Expired, updated and rebound versions in one transaction; their numbers are kept in memory until its end."""
ATTRIBUTES_MOST_BYTES: Final = 64 << 20


def begin_transaction(session: NodeSession, incoming: Incoming) -> None:
    """Serve one transaction to its end, or tell the answer again where it was committed already.

    The session that began it before is ended first: then it is committed, or never will be.
    """
    asked = incoming.body
    assert isinstance(asked, BeginTransaction)
    if not asked.transaction_id:
        return _serve_transaction(session, incoming)
    key = (session.node_id, asked.transaction_id)
    took = session.transactions.take(
        key, incoming, session.connection.shutdown, END_OF_OTHER_SECONDS, insists=False
    )
    if not took:
        raise PeerUnreachable("ANR0571W", node=session.node_name)
    try:
        with session.catalog.read() as r:
            committed = client_transactions.find(r, session.node_id, asked.transaction_id)
        if committed is not None:
            session.say("ANR0572I")
            session.connection.send(answer_of(committed), request=incoming.request)
        else:
            _serve_transaction(session, incoming)
    finally:
        session.transactions.leave(key, incoming)


def _serve_transaction(session: NodeSession, incoming: Incoming) -> None:
    """Refused at once where its class or destination cannot take it, and said here too."""
    try:
        intake = _open_intake(session, incoming)
    except (PeerMisbehaved, PeerUnreachable):
        raise
    except FarvaultError as refusal:
        session.say("ANR0532W", reason=refusal.message)
        raise
    transaction = _Transaction(session, intake)
    connection = session.connection
    connection.idle_seconds = TRANSACTION_SECONDS
    try:
        connection.send(Done(), request=incoming.request)
        while not transaction.is_over:
            transaction.take(connection.receive(transaction.buffer()))
        connection.idle_seconds = IDLE_SECONDS  # where it waited too long, the log tells this limit
    finally:
        transaction.give_up()


def _open_intake(session: NodeSession, incoming: Incoming) -> Intake:
    asked = incoming.body
    assert isinstance(asked, BeginTransaction)
    with session.catalog.read() as r:
        node = session.node(r)
        file_space = session.file_space(r, asked.file_space)
        group = copy_group(r, node, asked.management_class, asked.kind)
    return Intake(
        session.storage,
        node,
        file_space,
        asked.kind,
        group.destination,
        group.management_class,
        asked.size_estimate_bytes,
        session.transaction_objects,
        asked.largest_object_bytes,
        session.storing,
        asked.transaction_id,
    )


class _Transaction:
    """One transaction while its frames come in."""

    def __init__(self, session: NodeSession, intake: Intake) -> None:
        self._session = session
        self._intake = intake
        self._failure: FarvaultError | None = None
        self._buffer: memoryview | None = None
        self._changes = self._attribute_bytes = 0
        self.is_over = False

    def buffer(self) -> memoryview:
        """Where the next frame's tail goes: a pack is handed over in it, not copied."""
        if self._buffer is None:
            self._buffer = self._session.storage.buffers.take()
        return self._buffer

    def take(self, incoming: Incoming) -> None:
        """One frame. Only a broken session raises; refusals wait for the frame that is answered."""
        handle = _FRAMES.get(type(incoming.body))
        if handle is None:
            name = type(incoming.body).__name__
            raise ProtocolError(f"{name} inside a transaction", self._session.node_name)
        try:
            handle(self, incoming)
        except (PeerMisbehaved, PeerUnreachable):
            raise
        except FarvaultError as failure:
            self._fail(failure, incoming)

    def give_up(self) -> None:
        """Harmless after a commit."""
        self._intake.abort()
        if self._buffer is not None:
            self._session.storage.buffers.give(self._buffer)
            self._buffer = None

    def _fail(self, failure: FarvaultError, incoming: Incoming) -> None:
        if isinstance(incoming.body, Known):
            self._session.connection.send(to_refused(failure), request=incoming.request)
        self._failure = self._failure or failure

    def _ping(self, incoming: Incoming) -> None:
        self._session.connection.send(Done(), request=incoming.request)

    def _known(self, incoming: Incoming) -> None:
        asked = incoming.body
        assert isinstance(asked, Known)
        if self._failure is not None:
            raise self._failure
        if len(asked.digests) % DIGEST_BYTES:
            raise ProtocolError("a list of digests that ends in the middle of one", self._session.node_name)
        known = self._intake.known(asked.digests)
        self._session.connection.send(KnownAnswer(known=known), request=incoming.request)

    def _store_pack(self, incoming: Incoming) -> None:
        asked = incoming.body
        assert isinstance(asked, StorePack)
        if self._failure is None:
            buffer, self._buffer = self.buffer(), None
            self._intake.store_pack(asked.codec, asked.plain_bytes, incoming.tail.nbytes, buffer)

    def _expire(self, incoming: Incoming) -> None:
        asked = incoming.body
        assert isinstance(asked, ExpireObjects)
        self._count(len(asked.ids))
        self._intake.expire(asked.ids)

    def _update(self, incoming: Incoming) -> None:
        asked = incoming.body
        assert isinstance(asked, UpdateObjects)
        if any(len(row.attributes) > ATTRIBUTES_MAX_BYTES for row in asked.rows):
            raise BadInput("ANR0537W", node=self._session.node_name, reason="attributes are too long")
        self._count(len(asked.rows), sum(len(row.attributes) for row in asked.rows))
        self._intake.update((row.id, row.attributes) for row in asked.rows)

    def _rebind(self, incoming: Incoming) -> None:
        """Only to a class of the active set that may hold backups: versions bound to nothing would be expired."""
        asked = incoming.body
        assert isinstance(asked, RebindObjects)
        self._count(len(asked.ids))
        with self._session.catalog.read() as r:
            group = copy_group(r, self._session.node(r), asked.management_class, ObjectKind.BACKUP)
        self._intake.rebind(asked.ids, group.management_class)

    def _count(self, changes: int, attribute_bytes: int = 0) -> None:
        self._changes += changes
        self._attribute_bytes += attribute_bytes
        if self._changes > CHANGES_MOST or self._attribute_bytes > ATTRIBUTES_MOST_BYTES:
            raise BadInput("ANR0568E", most=CHANGES_MOST)

    def _end(self, incoming: Incoming) -> None:
        asked = incoming.body
        assert isinstance(asked, EndTransaction)
        self.is_over = True
        self._session.connection.send(self._outcome(asked.commit), request=incoming.request)

    def _outcome(self, commit: bool) -> Body:
        if not commit:
            return Done()
        try:
            if self._failure is not None:
                raise self._failure
            return self._intake.commit()
        except FarvaultError as failure:
            self._session.say("ANR0532W", reason=failure.message)
            return to_refused(failure)


_FRAMES: Final[Mapping[type[Body], Callable[[_Transaction, Incoming], None]]] = {
    Known: _Transaction._known,
    StorePack: _Transaction._store_pack,
    ExpireObjects: _Transaction._expire,
    UpdateObjects: _Transaction._update,
    RebindObjects: _Transaction._rebind,
    EndTransaction: _Transaction._end,
    Ping: _Transaction._ping,
}
"""What may come inside a transaction."""


HANDLERS: Handlers = {BeginTransaction: begin_transaction}
