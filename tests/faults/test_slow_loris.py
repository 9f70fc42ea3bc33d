"""Hundreds of connections that drip a byte now and then: each is closed by its deadline, and who is honest is served meanwhile."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.transport.conftest import House

from farvault.protocol.frames import encode
from farvault.protocol.messages import Done, Hello, Known, Ping
from farvault.transport.connection import Connection
from farvault.transport.listen import Limits

DEADLINE = 1.0
LIMITS = Limits(
    tls_seconds=DEADLINE,
    sign_on_seconds=DEADLINE,
    frame_seconds=DEADLINE,
    max_sessions=3000,
    max_strangers=3000,
    max_strangers_per_address=3000,
)
DRIP_SECONDS = 0.1
HELLO = bytes(encode(Hello(role="NODE", name="DELHI", nonce=bytes(32), features=("x",) * 200)))
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(200)


@pytest.fixture
def house() -> Iterator[House]:
    made = House(limits=LIMITS)
    yield made
    made.close()


class Loris:
    """One that has begun something and goes on byte by byte."""

    def __init__(self, raw: socket.socket, write: socket.socket | ssl.SSLSocket, data: bytes) -> None:
        self.raw, self.write, self.left = raw, write, data
        self.since = time.monotonic()
        self.lived: float | None = None

    def drip(self) -> None:
        with contextlib.suppress(OSError):
            self.write.send(self.left[:1])
            self.left = self.left[1:] or self.left


def in_tls(house: House) -> Loris:
    raw = house.raw()
    return Loris(raw, raw, CLIENT_HELLO)


def in_sign_on(house: House) -> Loris:
    tls = house.tls()
    return Loris(tls, tls, HELLO)


def in_frame(sessions: list[Connection], house: House) -> Loris:
    connection = house.session()
    sessions.append(connection)
    raw = connection._link._tls
    return Loris(raw, raw, bytes(encode(Known(digests=bytes(32 * 100)))))


def closed_after(lorises: list[Loris]) -> None:
    """Drip until all are closed from the other side; each notes how long it lived."""
    watch = selectors.DefaultSelector()
    for one in lorises:
        one.raw.setblocking(False)
        watch.register(one.raw, selectors.EVENT_READ, one)
    until = time.monotonic() + PATIENCE_SECONDS
    next_drip = 0.0
    while watch.get_map() and time.monotonic() < until:
        if time.monotonic() >= next_drip:
            for key in list(watch.get_map().values()):
                key.data.drip()
            next_drip = time.monotonic() + DRIP_SECONDS
        for key, _ in watch.select(DRIP_SECONDS):
            one: Loris = key.data
            with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
                if _is_closed(one):
                    one.lived = time.monotonic() - one.since
                    watch.unregister(one.raw)
    watch.close()


def _is_closed(one: Loris) -> bool:
    try:
        return one.write.recv(4096) == b""
    except (ssl.SSLWantReadError, BlockingIOError):
        raise
    except OSError:
        return True


def attack(house: House, each: int) -> None:
    """`each` in TLS, in the sign-on and in a frame; an honest session asks all the time."""
    honest = house.session()
    over = threading.Event()
    answered: list[float] = []

    def ask() -> None:
        while not over.is_set():
            started = time.monotonic()
            assert honest.call(Ping(), Done) == Done()
            answered.append(time.monotonic() - started)

    asking = threading.Thread(target=ask)
    sessions: list[Connection] = []
    lorises = [in_frame(sessions, house) for _ in range(each)]
    asking.start()
    lorises += [in_tls(house) for _ in range(each)]
    lorises += [in_sign_on(house) for _ in range(each)]
    for one in lorises[:each]:
        one.since = time.monotonic()
    closed_after(lorises)
    over.set()
    asking.join(PATIENCE_SECONDS)
    longest = max(one.lived or PATIENCE_SECONDS for one in lorises)
    assert longest < 30 * DEADLINE, (
        "each is closed by its deadline, which is 60 seconds where nothing else is set"
    )
    assert len(answered) > 10 and sum(answered) / len(answered) < DEADLINE / 2
    assert honest.call(Ping(), Done) == Done()
    for connection in (honest, *sessions):
        connection.close()
    for one in lorises:
        one.raw.close()


def test_two_hundred_that_drip_are_closed_and_the_honest_one_is_served(house: House) -> None:
    attack(house, 67)


@pytest.mark.soak
def test_two_thousand_that_drip_are_closed_and_the_honest_one_is_served(house: House) -> None:
    attack(house, 667)


def test_from_one_address_few_strangers_are_let_in_at_all() -> None:
    house = House(limits=Limits(max_strangers_per_address=20, tls_seconds=60))
    try:
        lorises = [in_tls(house) for _ in range(200)]
        kept, closed = [], 0
        for one in lorises:
            one.raw.settimeout(None)
        watch = selectors.DefaultSelector()
        for one in lorises:
            watch.register(one.raw, selectors.EVENT_READ)
        until = time.monotonic() + PATIENCE_SECONDS
        while len(watch.get_map()) > 20 and time.monotonic() < until:
            for key, _ in watch.select(1):
                watch.unregister(key.fileobj)
                closed += 1
        kept = list(watch.get_map())
        assert (len(kept), closed) == (20, 180)
        watch.close()
        for one in lorises:
            one.raw.close()
    finally:
        house.close()
