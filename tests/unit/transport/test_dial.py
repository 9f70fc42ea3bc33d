"""Going out: pins, doors that do not open, and sign-on over real TLS in every role and right."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

import msgspec
import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.transport.conftest import TOKYO, VERIFIER, House

from farvault.base.errors import LoginRefused, PeerUnreachable
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login import SOURCE, Account, ClientLogin, SourceProof
from farvault.protocol.messages import Done, HelloAnswer, Ping, Welcome
from farvault.seal.identity import Identity, code_identity, fingerprint, new_code
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on, source_proof
from farvault.transport.ports import unused_port

MakeHouse = Callable[..., House]
DELHI = Identity.create("DELHI")
OSAKA = Identity.create("OSAKA")
CODE = new_code()


# --- the pin -----------------------------------------------------------------------------------------------------


def test_the_pinned_server_is_taken(house: MakeHouse) -> None:
    home = house()
    connection = dial("127.0.0.1", home.port, fingerprint=home.fingerprint.replace(":", "").lower())
    assert connection.fingerprint == home.fingerprint
    connection.close()


@pytest.mark.parametrize("pin", [None, ""])
def test_without_a_pin_who_answers_is_trusted_and_can_be_written_down(
    house: MakeHouse, pin: str | None
) -> None:
    home = house()
    connection = dial("127.0.0.1", home.port, fingerprint=pin)
    assert connection.fingerprint == fingerprint(TOKYO.certificate_der)
    connection.close()


def test_another_server_than_the_pinned_one_gets_not_a_byte(house: MakeHouse) -> None:
    home = house()
    expected = fingerprint(DELHI.certificate_der)
    with pytest.raises(LoginRefused, match="ANR8599E") as refused:
        dial("127.0.0.1", home.port, fingerprint=expected)
    assert home.fingerprint in str(refused.value)
    assert expected in str(refused.value)
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], PeerUnreachable), "nothing came before it hung up"


# --- doors that do not open --------------------------------------------------------------------------------------


def test_where_nobody_listens_the_reason_is_told() -> None:
    with pytest.raises(
        PeerUnreachable, match=r"ANR8214E No connection to 127\.0\.0\.1:\d+: Connection refused"
    ):
        dial("127.0.0.1", unused_port())


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(PeerUnreachable, match=r"ANR8212E .*no-such-host\.invalid"):
        dial("no-such-host.invalid", 1500)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("x" * 300, 1), ("127.0.0.1\0", 1)])
def test_an_address_that_cannot_be_one(host: str, port: int) -> None:
    with pytest.raises(PeerUnreachable):
        dial(host, port)


def test_something_that_does_not_speak_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            guest, _ = server.accept()
            with guest:
                guest.recv(1)
                guest.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PeerUnreachable, match="ANR8213E"):
            dial("127.0.0.1", server.getsockname()[1])
        thread.join(PATIENCE_SECONDS)


def test_something_that_accepts_and_says_nothing() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(PeerUnreachable, match=r"ANR8216E .* 0\.1 seconds"),
    ):
        dial("127.0.0.1", server.getsockname()[1], timeout_seconds=0.1)


def test_something_that_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        with pytest.raises(PeerUnreachable, match="ANR8213E"):
            dial("127.0.0.1", server.getsockname()[1])
        thread.join(PATIENCE_SECONDS)


def test_a_server_of_an_older_tls_is_refused() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            guest, _ = server.accept()
            with guest, pytest.raises(OSError):
                context.wrap_socket(guest, server_side=True)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PeerUnreachable, match="ANR8213E"):
            dial("127.0.0.1", server.getsockname()[1])
        thread.join(PATIENCE_SECONDS)


# --- sign-on -----------------------------------------------------------------------------------------------------


def test_who_has_the_password_is_in(house: MakeHouse) -> None:
    connection = house().dial()
    welcome = sign_on(connection, _node(connection))
    assert isinstance(welcome, Welcome)
    assert connection.logged_in
    assert connection.call(Ping(), Done)
    connection.close()


def test_a_wrong_password_is_refused_and_the_connection_closed(house: MakeHouse) -> None:
    home = house()
    connection = home.dial()
    with pytest.raises(LoginRefused, match="ANR0424W") as refused:
        sign_on(connection, _node(connection, "guess"))
    assert "DELHI" in str(refused.value)
    assert home.failed.wait(PATIENCE_SECONDS)
    assert str(home.failures[0]) == str(refused.value), "both sides say the same"
    with pytest.raises(PeerUnreachable):
        connection.send(Ping())


@pytest.mark.parametrize(
    ("relay_claims", "ends_with"),
    [(TOKYO, (ProtocolError, "identity that is not")), (OSAKA, (LoginRefused, "ANR0426W"))],
    ids=["TOKYO's identity", "its own identity"],
)
def test_a_relay_between_the_two_gets_nowhere(
    house: MakeHouse, relay_claims: Identity, ends_with: tuple[type[Exception], str]
) -> None:
    """It holds TLS with both sides, and the client has no pin yet. It passes on what it can."""
    tokyo = house()

    def relay(connection: Connection) -> None:
        beyond = tokyo.dial()
        try:
            for _ in range(3):
                beyond.send(connection.receive().body)
                answer = beyond.receive().body
                if isinstance(answer, HelloAnswer):
                    answer = msgspec.structs.replace(answer, identity=relay_claims.public_key_bytes)
                connection.send(answer)
        finally:
            beyond.close()

    connection = house(relay, identity=OSAKA).dial()
    with pytest.raises(ends_with[0], match=ends_with[1]):
        sign_on(connection, _node(connection))


def test_a_server_must_be_who_its_certificate_says(house: MakeHouse) -> None:
    """Else it could sign receipts with a key that nobody pinned."""

    def serve(connection: Connection) -> None:
        connection.receive()
        answer = HelloAnswer(
            server_name="TOKYO",
            identity=DELHI.public_key_bytes,
            features=(),
            product_version="1",
            nonce=b"n" * 32,
        )
        connection.send(answer)
        connection.receive()

    connection = house(serve).dial()
    with pytest.raises(ProtocolError, match="identity"):
        sign_on(connection, _node(connection))


def test_a_server_that_falls_silent_during_sign_on_is_given_up(house: MakeHouse) -> None:
    release = threading.Event()
    connection = house(lambda connection: release.wait(PATIENCE_SECONDS) and None).dial()
    with pytest.raises(PeerUnreachable):
        sign_on(connection, _node(connection), seconds=0.1)
    release.set()


def test_sign_on_costs_little(house: MakeHouse) -> None:
    """Every command signs on: no part of it may be slow on purpose."""
    home = house()
    home.session().close()
    started = time.process_time()
    for _ in range(5):
        home.session().close()
    assert (time.process_time() - started) / 5 < 0.5, "both ends, TLS included; 0.01 is usual"


def _node(connection: Connection, password: str = "secret") -> ClientLogin:
    return ClientLogin("NODE", "DELHI", password, connection.peer_certificate_der)


# --- the right of a source ---------------------------------------------------------------------------------------


def _source(connection: Connection, proof: SourceProof | None) -> ClientLogin:
    return ClientLogin(
        SOURCE, "DELHI", "secret", connection.peer_certificate_der, server_name="DELHI", proof=proof
    )


def _known() -> Account:
    return Account(
        verifier=VERIFIER,
        registered_code_key=code_identity(CODE)[0],
        registered_identity=DELHI.public_key_bytes,
    )


def test_a_source_registers_once_and_then_writes(house: MakeHouse) -> None:
    home = house()
    connection = home.dial()
    welcome = sign_on(connection, _source(connection, source_proof(DELHI, CODE)))
    assert welcome.code_registered
    assert not welcome.read_only
    assert home.registered == [(code_identity(CODE)[0], DELHI.public_key_bytes)]
    connection.close()
    home.account = _known()
    connection = home.dial()
    welcome = sign_on(connection, _source(connection, source_proof(DELHI, CODE)))
    assert not welcome.code_registered
    assert not welcome.read_only
    connection.close()


@pytest.mark.parametrize(
    "proof",
    [None, source_proof(DELHI, new_code()), source_proof(OSAKA, CODE)],
    ids=["no code", "another code", "stolen code, own identity"],
)
def test_a_third_server_with_the_password_only_reads(house: MakeHouse, proof: SourceProof | None) -> None:
    connection = house(account=_known()).dial()
    assert sign_on(connection, _source(connection, proof)).read_only
    connection.close()


def test_force_sync_registers_anew(house: MakeHouse) -> None:
    home = house(account=_known())
    connection = home.dial()
    code = new_code()
    welcome = sign_on(connection, _source(connection, source_proof(DELHI, code, force_sync=True)))
    assert welcome.code_registered
    assert not welcome.read_only
    assert home.registered == [(code_identity(code)[0], DELHI.public_key_bytes)]
    connection.close()


def test_a_server_does_not_sign_on_to_itself(house: MakeHouse) -> None:
    connection = house().dial()
    with pytest.raises(LoginRefused, match="ANR0499E TOKYO is this server itself"):
        sign_on(connection, _source(connection, source_proof(TOKYO, CODE)))
