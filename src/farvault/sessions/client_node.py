"""A client node's whole session: every verb it may send, and what happens to an open transaction when it leaves."""

from __future__ import annotations

from farvault.sessions import node_query, node_read, node_store
from farvault.sessions.node_session import Handlers, NodeSession, answer_requests

HANDLERS: Handlers = {**node_query.HANDLERS, **node_store.HANDLERS, **node_read.HANDLERS}


def serve_node(session: NodeSession) -> None:
    """Until the node signs off. A transaction is served as a whole inside its own request (`node_store`)."""
    answer_requests(session, HANDLERS)
