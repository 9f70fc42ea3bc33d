"""A server on loopback with one name in its catalog, real TLS, and doors to it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.protocol.login import Account, ClientLogin, ServerLogin, make_verifier, parse_verifier
from farvault.protocol.messages import Done, Hello, Ping, SignOff, StorePack, Welcome
from farvault.seal.identity import Identity, fingerprint, verify
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on
from farvault.transport.listen import Limits, Listener, Serve, let_in

VERIFIER = parse_verifier(make_verifier("secret"))
TOKYO = Identity.create("TOKYO")


class House:
    """TOKYO: answers Ping by Done and StorePack by Done, unless another handler is given."""

    def __init__(
        self,
        serve: Serve | None = None,
        limits: Limits | None = None,
        account: Account | None = None,
        identity: Identity = TOKYO,
    ) -> None:
        self.identity = identity
        self.account = account or Account(verifier=VERIFIER, session=1)
        self.registered: list[tuple[bytes, bytes]] = []
        self.failures: list[Exception] = []
        self.failed = threading.Event()
        self.listener = Listener(
            "127.0.0.1", 0, self.identity, serve or self.answer, limits, failed=self._note_failure
        )
        self.port = self.listener.port
        self.fingerprint = fingerprint(self.identity.certificate_der)

    def login(self, connection: Connection) -> ServerLogin:
        return ServerLogin(
            "TOKYO",
            self.identity.public_key_bytes,
            self.identity.certificate_der,
            "1",
            self._lookup,
            verify=verify,
            decoy_key=b"k" * 32,
            register=self._register,
            address=connection.peer,
        )

    def _register(self, hello: Hello, code_key: bytes, identity: bytes) -> bool:
        self.registered.append((code_key, identity))
        return True

    def answer(self, connection: Connection) -> None:
        let_in(connection, self.login(connection))
        while not isinstance((incoming := connection.receive()).body, SignOff):
            assert isinstance(incoming.body, Ping | StorePack)
            connection.send(Done(), request=incoming.request)

    def dial(self) -> Connection:
        return dial("127.0.0.1", self.port, fingerprint=self.fingerprint)

    def session(self) -> Connection:
        connection = self.dial()
        self.sign_on(connection)
        return connection

    def sign_on(self, connection: Connection, password: str = "secret") -> Welcome:
        return sign_on(connection, ClientLogin("NODE", "DELHI", password, connection.peer_certificate_der))

    def raw(self, host: str = "127.0.0.1") -> socket.socket:
        """TCP only, from this address."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS, (host, 0))

    def tls(self) -> ssl.SSLSocket:
        """TLS, and nothing of the protocol yet."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(self.raw())

    def close(self) -> None:
        self.listener.close()

    def _lookup(self, hello: Hello) -> Account:
        return self.account

    def _note_failure(self, address: str, error: Exception) -> None:
        self.failures.append(error)
        self.failed.set()


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    """Makes a `House` with given handler, limits or account; closed at the end, which ends all its threads."""
    houses: list[House] = []

    def make(*args: object, **more: object) -> House:
        houses.append(House(*args, **more))  # type: ignore[arg-type]
        return houses[-1]

    yield make
    for each in houses:
        each.close()
    ours = [t for t in threading.enumerate() if t.name.startswith(("session ", "listen "))]
    for thread in ours:
        thread.join(PATIENCE_SECONDS)
    left = [thread.name for thread in ours if thread.is_alive()]
    assert not left, f"threads that outlived their listener: {left}"
