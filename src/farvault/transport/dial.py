"""Going out: connect, check the pinned certificate before a byte is sent, sign on."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final

from farvault.base.errors import LoginRefused, PeerUnreachable
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login import ClientLogin, SourceProof
from farvault.protocol.messages import Welcome
from farvault.protocol.verbs import End
from farvault.seal import identity as identities
from farvault.seal.identity import Identity
from farvault.transport.connection import Connection
from farvault.transport.link import Link, LinkCut, prepare, reason_of

CONNECT_SECONDS: Final = 30.0
SIGN_ON_SECONDS: Final = 60.0


def dial(
    host: str, port: int, *, fingerprint: str | None = None, timeout_seconds: float = CONNECT_SECONDS
) -> Connection:
    """Connect to a server; `timeout_seconds` for the connection and again for TLS.

    `fingerprint` None or empty: whoever answers is trusted, and the caller stores `connection.fingerprint`.
    `LoginRefused` for another certificate than the one pinned, `PeerUnreachable` for anything the network does.
    """
    peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raw = _connect(host, port, peer, timeout_seconds)
    link: Link | None = None
    try:
        prepare(raw)
        link = Link(_context().wrap_socket(raw, do_handshake_on_connect=False))
        link.handshake(time.monotonic() + timeout_seconds)
        _check_pin(link.peer_certificate_der, fingerprint, peer)
        return Connection(link, peer=peer, end=End.CLIENT)
    except BaseException as error:
        (link or raw).close()
        if isinstance(error, TimeoutError):
            raise PeerUnreachable("ANR8216E", peer=peer, seconds=f"{timeout_seconds:g}") from None
        if isinstance(error, LinkCut | OSError | ValueError):
            raise PeerUnreachable("ANR8213E", peer=peer, reason=reason_of(error)) from None
        raise


def sign_on(connection: Connection, login: ClientLogin, *, seconds: float = SIGN_ON_SECONDS) -> Welcome:
    """Run the client's side of the sign-on; whatever goes wrong, the connection is closed then.

    `LoginRefused` by either side; `PeerUnreachable`; `ProtocolError`.
    """
    try:
        connection.set_deadline(seconds)
        connection.send(login.start())
        while True:
            answer = login.receive(connection.receive().body)
            if login.welcome is not None:
                break
            _check_identity(connection, login)
            if answer is not None:
                connection.send(answer)
    except ProtocolError as wrong:
        connection.close()
        raise ProtocolError(wrong.problem, connection.peer) from None
    except BaseException:
        connection.close()
        raise
    connection.logged_in = True
    connection.set_deadline(None)
    return login.welcome


def source_proof(identity: Identity, code: bytes, force_sync: bool = False) -> SourceProof:
    """What a source shows at its target: its own identity, and the verification code of that target."""
    code_key, sign_code = identities.code_identity(code)
    return SourceProof(identity.public_key_bytes, identity.sign, code_key, sign_code, force_sync)


def _connect(host: str, port: int, peer: str, timeout_seconds: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout_seconds)
    except socket.gaierror as error:
        raise PeerUnreachable("ANR8212E", host=host, reason=error.strerror) from None
    except TimeoutError:
        reason = f"no answer within {timeout_seconds:g} seconds"
        raise PeerUnreachable("ANR8214E", peer=peer, reason=reason) from None
    except (OSError, OverflowError, UnicodeError) as error:
        raise PeerUnreachable("ANR8214E", peer=peer, reason=reason_of(error)) from None


def _context() -> ssl.SSLContext:
    """TLS 1.3 and no certificate authority: the pin is the trust. TLS itself proves that the peer has the key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _check_pin(certificate_der: bytes, expected: str | None, peer: str) -> None:
    seen = identities.fingerprint(certificate_der)
    if expected and not identities.same_fingerprint(seen, expected):
        raise LoginRefused("ANR8599E", peer=peer, seen=seen, expected=expected)


def _check_identity(connection: Connection, login: ClientLogin) -> None:
    """The identity a server names is the key in its certificate, so the pin covers its receipts too."""
    assert login.answer is not None
    if login.answer.identity != identities.certificate_key_bytes(connection.peer_certificate_der):
        raise ProtocolError("an identity that is not its certificate's")
