"""One connection to a peer: frames in both directions, counters, deadlines.

One thread may send while another receives. Between servers both ends send heartbeats (`heartbeat.py`): they keep the
link and are never seen by whoever receives. Bulk bytes are copied as little as TLS allows: a tail goes out from the
caller's buffer and comes in to the caller's buffer, or to one buffer of this connection that is used again and again.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar, overload

from farvault.base.errors import FarvaultError, LoginRefused, PeerUnreachable
from farvault.base.units import KIB
from farvault.protocol import frames
from farvault.protocol.beat import SourceBeat, TargetBeat
from farvault.protocol.frames import HEADER_BYTES, FrameHeader, ProtocolError
from farvault.protocol.messages import Body, Refused
from farvault.protocol.refusal import from_refused
from farvault.protocol.verbs import End
from farvault.seal.identity import fingerprint
from farvault.transport.link import LinkCut

FRAME_SECONDS: Final = 60.0
TAIL_PIECE_BYTES: Final = 256 * KIB
"""A long tail has FRAME_SECONDS for every piece of this size: a link of 64 kbit/s carries the longest record."""
_JOIN_BYTES: Final = 16 * KIB - HEADER_BYTES
"""A frame up to one TLS record travels as one write; longer tails are not copied."""
_NEVER: Final = math.inf
_BEATS: Final[dict[End, Body]] = {End.CLIENT: SourceBeat(), End.SERVER: TargetBeat()}
"""By the end that sends it."""

Answer = TypeVar("Answer", bound=Body)
Other = TypeVar("Other", bound=Body)
Third = TypeVar("Third", bound=Body)
Result = TypeVar("Result")
Buffer = bytes | bytearray | memoryview
"""What a tail may be made of; `mmap` through a memoryview."""


class Stream(Protocol):
    """The byte stream below: `link.Link`."""

    @property
    def peer_certificate_der(self) -> bytes: ...
    def write(
        self,
        data: memoryview,
        seconds_without_progress: float,
        deadline: float | None,
        *,
        arrivals: bool = False,
    ) -> None: ...
    def read(self, into: memoryview, deadline: float | None, at_least: int | None = None) -> int: ...
    def is_readable(self, timeout_seconds: float) -> bool: ...
    def is_writable(self) -> bool: ...
    def shutdown(self) -> None: ...
    def close(self) -> None: ...


class Incoming(NamedTuple):
    """One frame. `tail` lies in the buffer given to `receive`, else it is valid until the next `receive`."""

    body: Body
    tail: memoryview
    request: int


class Connection:
    """Frames over a `Link`. After an error other than an idle timeout the connection is over: close it.

    `idle_seconds`: longest wait for the start of a frame (None: for ever). `frame_seconds`: a frame that has begun
    to arrive must be complete in that time (each piece of a long tail), and a frame being sent must make progress in
    it. `silence_seconds`: longest time in which nothing at all may arrive, heartbeats included; while they arrive, a peer
    that takes nothing is busy, not gone. `set_deadline` bounds everything together. `logged_in` switches the frame limits; the sign-on functions set it.
    """

    def __init__(
        self,
        link: Stream,
        *,
        peer: str,
        end: End,
        idle_seconds: float | None = None,
        frame_seconds: float = FRAME_SECONDS,
    ) -> None:
        self.peer = peer
        self.logged_in = False
        self.idle_seconds = idle_seconds
        self.frame_seconds = frame_seconds
        self.silence_seconds: float | None = None
        self.ended = threading.Event()
        """Set when it is over at this end: broken, shut down or closed."""
        self.bytes_sent = 0
        self.bytes_received = 0
        self.state = "Run"
        """What QUERY SESSION shows: Run, IdleW (waits for a frame), RecvW (in a frame), SendW."""
        self.state_since = time.monotonic()
        self.peer_certificate_der = link.peer_certificate_der
        self._link = link
        self._end = end
        self._deadline = _NEVER
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._broken: FarvaultError | None = None
        self._closed = False
        self._begun: FrameHeader | None = None
        """Header of the next frame, read by `is_readable`."""
        self._heard = time.monotonic()
        self._header = memoryview(bytearray(HEADER_BYTES))
        self._room = memoryview(bytearray(64 * KIB))

    @property
    def host(self) -> str:
        """The peer's address without the port."""
        return self.peer.rpartition(":")[0].strip("[]")

    @property
    def fingerprint(self) -> str:
        """Of the peer's certificate, `AA:BB:...`; what a caller that trusts on first use writes down."""
        return fingerprint(self.peer_certificate_der)

    def set_deadline(self, seconds: float | None) -> None:
        """From now on everything must be done within `seconds`; None takes the limit away."""
        self._deadline = _NEVER if seconds is None else time.monotonic() + seconds

    def send(self, body: Body, *tail: Buffer, request: int = 0) -> None:
        """Send one frame. The tail's buffers may be reused when this returns.

        `BadInput` over the verb's limits, `PeerUnreachable` when the link is down.
        """
        views = [memoryview(part).cast("B") for part in tail]
        tail_bytes = sum(view.nbytes for view in views)
        frame = frames.encode(body, request, tail_bytes)
        size = len(frame) + tail_bytes
        if tail_bytes and size <= _JOIN_BYTES:
            frame = bytearray().join((frame, *views))
            views = []
        with self._sending:
            self._enter("SendW")
            self._guard(lambda: self._write_all([memoryview(frame), *views]))
            self.bytes_sent += size
            self._enter("Run")

    def receive(self, tail_into: memoryview | None = None) -> Incoming:
        """Wait for the next frame. A tail goes to the start of `tail_into`, where it must fit.

        `ProtocolError` for anything not allowed, `PeerUnreachable` when the link is down or a limit passed.
        """
        with self._receiving:
            self._enter("IdleW")
            incoming = self._guard(lambda: self._receive(tail_into))
            self._enter("Run")
            return incoming

    @overload
    def expect(
        self, first: type[Answer], /, *, tail_into: memoryview | None = None
    ) -> tuple[Answer, memoryview]: ...

    @overload
    def expect(
        self, first: type[Answer], second: type[Other], /, *, tail_into: memoryview | None = None
    ) -> tuple[Answer | Other, memoryview]: ...

    @overload
    def expect(
        self,
        first: type[Answer],
        second: type[Other],
        third: type[Third],
        /,
        *,
        tail_into: memoryview | None = None,
    ) -> tuple[Answer | Other | Third, memoryview]: ...

    @overload
    def expect(
        self, *expected: type[Answer], tail_into: memoryview | None = None
    ) -> tuple[Answer, memoryview]: ...

    def expect(self, *expected: type[Body], tail_into: memoryview | None = None) -> tuple[Body, memoryview]:
        """Receive an answer of one of these types. `Refused` is raised as the error it stands for."""
        body, tail, _ = self.receive(tail_into)
        if isinstance(body, expected):
            return body, tail
        if isinstance(body, Refused):
            raise from_refused(body, None if self.logged_in else LoginRefused)
        raise self._break(ProtocolError(f"{type(body).__name__} as an answer", self.peer))

    def call(self, body: Body, *expected: type[Answer]) -> Answer:
        """Send a request without a tail and wait for its answer."""
        self.send(body)
        answer, _ = self.expect(*expected)
        return answer

    def beat(self) -> None:
        """Send a heartbeat; nothing where a frame is on its way, or the link takes nothing at the moment."""
        if not self._sending.acquire(blocking=False):
            return
        try:
            if self._broken is None and not self._closed and self._link.is_writable():
                beat = frames.encode(_BEATS[self._end])
                self._guard(lambda: self._write_all([memoryview(beat)]))
        finally:
            self._sending.release()

    def is_readable(self, timeout_seconds: float = 0) -> bool:
        """Has a frame begun to arrive (or the end)? For the thread that receives, between two frames."""
        deadline = time.monotonic() + timeout_seconds
        with self._receiving:
            while not self._closed and self._begun is None and self._broken is None:
                if not self._link.is_readable(max(0.0, deadline - time.monotonic())):
                    return False
                self._heard = time.monotonic()
                with contextlib.suppress(FarvaultError):  # whoever receives next gets it
                    self._begun = self._guard(lambda: self._next_header(self._heard))
            return True

    def shutdown(self) -> None:
        """End the connection from any thread; whoever waits in it gets `PeerUnreachable` at once."""
        self._link.shutdown()
        self.ended.set()

    def close(self) -> None:
        """End it and let go of the socket; fine when closed already."""
        self.shutdown()
        with self._sending, self._receiving:
            if not self._closed:
                self._closed = True
                self._link.close()

    def _receive(self, tail_into: memoryview | None) -> Incoming:
        header = self._await_frame()
        self._enter("RecvW")
        deadline = _limit(time.monotonic() + self.frame_seconds, self._deadline)
        room = self._room_for(header.body_bytes)
        self._link.read(room, deadline)
        body = frames.parse_body(header, room)
        if tail_into is None:
            tail = self._room_for(header.tail_bytes)
        elif header.tail_bytes <= tail_into.nbytes:
            tail = tail_into[: header.tail_bytes]
        else:
            raise ProtocolError(f"a tail of {header.tail_bytes} bytes where {tail_into.nbytes} are accepted")
        self._read_tail(tail)
        self.bytes_received += HEADER_BYTES + header.body_bytes + header.tail_bytes
        return Incoming(body, tail, header.request)

    def _read_tail(self, tail: memoryview) -> None:
        """Slow is allowed, dripping is not: every piece has the time of a frame."""
        for start in range(0, tail.nbytes, TAIL_PIECE_BYTES):
            deadline = _limit(time.monotonic() + self.frame_seconds, self._deadline)
            self._link.read(tail[start : start + TAIL_PIECE_BYTES], deadline)

    def _await_frame(self) -> FrameHeader:
        """The header of the next frame that is no heartbeat."""
        started = self._heard = time.monotonic()
        begun, self._begun = self._begun, None
        while begun is None:
            begun = self._next_header(started)
        return begun

    def _next_header(self, started: float) -> FrameHeader | None:
        """One header; None: it was a heartbeat, which is read. Too long a wait since `started` is no fault of the stream: it
        stays usable. Silence ends it.
        """
        idle = _NEVER if self.idle_seconds is None else started + self.idle_seconds
        silence = _NEVER if self.silence_seconds is None else self._heard + self.silence_seconds
        try:
            begun = self._link.read(self._header, _limit(idle, silence, self._deadline), at_least=1)
        except TimeoutError:
            waited = f"{time.monotonic() - started:.0f}"
            if silence <= min(idle, self._deadline):
                error = PeerUnreachable("ANR4810E", peer=self.peer, seconds=f"{self.silence_seconds:g}")
                raise self._break(error) from None
            raise PeerUnreachable("ANR8217E", peer=self.peer, seconds=waited) from None
        self._heard = time.monotonic()
        deadline = _limit(self._heard + self.frame_seconds, self._deadline)
        self._link.read(self._header[begun:], deadline)
        header = frames.parse_header(self._header, self.logged_in, self._end)
        if not header.verb.is_beat:
            return header
        room = self._room_for(header.body_bytes)
        self._link.read(room, deadline)
        frames.parse_body(header, room)
        return None

    def _room_for(self, size_bytes: int) -> memoryview:
        """The reused buffer. Body and tail share it: a decoded body refers to none of it."""
        if size_bytes > self._room.nbytes:
            self._room = memoryview(bytearray(max(size_bytes, 2 * self._room.nbytes)))
        return self._room[:size_bytes]

    def _write_all(self, parts: list[memoryview]) -> None:
        deadline = _limit(self._deadline)
        for part in parts:
            self._link.write(part, self.frame_seconds, deadline, arrivals=self.silence_seconds is not None)

    def _guard(self, transfer: Callable[[], Result]) -> Result:
        """Run one transfer; any failure of it ends the connection and is raised with the peer's name."""
        if self._broken is not None:
            raise type(self._broken).from_message(self._broken.message)
        if self._closed:
            raise PeerUnreachable("ANR8218E", peer=self.peer, reason="it was closed at this end")
        try:
            return transfer()
        except LinkCut as cut:
            error: FarvaultError = PeerUnreachable("ANR8218E", peer=self.peer, reason=str(cut))
        except ProtocolError as wrong:
            error = ProtocolError(wrong.problem, self.peer)
        except TimeoutError:
            error = PeerUnreachable("ANR8216E", peer=self.peer, seconds=f"{self.frame_seconds:g}")
        raise self._break(error) from None

    def _break(self, error: FarvaultError) -> FarvaultError:
        """Nothing more can be understood on this connection: the next use raises the same."""
        self._broken = error
        self.shutdown()
        return error

    def _enter(self, state: str) -> None:
        self.state = state
        self.state_since = time.monotonic()


def _limit(*deadlines: float) -> float | None:
    """The nearest deadline; None where there is none."""
    nearest = min(deadlines)
    return None if nearest == _NEVER else nearest
