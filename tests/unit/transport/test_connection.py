"""Frames over real TLS: both directions at once, reused buffers, limits, and links that stop or break."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.transport.conftest import House

from farvault.base.errors import FarvaultError, LoginRefused, NotAuthorized, PeerUnreachable
from farvault.base.units import MIB
from farvault.protocol.frames import ProtocolError, encode
from farvault.protocol.messages import (
    Body,
    CommandEnd,
    Done,
    Known,
    KnownAnswer,
    Pack,
    Ping,
    ReadObjects,
    Refused,
    SignOff,
    StorePack,
    Welcome,
)
from farvault.transport.connection import Connection
from farvault.transport.link import LinkCut
from farvault.transport.listen import Limits, let_in

MakeHouse = Callable[..., House]


def served(house: MakeHouse, work: Callable[[Connection], None], **more: object) -> House:
    """A house whose handler signs the guest on and then does `work`."""

    def serve(connection: Connection) -> None:
        let_in(connection, made[0].login(connection))
        work(connection)

    made: list[House] = []
    made.append(house(serve, **more))
    return made[0]


def test_a_question_gets_its_answer(house: MakeHouse) -> None:
    connection = house().session()
    assert connection.call(Ping(), Done) == Done()
    assert connection.bytes_sent > 0
    assert connection.bytes_received > 0
    connection.close()


def test_an_answer_carries_the_number_of_its_request(house: MakeHouse) -> None:
    connection = house().session()
    connection.send(Ping(), request=7)
    connection.send(Ping(), request=8)
    assert [connection.receive().request for _ in range(2)] == [7, 8]
    connection.close()


@pytest.mark.parametrize("size", [1, 100, 16_384 - 40, 16_384, 65_536, 4 * MIB + 17, 5 * MIB])
@pytest.mark.parametrize("given", [True, False], ids=["into my buffer", "into the connection's"])
def test_a_tail_arrives_byte_for_byte(house: MakeHouse, size: int, given: bool) -> None:
    got: list[tuple[Body, bytes]] = []

    def work(connection: Connection) -> None:
        room = memoryview(bytearray(5 * MIB)) if given else None
        body, tail, _ = connection.receive(room)
        got.append((body, hashlib.sha256(tail).digest()))
        connection.send(Pack(codec=1, plain_bytes=2), tail)

    connection = served(house, work).session()
    tail = memoryview(bytes(range(256)) * (size // 256 + 1))[:size]
    connection.send(StorePack(codec=0, plain_bytes=size), tail)
    body, back, _ = connection.receive()
    assert got == [(StorePack(codec=0, plain_bytes=size), hashlib.sha256(tail).digest())]
    assert body == Pack(codec=1, plain_bytes=2)
    assert back == tail
    connection.close()


def test_a_tail_may_be_many_buffers(house: MakeHouse) -> None:
    def work(connection: Connection) -> None:
        connection.send(Pack(codec=0, plain_bytes=0), bytes(connection.receive().tail))

    connection = served(house, work).session()
    connection.send(
        StorePack(codec=0, plain_bytes=0), b"one ", bytearray(b"two "), memoryview(b"three" * 9999)[:5]
    )
    assert connection.receive().tail == b"one two three"
    connection.close()


def test_a_tail_without_a_buffer_is_valid_until_the_next_frame(house: MakeHouse) -> None:
    def work(connection: Connection) -> None:
        for letter in (b"a", b"b"):
            connection.send(Pack(codec=0, plain_bytes=0), letter * 100_000)
        connection.receive()

    connection = served(house, work).session()
    first = connection.receive().tail
    assert first == b"a" * 100_000
    second = connection.receive().tail
    assert second == b"b" * 100_000
    assert first.obj is second.obj, "no memory is made for each frame"
    connection.send(SignOff())
    connection.close()


def test_a_tail_longer_than_the_buffer_given_is_refused(house: MakeHouse) -> None:
    def work(connection: Connection) -> None:
        connection.receive(memoryview(bytearray(10)))

    home = served(house, work)
    connection = home.session()
    connection.send(StorePack(codec=0, plain_bytes=0), b"x" * 11)
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], ProtocolError)
    connection.close()


def test_one_thread_sends_a_window_while_another_takes_the_acknowledgements(house: MakeHouse) -> None:
    """Both directions are full at the same time, for as long as it takes: every byte arrives, nothing waits for ever."""
    frames, size = 60, MIB
    seen = hashlib.sha256()

    def work(connection: Connection) -> None:
        room = memoryview(bytearray(size))
        for _ in range(frames):
            seen.update(connection.receive(room).tail)
            connection.send(Pack(codec=0, plain_bytes=0), room)  # as much back as came

    connection = served(house, work).session()
    expected, back = hashlib.sha256(), hashlib.sha256()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            room = memoryview(bytearray(size))
            for _ in range(frames):
                back.update(connection.receive(room).tail)
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(frames):
        data = hashlib.shake_128(bytes([n])).digest(4096) * (size // 4096)
        expected.update(data)
        connection.send(StorePack(codec=0, plain_bytes=0), data)
    reader.join(PATIENCE_SECONDS)
    assert not failures
    assert not reader.is_alive()
    assert seen.digest() == expected.digest() == back.digest()
    connection.close()


def test_two_threads_may_send_and_frames_stay_whole(house: MakeHouse) -> None:
    counts = {0: 0, 1: 0}

    def work(connection: Connection) -> None:
        for _ in range(200):
            body, tail, _ = connection.receive()
            assert isinstance(body, StorePack)
            assert set(bytes(tail)) == {body.codec}
            counts[body.codec] += 1
        connection.send(Done())

    connection = served(house, work).session()

    def send(letter: int) -> None:
        for _ in range(100):
            connection.send(StorePack(codec=letter, plain_bytes=0), bytes([letter]) * 40_000)

    threads = [threading.Thread(target=send, args=(letter,)) for letter in counts]
    for thread in threads:
        thread.start()
    connection.expect(Done)
    assert counts == {0: 100, 1: 100}
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    connection.close()


def test_an_acknowledgement_is_read_while_the_other_side_takes_nothing(house: MakeHouse) -> None:
    """The writer is stuck in the middle of a frame; the reader must not have to wait for it."""
    acknowledge, go_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        acknowledge.wait(PATIENCE_SECONDS)
        connection.send(Done())
        go_on.wait(PATIENCE_SECONDS)
        for _ in range(8):
            connection.receive()
        connection.send(Done())

    connection = served(house, work).session()

    def write() -> None:
        for _ in range(8):
            connection.send(StorePack(codec=0, plain_bytes=0), bytes(5 * MIB))

    writer = threading.Thread(target=write)
    writer.start()
    assert not connection.is_readable(0.2)
    acknowledge.set()
    connection.expect(Done)
    assert writer.is_alive(), "40 MiB do not fit the sockets' buffers"
    go_on.set()
    connection.expect(Done)
    writer.join(PATIENCE_SECONDS)
    assert not writer.is_alive()
    connection.close()


# --- refusals ----------------------------------------------------------------------------------------------------


def test_a_refusal_is_raised_as_the_error_it_stands_for(house: MakeHouse) -> None:
    def work(connection: Connection) -> None:
        connection.receive()
        connection.send(Refused(message_id="ANR0422W", text="no such thing", return_code=9))
        connection.receive()
        connection.send(Done())

    connection = served(house, work).session()
    with pytest.raises(NotAuthorized, match="ANR0422W no such thing"):
        connection.call(Known(digests=b""), KnownAnswer)
    assert connection.call(Ping(), Done), "the session goes on"
    connection.close()


def test_a_refusal_before_sign_on_is_a_login_refused(house: MakeHouse) -> None:
    def serve(connection: Connection) -> None:
        connection.receive()
        connection.send(Refused(message_id="ANR0422W", text="no", return_code=3))

    connection = house(serve).dial()
    with pytest.raises(LoginRefused):
        house().sign_on(connection)


def test_another_answer_than_expected_ends_the_connection(house: MakeHouse) -> None:
    connection = house().session()
    with pytest.raises(ProtocolError, match="Done as an answer"):
        connection.call(Ping(), CommandEnd)
    with pytest.raises(ProtocolError):
        connection.send(Ping())
    connection.close()


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("a frame of 8 MiB", struct.pack("<IIHHI", 8 * MIB, 0, 1, 0, 0)),
        ("a frame of 4 GiB", struct.pack("<IIHHI", 2**32 - 1, 2**32 - 1, 1, 0, 0)),
        ("a bulk verb", struct.pack("<IIHHI", 10, MIB, 43, 0, 0)),
        ("a request", bytes(encode(Ping()))),
        ("a server's verb", bytes(encode(Welcome(scram="", session=1, read_only=False, server_time=0)))),
        ("something else", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("garbage", bytes(range(255, 200, -1))),
    ],
)
def test_before_sign_on_nothing_but_a_hello_is_taken(house: MakeHouse, what: str, data: bytes) -> None:
    home = house()
    with home.tls() as guest:
        guest.sendall(data)
        assert _end_of(guest), "closed without an answer"
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], ProtocolError)
    assert "127.0.0.1" in str(home.failures[0])


def _end_of(guest: object) -> bool:
    try:
        return guest.recv(1) == b""  # type: ignore[attr-defined]
    except OSError:
        return True


def test_after_sign_on_the_table_still_holds(house: MakeHouse) -> None:
    home = house()
    connection = home.session()
    connection._link.write(memoryview(struct.pack("<IIHHI", 65_537, 0, 9, 0, 0)), PATIENCE_SECONDS, None)
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], ProtocolError)
    with pytest.raises(PeerUnreachable):
        connection.receive()
    connection.close()


# --- deadlines ---------------------------------------------------------------------------------------------------


def test_an_idle_session_is_noticed_and_may_still_be_told(house: MakeHouse) -> None:
    told: list[FarvaultError] = []

    def work(connection: Connection) -> None:
        try:
            connection.receive()
        except PeerUnreachable as idle:
            told.append(idle)
            connection.send(Refused(message_id="ANR0482W", text="idle"))

    connection = served(house, work, limits=Limits(idle_seconds=0.05)).session()
    assert isinstance(connection.receive().body, Refused)
    assert told[0].message.id == "ANR8217E"
    connection.close()


def test_a_frame_that_has_begun_must_end(house: MakeHouse) -> None:
    home = house(limits=Limits(frame_seconds=0.1))
    connection = home.session()
    connection._link.write(
        memoryview(encode(StorePack(codec=0, plain_bytes=0), tail_bytes=1000)), PATIENCE_SECONDS, None
    )
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], PeerUnreachable)
    assert "ANR8216E" in str(home.failures[0])
    connection.close()


def test_bytes_that_drip_do_not_stretch_a_frames_time(house: MakeHouse) -> None:
    home = house(limits=Limits(frame_seconds=0.15))
    connection = home.session()
    frame = encode(ReadObjects(ids=tuple(range(1000))))
    for n in range(len(frame) - 1):
        try:
            connection._link.write(memoryview(frame)[n : n + 1], PATIENCE_SECONDS, None)
        except LinkCut:
            break
        if home.failed.wait(0.01):
            break
    else:
        pytest.fail("it was listened to up to its last byte")
    assert home.failed.wait(PATIENCE_SECONDS)
    assert isinstance(home.failures[0], PeerUnreachable)
    connection.close()


def test_a_peer_that_takes_nothing_is_given_up(house: MakeHouse) -> None:
    release = threading.Event()
    connection = served(house, lambda _: release.wait(PATIENCE_SECONDS) and None).session()
    connection.frame_seconds = 0.1
    with pytest.raises(PeerUnreachable, match="ANR8216E"):
        for _ in range(100):
            connection.send(StorePack(codec=0, plain_bytes=0), bytes(5 * MIB))
    with pytest.raises(PeerUnreachable, match="ANR8216E"):
        connection.send(Ping())
    release.set()
    connection.close()


def test_a_deadline_bounds_everything_together(house: MakeHouse) -> None:
    connection = served(house, lambda c: c.receive() and None).session()
    connection.set_deadline(0.05)
    with pytest.raises(PeerUnreachable):
        connection.receive()
    connection.set_deadline(None)
    connection.send(SignOff())
    connection.close()


# --- ends --------------------------------------------------------------------------------------------------------


def test_a_waiting_reader_is_woken_by_shutdown_from_another_thread(house: MakeHouse) -> None:
    connection = house().session()
    errors: list[Exception] = []

    def wait() -> None:
        try:
            connection.receive()
        except PeerUnreachable as error:
            errors.append(error)

    reader = threading.Thread(target=wait)
    reader.start()
    connection.shutdown()
    reader.join(PATIENCE_SECONDS)
    assert "closed at this end" in str(errors[0])
    connection.close()


def test_close_waits_for_nobody_and_may_be_called_twice(house: MakeHouse) -> None:
    connection = house().session()

    def wait() -> None:
        with pytest.raises(PeerUnreachable):
            connection.receive()

    reader = threading.Thread(target=wait)
    reader.start()
    connection.close()
    connection.close()
    reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive()
    for use in (connection.receive, lambda: connection.send(Ping())):
        with pytest.raises(PeerUnreachable, match="closed at this end"):
            use()
    assert connection.is_readable()


def test_a_cut_in_the_middle_of_a_frame_is_told(house: MakeHouse) -> None:
    def work(connection: Connection) -> None:
        connection._link.write(
            memoryview(encode(Pack(codec=0, plain_bytes=0), tail_bytes=100)), PATIENCE_SECONDS, None
        )

    connection = served(house, work).session()
    with pytest.raises(PeerUnreachable, match=r"127\.0\.0\.1:\d+ was cut"):
        connection.receive()
    connection.close()


def test_whether_something_arrived_can_be_asked_without_waiting(house: MakeHouse) -> None:
    connection = house().session()
    assert not connection.is_readable()
    connection.send(Ping())
    connection.send(Ping())
    assert connection.is_readable(PATIENCE_SECONDS)
    connection.receive()
    assert connection.is_readable(PATIENCE_SECONDS)
    connection.receive()
    assert not connection.is_readable()
    connection.close()
