"""A node's session with its server: dial, check the pin, sign on; and the conversations every command needs."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from farvault import __version__
from farvault.base.errors import LoginRefused, PeerUnreachable
from farvault.model.stored_object import ObjectType
from farvault.protocol import messages as m
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login import NODE, ClientLogin
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on
from farvault.transport.known_servers import KnownServers

_TYPES: Final = frozenset(int(each) for each in ObjectType)
_TIME_MOST: Final = 253_402_300_799
PLATFORM = f"{platform.system()}/{platform.machine()}"


class Address(NamedTuple):
    """Where the server is, and who signs on. `fingerprint` empty: the pin on file, or trust on first use."""

    host: str
    port: int
    node: str
    password: str
    fingerprint: str = ""


class NodeSession:
    """One signed-on connection. Counts the time spent sending and receiving bulk data."""

    def __init__(
        self, connection: Connection, welcome: m.Welcome, server_name: str, server_version: str
    ) -> None:
        self.connection = connection
        self.welcome = welcome
        self.server_name = server_name
        self.server_version = server_version
        self.transfer_seconds = 0.0

    def policy(self) -> m.Policy:
        return self.connection.call(m.QueryPolicy(), m.Policy)

    def file_spaces(self) -> tuple[m.FileSpaceRow, ...]:
        return self.connection.call(m.QueryFileSpaces(), m.FileSpaces).rows

    def inventory(self, query: m.QueryObjects) -> Iterator[m.Objects]:
        """The frames of an inventory, in order; the last one included. Read them all before anything else is asked.

        `ProtocolError` for rows that cannot be: whoever reads them need not look again.
        """
        self.connection.send(query)
        while True:
            frame, _ = self.connection.expect(m.Objects)
            if problem := _impossible(frame):
                self.connection.shutdown()
                raise ProtocolError(problem, self.connection.peer)
            yield frame
            if frame.last:
                return

    def send_pack(self, codec: int, plain_bytes: int, packed: bytes | bytearray | memoryview) -> None:
        started = time.monotonic()
        self.connection.send(m.StorePack(codec=codec, plain_bytes=plain_bytes), packed)
        self.transfer_seconds += time.monotonic() - started

    def known(self, digests: list[bytes]) -> bytes:
        """One byte per digest: 1 where the server has it from this node."""
        known = self.connection.call(m.Known(digests=b"".join(digests)), m.KnownAnswer).known
        return known.ljust(len(digests), b"\0")

    def close(self) -> None:
        """Sign off; never raises."""
        try:
            self.connection.set_deadline(2.0)
            self.connection.send(m.SignOff())
        except PeerUnreachable:
            pass
        finally:
            self.connection.close()


def _impossible(frame: m.Objects) -> str:
    """What is wrong with a frame of an inventory; empty where nothing is."""
    directories, classes = len(frame.directories), len(frame.classes)
    for row in frame.rows:
        if row.directory >= directories or row.management_class >= classes:
            return "an object in a directory or of a class that is not in its list"
        if row.type not in _TYPES:
            return f"an object of type {row.type}"
        if row.inserted_time > _TIME_MOST or row.deactivated_time > _TIME_MOST:
            return "an object stored after the year 9999"
    return ""


def open_session(address: Address, known: KnownServers | None = None) -> NodeSession:
    """Dial and sign on. `known`: the pins on file; a server that is not among them is trusted, the caller remembers it.

    `LoginRefused` (ANS1025E) where the server does not let this node in, or is not the one that was pinned.
    """
    pin = address.fingerprint or (known.fingerprint(address.host, address.port) if known else None)
    connection = dial(address.host, address.port, fingerprint=pin or None)
    login = ClientLogin(
        NODE,
        address.node,
        address.password,
        connection.peer_certificate_der,
        platform=PLATFORM,
        product_version=__version__,
    )
    welcome = sign_on(connection, login)
    assert login.answer is not None
    return NodeSession(connection, welcome, login.answer.server_name, login.answer.product_version)


class Sessions:
    """Idle sessions of one address: a small job takes over the one its command began with."""

    def __init__(self, connect: Callable[[], NodeSession]) -> None:
        self._connect = connect
        self._idle: list[NodeSession] = []

    def take(self) -> NodeSession:
        return self._idle.pop() if self._idle else self._connect()

    def give_back(self, session: NodeSession) -> None:
        self._idle.append(session)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def is_refused(error: Exception) -> bool:
    """Was it a decision of the server (not a broken link)?"""
    return isinstance(error, LoginRefused)
