"""Coming in: strangers are few and watched, handlers may fail, and closing leaves nothing behind."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.transport.conftest import House

from farvault.base.errors import LoginRefused, NotAvailable, PeerUnreachable
from farvault.protocol.frames import encode
from farvault.protocol.messages import Done, Hello, Ping
from farvault.seal.identity import Identity
from farvault.transport.connection import Connection
from farvault.transport.dial import dial
from farvault.transport.listen import Limits, Listener

MakeHouse = Callable[..., House]
HELLO = Hello(role="NODE", name="DELHI", nonce=b"n" * 32)


def is_closed(guest: socket.socket) -> bool:
    guest.settimeout(PATIENCE_SECONDS)
    try:
        return guest.recv(1) == b""
    except ConnectionResetError:
        return True


def says_anything(guest: socket.socket) -> bool:
    return bool(select.select([guest], [], [], 0)[0])


def test_many_sessions_are_served_at_the_same_time(house: MakeHouse) -> None:
    home = house()
    sessions = [home.session() for _ in range(12)]
    for session in sessions:
        session.send(Ping())
    for session in reversed(sessions):
        session.expect(Done)
    assert len(home.listener.connections) == 12
    for session in sessions:
        session.close()


def test_a_handler_that_fails_ends_its_connection_only(house: MakeHouse) -> None:
    def serve(connection: Connection) -> None:
        raise RuntimeError("a defect")

    home = house(serve)
    for _ in range(3):
        connection = home.dial()
        with pytest.raises(PeerUnreachable):
            connection.receive()
        connection.close()
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], RuntimeError)


def test_a_stranger_that_never_begins_tls_is_closed(house: MakeHouse) -> None:
    home = house(limits=Limits(tls_seconds=0.05))
    with home.raw() as guest:
        assert is_closed(guest)
    assert home.failed.wait(PATIENCE_SECONDS)
    assert "TLS was not complete" in str(home.failures[0])


def test_a_stranger_that_drips_bytes_into_tls_is_closed(house: MakeHouse) -> None:
    home = house(limits=Limits(tls_seconds=0.2))
    with home.raw() as guest:
        guest.sendall(b"\x16\x03\x01\x02\x00")  # the start of a TLS hello of 512 bytes
        while not home.failed.wait(0.01):
            try:
                guest.sendall(b"\x01")
            except OSError:
                break
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], PeerUnreachable)


@pytest.mark.parametrize(
    "sent", [b"", bytes(encode(HELLO))[:7], bytes(encode(HELLO))[:30], bytes(encode(HELLO))]
)
def test_a_stranger_that_stops_in_any_state_of_the_sign_on_is_closed(house: MakeHouse, sent: bytes) -> None:
    home = house(limits=Limits(sign_on_seconds=0.1))
    with home.tls() as guest:
        guest.settimeout(PATIENCE_SECONDS)
        try:
            guest.sendall(sent)
            while guest.recv(1000):
                pass
        except OSError:
            pass
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], PeerUnreachable)


def test_an_address_has_few_connections_that_have_not_signed_on(house: MakeHouse) -> None:
    home = house(limits=Limits(max_strangers_per_address=3))
    friends = [home.session() for _ in range(5)]
    strangers = [home.dial() for _ in range(3)]
    with home.raw() as one_more:
        assert is_closed(one_more)
    home.sign_on(strangers.pop())  # known now: it counts no more
    home.session().close()
    for connection in (*friends, *strangers):
        connection.close()


def test_over_the_most_sessions_the_reason_is_told(house: MakeHouse) -> None:
    home = house(limits=Limits(max_sessions=2))
    sessions = [home.session(), home.session()]
    with pytest.raises(LoginRefused, match=r"ANR0428W .* all 2 sessions are in use"):
        home.session()
    assert sessions[0].call(Ping(), Done)
    for session in sessions:
        session.close()


def test_strangers_take_no_session_from_friends(house: MakeHouse) -> None:
    home = house(limits=Limits(max_sessions=1))
    strangers = [home.raw() for _ in range(5)]
    home.session().close()
    for stranger in strangers:
        stranger.close()


def test_the_oldest_of_the_address_with_the_most_strangers_gives_way(house: MakeHouse) -> None:
    home = house(limits=Limits(max_strangers=4, max_strangers_per_address=3))
    lonely = home.raw("127.0.0.9")
    flood = [home.raw("127.0.0.2") for _ in range(3)]
    friend = home.session()
    assert is_closed(flood[0])
    assert not any(says_anything(one) for one in (lonely, *flood[1:]))
    for connection in (friend, lonely, *flood):
        connection.close()


def test_close_ends_every_connection_in_whatever_state(house: MakeHouse) -> None:
    home = house()
    signed_on, stranger, raw = home.session(), home.dial(), home.raw()
    home.close()
    for connection in (signed_on, stranger):
        with pytest.raises(PeerUnreachable):
            connection.receive()
        connection.close()
    assert is_closed(raw)
    raw.close()
    with pytest.raises(PeerUnreachable):
        dial("127.0.0.1", home.port)
    assert not home.failures, "the end of the server is nobody's failure"


def test_a_handler_may_close_the_listener_it_runs_in(house: MakeHouse) -> None:
    closed = threading.Event()
    homes: list[House] = []

    def serve(connection: Connection) -> None:
        homes[0].close()
        closed.set()

    homes.append(house(serve))
    homes[0].dial().close()
    assert closed.wait(PATIENCE_SECONDS)


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotAvailable, match=f"ANR8215E Port {port} cannot be opened"):
            Listener("127.0.0.1", port, Identity.create("X"), lambda connection: None)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_cannot_be_one_is_told(port: int) -> None:
    with pytest.raises(NotAvailable):
        Listener("127.0.0.1", port, Identity.create("X"), lambda connection: None)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "::1"])
def test_it_listens_where_it_is_told(host: str) -> None:
    try:
        listener = Listener(host, 0, Identity.create("X"), lambda connection: connection.receive() and None)
    except NotAvailable:
        pytest.skip("no IPv6 here")
    connection = dial("::1" if host == "::1" else "127.0.0.1", listener.port)
    assert connection.host == ("::1" if host == "::1" else "127.0.0.1")
    connection.close()
    listener.close()
