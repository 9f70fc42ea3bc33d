"""A signed-on client node, and the loop that answers its requests.

Each subject's file (`node_query`, `node_store`, `node_read`) has a table verb -> function; a verb that stands in none
of them may not come in a node's session. A request that fails is answered by `Refused`, and the session goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, NotFound, PeerMisbehaved, PeerUnreachable
from farvault.base.log import Log
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Snapshot
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.processes.process import Processes
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Body, Done, Ping, SignOff
from farvault.protocol.refusal import to_refused
from farvault.sessions.takeover import Takeover
from farvault.storage.simultaneous import StoreSession
from farvault.storage.storage import Storage
from farvault.transport.connection import Connection, Incoming

IDLE_SECONDS = 15 * 60
"""A session that asks nothing for so long is closed (TSM's IDLETIMEOUT)."""
TRANSACTION_SECONDS = 5 * 60
"""Inside a transaction it holds a volume: the next frame has to come sooner."""


@dataclass(frozen=True, slots=True)
class NodeSession:
    """One node at work: who it is and the parts its requests need. `number` names the session in messages."""

    connection: Connection
    number: int
    node_id: int
    node_name: str
    catalog: Catalog
    storage: Storage
    processes: Processes
    log: Log
    clock: Clock
    transaction_objects: int
    storing: StoreSession
    transactions: Takeover
    """Which session performs which transaction: the server's, shared by all its sessions."""

    def node(self, r: Snapshot) -> Node:
        """As it is now: an administrator may have changed it since the sign-on. `NotFound` where it was removed."""
        return nouns.by_id(r, Node, self.node_id)

    def file_space(self, r: Snapshot, name: str) -> FileSpace:
        """One of its own; `NotFound` for any other name."""
        found = nouns.find(r, FileSpace, self.node_id, name)
        if found is None:
            raise NotFound("ANR0531W", file_space=name, node=self.node_name)
        return found

    def say(self, message_id: str, /, **values: object) -> None:
        """A line in the log that carries this session's number and node."""
        said = message(message_id, **{"session": self.number, "node": self.node_name, **values})
        self.log.repeat(said, session=self.number, node=self.node_name)


Handler = Callable[[NodeSession, Incoming], None]
"""Answers one request. Raises `FarvaultError` for what is refused."""
Handlers = Mapping[type[Body], Handler]


def answer_requests(session: NodeSession, handlers: Handlers) -> None:
    """Until the peer signs off. `PeerMisbehaved` and `PeerUnreachable` end the session; other errors are answers."""
    connection = session.connection
    connection.idle_seconds = IDLE_SECONDS
    while True:
        incoming = connection.receive()
        if isinstance(incoming.body, SignOff):
            return
        if isinstance(incoming.body, Ping):
            connection.send(Done(), request=incoming.request)
            continue
        handler = handlers.get(type(incoming.body))
        if handler is None:
            raise ProtocolError(f"{type(incoming.body).__name__} where it is not allowed", session.node_name)
        try:
            handler(session, incoming)
        except (PeerMisbehaved, PeerUnreachable):
            raise
        except FarvaultError as refusal:
            connection.send(to_refused(refusal), request=incoming.request)
