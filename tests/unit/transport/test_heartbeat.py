"""Heartbeats: they keep a link, are never seen by whoever receives, and their absence ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.transport.conftest import House

from farvault.base.errors import PeerUnreachable
from farvault.base.units import KIB, MIB
from farvault.protocol.frames import encode
from farvault.protocol.messages import Done, Ping, SignOff, StorePack
from farvault.transport.connection import Connection
from farvault.transport.heartbeat import Pulse, keep_beating
from farvault.transport.listen import Limits, let_in

FAST = Pulse(beat_seconds=0.02, silence_seconds=1.5)
NO_BEAT = Pulse(beat_seconds=1000, silence_seconds=0.2)
"""Sends none in a test's time, and does not bear silence."""
MakeHouse = Callable[..., House]


def served(house: MakeHouse, work: Callable[[Connection], None], **more: object) -> House:
    def serve(connection: Connection) -> None:
        let_in(connection, made[0].login(connection))
        work(connection)

    made: list[House] = []
    made.append(house(serve, **more))
    return made[0]


def test_an_answer_may_take_longer_than_silence_while_the_other_side_beats(house: MakeHouse) -> None:
    may_answer = threading.Event()

    def work(connection: Connection) -> None:
        keep_beating(connection, FAST)
        request = connection.receive().request
        may_answer.wait(PATIENCE_SECONDS)
        connection.send(Done(), request=request)

    connection = served(house, work).session()
    keep_beating(connection, FAST)
    started = time.monotonic()
    threading.Timer(2 * FAST.silence_seconds, may_answer.set).start()
    assert connection.call(Ping(), Done) == Done()
    assert time.monotonic() - started >= 2 * FAST.silence_seconds
    connection.close()


def test_a_side_that_falls_silent_is_given_up_in_time(house: MakeHouse) -> None:
    over = threading.Event()
    connection = served(house, lambda _: over.wait(PATIENCE_SECONDS) and None).session()
    keep_beating(connection, NO_BEAT)
    started = time.monotonic()
    with pytest.raises(PeerUnreachable, match="ANR4810E"):
        connection.call(Ping(), Done)
    assert NO_BEAT.silence_seconds <= time.monotonic() - started < 5
    with pytest.raises(PeerUnreachable, match="ANR4810E"):
        connection.send(Ping())
    assert connection.ended.is_set()
    over.set()
    connection.close()


def test_heartbeats_do_not_stretch_the_time_for_a_real_frame(house: MakeHouse) -> None:
    over = threading.Event()

    def work(connection: Connection) -> None:
        keep_beating(connection, FAST)
        over.wait(PATIENCE_SECONDS)

    connection = served(house, work).session()
    keep_beating(connection, FAST)
    connection.idle_seconds = 0.2
    with pytest.raises(PeerUnreachable, match="ANR8217E"):
        connection.receive()
    over.set()
    connection.close()


def test_a_heartbeat_is_nothing_to_read(house: MakeHouse) -> None:
    may_answer = threading.Event()

    def work(connection: Connection) -> None:
        for _ in range(3):
            connection.beat()
        may_answer.wait(PATIENCE_SECONDS)
        connection.beat()
        connection.send(Done())
        connection.receive()

    connection = served(house, work).session()
    assert not connection.is_readable(0.1)
    may_answer.set()
    assert connection.is_readable(10)
    assert connection.is_readable(0)
    assert connection.receive().body == Done()
    assert not connection.is_readable(0)
    connection.send(SignOff())
    connection.close()


def test_the_end_of_a_link_is_something_to_read(house: MakeHouse) -> None:
    connection = served(house, lambda connection: connection.beat()).session()
    assert connection.is_readable(10)
    with pytest.raises(PeerUnreachable, match="ANR8218E"):
        connection.receive()
    connection.close()


def test_frames_stay_whole_while_heartbeats_are_sent_between_them(house: MakeHouse) -> None:
    tail = bytes(range(256)) * 4096

    def work(connection: Connection) -> None:
        keep_beating(connection, Pulse(0.0005, 5))
        for _ in range(40):
            assert bytes(connection.receive().tail) == tail
            connection.send(Done())

    connection = served(house, work).session()
    keep_beating(connection, Pulse(0.0005, 5))
    for _ in range(40):
        connection.send(StorePack(codec=0, plain_bytes=0), tail)
        assert connection.receive().body == Done()
    connection.close()


def test_who_takes_nothing_and_beats_is_busy_and_who_takes_nothing_and_is_silent_is_gone(
    house: MakeHouse,
) -> None:
    silent, over = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        while not silent.wait(0.02):
            connection.beat()
        over.wait(PATIENCE_SECONDS)

    connection = served(house, work).session()
    keep_beating(connection, Pulse(1000, 1.0))
    threading.Timer(2.5, silent.set).start()
    started = time.monotonic()
    with pytest.raises(PeerUnreachable, match="ANR8216E"):
        for _ in range(100):
            connection.send(StorePack(codec=0, plain_bytes=0), bytes(MIB))
    assert 2.5 <= time.monotonic() - started < 20
    over.set()
    connection.close()


def test_a_slow_link_carries_a_long_tail_piece_by_piece(house: MakeHouse) -> None:
    """Each piece comes in its time, all of them together take longer than a frame may."""
    got: list[int] = []

    def work(connection: Connection) -> None:
        got.append(connection.receive().tail.nbytes)
        connection.send(Done())

    connection = served(house, work, limits=Limits(frame_seconds=0.4)).session()
    size = MIB + 256 * KIB
    frame = memoryview(bytes(encode(StorePack(codec=0, plain_bytes=0), tail_bytes=size)) + bytes(size))
    pause = threading.Event()
    for start in range(0, frame.nbytes, 256 * KIB):
        connection._link.write(frame[start : start + 256 * KIB], 5, None)
        pause.wait(0.15)
    assert connection.receive().body == Done()
    assert got == [size]
    connection.close()
