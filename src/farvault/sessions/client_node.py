"""A client node's whole session: every verb it may send, from the tables of the subjects."""

from __future__ import annotations

from farvault.sessions.node_delete import HANDLERS as DELETING
from farvault.sessions.node_query import HANDLERS as ASKING
from farvault.sessions.node_read import HANDLERS as READING
from farvault.sessions.node_session import Handlers, NodeSession, answer_requests
from farvault.sessions.node_store import HANDLERS as STORING

HANDLERS: Handlers = {**ASKING, **STORING, **DELETING, **READING}


def serve_node(session: NodeSession) -> None:
    """Until the node signs off. A transaction is served as a whole inside its own request (`node_store`)."""
    answer_requests(session, HANDLERS)
