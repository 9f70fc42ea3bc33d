"""A network that fails on purpose: a proxy between source and target that cuts, delays, flips, or falls silent.

It counts TLS records as they pass, in each direction, from 1 for each connection. One frame is one or more of them, so
their ends are all the borders of frames and some more. A plan says what happens to the first connections; later ones pass
untouched. Everything waits for bytes or events, nothing sleeps, but for a delay that a test asks for.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

UP, DOWN = "up", "down"
"""From the source to the target, and back."""
HEADER_BYTES: Final = 5
"""Of a TLS record: type, version, length."""


@dataclass(frozen=True)
class Cut:
    """End the connection `offset` bytes after the end of the `record`-th TLS record of a direction; -1 is one before."""

    direction: str
    record: int
    offset: int = 0


@dataclass(frozen=True)
class Flip:
    """Turn one bit over in this record: at this byte of it, header included."""

    direction: str
    record: int
    byte: int


@dataclass(frozen=True)
class Silence:
    """Forward nothing more in either direction after this record, and keep the connection."""

    direction: str
    record: int


@dataclass(frozen=True)
class Delay:
    """Every record comes so much later."""

    seconds: float


Fault = Cut | Flip | Silence | Delay | None


@dataclass
class Passed:
    """What went through one connection."""

    records: dict[str, int] = field(default_factory=lambda: {UP: 0, DOWN: 0})
    bytes: dict[str, int] = field(default_factory=lambda: {UP: 0, DOWN: 0})
    did_fail: bool = False


class Proxy:
    """Listens on loopback from the moment it is made. `plan`: the fault of the first connection, the second, ..."""

    def __init__(self, target_port: Callable[[], int]) -> None:
        self._target_port = target_port
        self.plan: list[Fault] = []
        self.connections: list[Passed] = []
        self.changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._silences: list[threading.Event] = []
        self._closing = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self.changed:
            for one in self._sockets:
                _end(one)
            self.changed.notify_all()

    def silence_all(self) -> None:
        """From now on nothing more is forwarded on the connections there are."""
        with self.changed:
            for one in self._silences:
                one.set()

    @property
    def bytes_up(self) -> int:
        """All that went from the source to the target."""
        with self.changed:
            return sum(one.bytes[UP] for one in self.connections)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target_port()), 10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passed = Passed()
            with self.changed:
                fault = self.plan.pop(0) if self.plan else None
                self.connections.append(passed)
                self._sockets |= {near, far}
            silent = threading.Event()
            with self.changed:
                self._silences.append(silent)
            for direction, source, sink in ((UP, near, far), (DOWN, far, near)):
                carrier = _Carrier(self, direction, source, sink, fault, passed, silent)
                threading.Thread(target=carrier.run, name=f"proxy {direction}", daemon=True).start()

    def forget(self, *sockets: socket.socket) -> None:
        with self.changed:
            self._sockets -= set(sockets)
            self.changed.notify_all()


class _Carrier:
    """One direction of one connection."""

    def __init__(
        self,
        proxy: Proxy,
        direction: str,
        source: socket.socket,
        sink: socket.socket,
        fault: Fault,
        passed: Passed,
        silent: threading.Event,
    ) -> None:
        self._proxy, self._direction, self._passed, self._silent = proxy, direction, passed, silent
        self._source, self._sink = source, sink
        self._fault = (
            fault if isinstance(fault, Delay) or getattr(fault, "direction", "") == direction else None
        )
        self._pause = threading.Event()

    def run(self) -> None:
        try:
            while record := self._next_record():
                if not self._pass(record):
                    break
        except OSError:
            pass
        finally:
            if not self._silent.is_set():
                _end(self._source)
                _end(self._sink)
            self._proxy.forget(self._source, self._sink)

    def _next_record(self) -> bytearray:
        header = self._read(HEADER_BYTES)
        return (
            header + self._read(struct.unpack(">H", header[3:])[0]) if len(header) == HEADER_BYTES else header
        )

    def _read(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size and (part := self._source.recv(size - len(data))):
            data += part
        return data

    def _pass(self, record: bytearray) -> bool:
        """Send it on, as the fault wants it; False: this direction is over."""
        number = self._passed.records[self._direction] + 1
        match self._fault:
            case Delay(seconds):
                self._pause.wait(seconds)
            case Cut(_, at, offset) if number == at and offset <= 0:
                self._send(record[: len(record) + offset])
                self._passed.did_fail = True
                return False
            case Cut(_, at, offset) if number == at + 1:
                self._send(record[:offset])
                self._passed.did_fail = True
                return False
            case Flip(_, at, byte) if number == at:
                record[byte % len(record)] ^= 1
                self._passed.did_fail = True
            case _:
                pass
        if not self._silent.is_set():
            self._send(record)
        with self._proxy.changed:
            self._passed.records[self._direction] = number
            self._proxy.changed.notify_all()
        if isinstance(self._fault, Silence) and number == self._fault.record:
            self._passed.did_fail = True
            self._silent.set()
        return True

    def _send(self, data: bytearray) -> None:
        self._sink.sendall(data)
        with self._proxy.changed:
            self._passed.bytes[self._direction] += len(data)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
