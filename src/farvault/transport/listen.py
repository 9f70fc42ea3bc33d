"""Coming in: one thread accepts, one thread serves each connection, and nobody may hold one for long for nothing.

A connection costs a thread before anybody is known, so an address has few that have not signed on, and so has the whole
server: where there are more, the oldest of the address with the most of them gives way, and a flood keeps nobody out. Every
state has a deadline. What a handler does wrong ends its connection, never the listener.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from farvault.base.address import neighbourhood
from farvault.base.errors import LoginRefused, NotAvailable, PeerUnreachable
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login import ServerLogin
from farvault.protocol.login_states import State
from farvault.protocol.refusal import to_refused
from farvault.protocol.verbs import End
from farvault.seal.identity import Identity
from farvault.transport.connection import FRAME_SECONDS, Connection
from farvault.transport.link import Link, LinkCut, prepare, reason_of

_CLOSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What strangers and friends may take. `idle_seconds`: for a session that has signed on (IDLETIMEOUT).

    An IPv6 address counts with all of its /64. `max_sessions`: strangers who sign on at the same moment may be some more.
    """

    max_sessions: int = 200
    max_strangers: int = 100
    max_strangers_per_address: int = 20
    tls_seconds: float = 30.0
    sign_on_seconds: float = 60.0
    frame_seconds: float = FRAME_SECONDS
    idle_seconds: float | None = 900.0


Serve = Callable[[Connection], None]
Failed = Callable[[str, Exception], None]
"""(address, error): a connection ended by an error that the handler did not deal with."""


def let_in(connection: Connection, login: ServerLogin) -> None:
    """Run the server's side of the sign-on; `login.hello`, `.account`, `.read_only` say who came and with what right.

    Raises the `LoginRefused` that the other side was told, `ProtocolError`, or `PeerUnreachable`. The time for it
    runs already: the listener set it.
    """
    while not login.is_over:
        body = connection.receive().body
        try:
            answers = login.receive(body)
        except ProtocolError as wrong:
            raise ProtocolError(wrong.problem, connection.peer) from None
        connection.logged_in = login.state is State.SIGNED_ON
        for answer in answers:
            connection.send(answer)
    if login.refusal is not None:
        raise login.refusal
    connection.set_deadline(None)


class _Guest:
    """One connection from accept to close."""

    def __init__(self, raw: socket.socket, host: str, port: int) -> None:
        self.raw = raw
        self.host = host
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.link: Link | None = None
        self.connection: Connection | None = None
        self.thread: threading.Thread | None = None
        self.neighbourhood = neighbourhood(host)
        self.gives_way = False

    @property
    def has_signed_on(self) -> bool:
        return self.connection is not None and self.connection.logged_in

    def shutdown(self) -> None:
        if self.link is not None:
            self.link.shutdown()
        else:
            with contextlib.suppress(OSError):
                self.raw.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        elif self.link is not None:
            self.link.close()
        self.raw.close()


class Listener:
    """Listens from the moment it is made until `close`. `serve` runs in a connection's own thread, after TLS.

    `host` "" means every address of the machine. `port` 0 takes a free one, see `.port`. `NotAvailable` where the
    port cannot be had.
    """

    def __init__(
        self,
        host: str,
        port: int,
        identity: Identity,
        serve: Serve,
        limits: Limits | None = None,
        *,
        failed: Failed | None = None,
    ) -> None:
        self._context = _server_context(identity)
        self._serve = serve
        self._failed = failed
        self.limits = limits or Limits()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._guests: dict[_Guest, None] = {}
        """The oldest first."""
        try:
            self._socket = _listening_socket(host, port)
        except (OSError, OverflowError) as error:
            raise NotAvailable("ANR8215E", host=host or "any address", port=port, reason=error) from None
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"listen {self.port}", daemon=True)
        self._thread.start()

    @property
    def connections(self) -> list[Connection]:
        """Those past TLS, signed on or not."""
        with self._lock:
            return [guest.connection for guest in self._guests if guest.connection is not None]

    def close(self) -> None:
        """Accept no more, end every connection, and wait for their threads (not for the one that calls this)."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._thread.join(_CLOSE_SECONDS)
        self._socket.close()
        with self._lock:
            guests = list(self._guests)
        for guest in guests:
            guest.shutdown()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for guest in guests:
            if guest.thread is not None and guest.thread is not threading.current_thread():
                guest.thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                raw, address = self._socket.accept()
            except OSError:
                self._closing.wait(0.1)  # out of descriptors, or the caller was gone at once
                continue
            guest = _Guest(raw, address[0], address[1])
            if not self._admit(guest):
                raw.close()

    def _admit(self, guest: _Guest) -> bool:
        with self._lock:
            strangers = [one for one in self._guests if not one.has_signed_on and not one.gives_way]
            here = Counter(one.neighbourhood for one in strangers)
            if here[guest.neighbourhood] >= self.limits.max_strangers_per_address:
                return False
            if len(strangers) >= self.limits.max_strangers:
                crowded = max(here, key=here.__getitem__)
                oldest = next(one for one in strangers if one.neighbourhood == crowded)
                oldest.gives_way = True
                oldest.shutdown()
            guest.thread = threading.Thread(
                target=self._host, args=(guest,), name=f"session {guest.address}", daemon=True
            )
            self._guests[guest] = None
        try:
            guest.thread.start()
        except RuntimeError:  # the machine has no thread left
            with self._lock:
                self._guests.pop(guest, None)
            return False
        return True

    def _host(self, guest: _Guest) -> None:
        try:
            self._receive_guest(guest)
        except Exception as error:  # noqa: BLE001 - the listener outlives whatever a handler does
            if self._failed is not None and not self._closing.is_set():
                self._failed(guest.address, error)
        finally:
            guest.close()
            with self._lock:
                self._guests.pop(guest, None)

    def _receive_guest(self, guest: _Guest) -> None:
        try:
            prepare(guest.raw)
            link = Link(self._context.wrap_socket(guest.raw, server_side=True, do_handshake_on_connect=False))
            guest.link = link
            if self._closing.is_set():  # close() may have looked before the link was there
                return
            link.handshake(time.monotonic() + self.limits.tls_seconds)
        except TimeoutError:
            reason = f"TLS was not complete after {self.limits.tls_seconds:g} seconds"
            raise PeerUnreachable("ANR8213E", peer=guest.address, reason=reason) from None
        except (LinkCut, OSError) as error:
            raise PeerUnreachable("ANR8213E", peer=guest.address, reason=reason_of(error)) from None
        connection = Connection(
            link,
            peer=guest.address,
            end=End.SERVER,
            idle_seconds=self.limits.idle_seconds,
            frame_seconds=self.limits.frame_seconds,
        )
        connection.set_deadline(self.limits.sign_on_seconds)
        guest.connection = connection
        if self._is_full():
            self._refuse(connection)
        else:
            self._serve(connection)

    def _is_full(self) -> bool:
        with self._lock:
            return sum(one.has_signed_on for one in self._guests) >= self.limits.max_sessions

    def _refuse(self, connection: Connection) -> None:
        refusal = LoginRefused("ANR0428W", address=connection.peer, limit=self.limits.max_sessions)
        connection.receive()  # the hello: closing with unread bytes would take the answer away
        connection.send(to_refused(refusal))
        raise refusal


def _listening_socket(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _server_context(identity: Identity) -> ssl.SSLContext:
    """TLS 1.3 with the server's own certificate. No session tickets: nobody resumes, and nothing arrives unasked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    with _in_memory(identity.private_pem + identity.certificate_pem) as path:
        context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """A path to bytes that never reach a disk: `ssl` takes keys from files only."""
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
