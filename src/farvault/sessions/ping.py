"""A session of role SERVER: another server asks whether we are here, and knows by the sign-on that we are who we are."""

from __future__ import annotations

from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Done, Ping, SignOff
from farvault.transport.connection import Connection

IDLE_SECONDS = 60.0


def serve_ping(connection: Connection, name: str) -> None:
    """Until it signs off. It can do nothing else."""
    connection.idle_seconds = IDLE_SECONDS
    while True:
        incoming = connection.receive()
        if isinstance(incoming.body, SignOff):
            return
        if not isinstance(incoming.body, Ping):
            raise ProtocolError(f"{type(incoming.body).__name__} where it is not allowed", name)
        connection.send(Done(), request=incoming.request)
