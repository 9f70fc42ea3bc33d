"""A target: how this server, as a source, opens a session with the server that keeps its virtual volumes.

What must be written down on the way (the pin at first contact, that the code is registered) goes through callbacks
that make it durable before the session is used. Refused is what would protect nothing: a server that is ourselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from farvault.base.errors import FarvaultError, NotAuthorized, NotAvailable, PeerUnreachable
from farvault.media.link_book import LinkRecord
from farvault.protocol.login import SOURCE, ClientLogin
from farvault.protocol.messages import SignOff, Welcome
from farvault.seal.identity import Identity
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on, source_proof
from farvault.transport.heartbeat import STEADY, Pulse, keep_beating

ANSWER_SECONDS = 1200.0
"""No request of virtual volumes takes a target that lives longer before its first answer. It may have to wait for a target
of its own (RETRYPERIOD); that it lives is told by its heartbeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDefinition:
    """What the server definition says, secrets opened. Read anew for every session.

    `fingerprint`: empty = trust the certificate seen at first contact. `code`: 32 bytes, or empty: read-only.
    """

    server_name: str
    host: str
    port: int
    node_name: str
    password: str
    own_server_name: str
    fingerprint: str = ""
    code: bytes = b""
    force_sync: bool = False
    delete_grace_days: int = 5
    epoch: int = 1
    """This catalog's epoch: RESTORE DB raises it."""


@dataclass(frozen=True, slots=True)
class TargetSession:
    """A connection that is signed on. `identity_key`: the target's Ed25519 key, which signs its receipts.

    `epoch`: ours at the sign-on. `set_back`: the target is in an older state than its receipts say, so that nothing is
    stored or deleted there before somebody has looked (RECONCILE VOLUMES).
    """

    connection: Connection
    welcome: Welcome
    identity_key: bytes
    epoch: int = 1
    set_back: bool = False

    @property
    def read_only(self) -> bool:
        return self.welcome.read_only

    def check_writable(self, server: str) -> None:
        """`NotAuthorized`, `NotAvailable` where nothing may be changed at the target in this session."""
        if self.read_only:
            raise NotAuthorized("ANR4860E" if self.welcome.sync_pending else "ANR4802E", server=server)
        if self.set_back:
            raise NotAvailable("ANR4880E", server=server)

    def close(self) -> None:
        """Say good-bye where that is still possible."""
        with contextlib.suppress(FarvaultError):  # the other side finds out by itself
            self.connection.send(SignOff())
        self.connection.close()


class Target(Protocol):
    """Where the SERVER device class gets its sessions from."""

    @property
    def name(self) -> str:
        """The server's name here, for messages."""
        ...

    def definition(self) -> TargetDefinition: ...

    def open_session(self) -> TargetSession:
        """Dial and sign on, once. `PeerUnreachable`: trying again may help; `LoginRefused`: it will not."""
        ...


class DefinedTarget:
    """The target of a server definition.

    `pinned(fingerprint)` and `code_registered()` make their news durable before they return; `signed_on()` is told of
    every sign-on. `is_set_back(session)` asks a target that has just been signed on to whether it still knows its own
    receipts.
    """

    def __init__(
        self,
        name: str,
        definition: Callable[[], TargetDefinition],
        identity: Identity,
        *,
        pinned: Callable[[str], None],
        code_registered: Callable[[], None],
        signed_on: Callable[[], None] = lambda: None,
        is_set_back: Callable[[TargetSession], bool] = lambda _: False,
        product_version: str = "",
        pulse: Pulse = STEADY,
        record: LinkRecord | None = None,
    ) -> None:
        self.name = name
        self.definition = definition
        self._identity = identity
        self._pinned = pinned
        self._code_registered = code_registered
        self._signed_on = signed_on
        self._is_set_back = is_set_back
        self._product_version = product_version
        self._pulse = pulse
        self._record = record

    def open_session(self) -> TargetSession:
        try:
            session = self._open_session()
        except FarvaultError as error:
            if self._record is not None:
                self._record.failed(error.message)
            raise
        if self._record is not None:
            self._record.opened(session.connection)
        return session

    def _open_session(self) -> TargetSession:
        definition = self.definition()
        connection = dial(
            definition.host,
            definition.port,
            fingerprint=definition.fingerprint or None,
        )
        try:
            return self._sign_on(connection, definition)
        except BaseException:
            connection.close()
            raise

    def _sign_on(self, connection: Connection, definition: TargetDefinition) -> TargetSession:
        proof = (
            source_proof(self._identity, definition.code, definition.force_sync) if definition.code else None
        )
        login = ClientLogin(
            SOURCE,
            definition.node_name,
            definition.password,
            connection.peer_certificate_der,
            server_name=definition.own_server_name,
            platform="Farvault",
            product_version=self._product_version,
            proof=proof,
            own_identity=self._identity.public_key_bytes,
            epoch=definition.epoch,
        )
        welcome = sign_on(connection, login)
        assert login.answer is not None
        if not definition.fingerprint:
            self._pinned(connection.fingerprint)
        if welcome.code_registered:
            self._code_registered()
        self._signed_on()
        keep_beating(connection, self._pulse)
        connection.idle_seconds = ANSWER_SECONDS
        session = TargetSession(connection, welcome, login.answer.identity, definition.epoch)
        return replace(session, set_back=self._is_set_back(session))


def unreachable(server: str, error: PeerUnreachable) -> PeerUnreachable:
    """The same news, told of the target by its name."""
    return PeerUnreachable("ANR4376E", server=server, reason=error.message.text)
