"""A TLS byte stream that one thread may read while another writes, with a deadline on every wait.

OpenSSL's objects must not be read and written at the same moment, and CPython 3.11 lets two threads do just that:
it releases the GIL around each call and has no lock of its own. So the socket never blocks, every call into OpenSSL
holds this link's lock, and waiting happens in `poll` without it: a reader that waits for an acknowledgement does
not hold up a writer that fills the window. Bulk moves in pieces, so the lock is held for a moment only; it is handed
over in turn, since a plain lock may be taken by the same busy thread for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import ssl
import sys
import termios
import threading
import time
from types import TracebackType
from typing import Final

from farvault.base.units import KIB

_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_USER_TIMEOUT_MILLISECONDS: Final = 60_000
_BURST_BYTES: Final = 256 * KIB
"""Moved before the lock is handed on: some 100 microseconds of TLS."""


class LinkCut(Exception):
    """The other side, the network, or `shutdown` at this end ended the stream."""


def prepare(raw: socket.socket) -> None:
    """Options every connection has: small frames leave at once, a dead peer is noticed within a minute.

    The kernel's own tuning of the buffers is left on: a fixed size would be cut down to `wmem_max`, often 208 KiB,
    and slows long fat links.
    """
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        raw.setsockopt(socket.IPPROTO_TCP, option, value)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)


class _Turn:
    """A lock that passes on to whoever waits: the next one in line holds the gate, so nobody overtakes it."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._gate:
            self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class Link:
    """Owns the socket. One thread at a time writes, one at a time reads; `shutdown` may come from any.

    Deadlines are `time.monotonic()` values; None waits for ever. Past a deadline: `TimeoutError`. Otherwise ended:
    `LinkCut`. After either in the middle of a transfer the stream is out of step and must be given up.
    """

    def __init__(self, tls: ssl.SSLSocket) -> None:
        tls.setblocking(False)
        self._tls = tls
        self._turn = _Turn()
        self._readable = select.poll()
        self._readable.register(tls.fileno(), select.POLLIN)
        self._writable = select.poll()
        self._writable.register(tls.fileno(), select.POLLOUT)
        self._ended_here = False

    def handshake(self, deadline: float | None) -> None:
        """Finish TLS. `ssl.SSLError` where the other side does not speak it as we do."""
        while True:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self._wait(self._readable, deadline)
            except ssl.SSLWantWriteError:
                self._wait(self._writable, deadline)
            except ssl.SSLError:
                raise
            except OSError as error:
                raise LinkCut(reason_of(error)) from None

    @property
    def peer_certificate_der(self) -> bytes:
        """Empty where the peer showed none, as clients do."""
        return self._tls.getpeercert(binary_form=True) or b""

    def write(
        self,
        data: memoryview,
        seconds_without_progress: float,
        deadline: float | None,
        *,
        arrivals: bool = False,
    ) -> None:
        """Send all of it. Time starts anew whenever the other side takes something; `deadline` does not move.

        `arrivals`: it also starts anew where something has arrived meanwhile, read or not: the other side lives.
        """
        position, end = 0, data.nbytes
        patience = time.monotonic() + seconds_without_progress
        unread = self._unread() if arrivals else 0
        while position < end:
            try:
                with self._turn:  # a write that has to wait is taken up again with the same bytes
                    position += self._tls.write(data[position : position + _BURST_BYTES])
                patience = time.monotonic() + seconds_without_progress
            except ssl.SSLWantWriteError:
                try:
                    self._wait(self._writable, patience if deadline is None else min(patience, deadline))
                except TimeoutError:
                    before, unread = unread, self._unread() if arrivals else 0
                    if before == unread or (deadline is not None and time.monotonic() >= deadline):
                        raise
                    patience = time.monotonic() + seconds_without_progress
            except OSError as error:
                raise self._cut(error) from None

    def read(self, into: memoryview, deadline: float | None, at_least: int | None = None) -> int:
        """Fill `into`, or at least `at_least` bytes of it; returns how many came."""
        position, end = 0, into.nbytes
        wanted = end if at_least is None else at_least
        while position < wanted:
            try:
                with self._turn:
                    limit = min(wanted, position + _BURST_BYTES)
                    while position < limit:
                        got: int = self._tls.read(end - position, into[position:])  # type: ignore[assignment]
                        if not got:
                            raise self._cut(None)
                        position += got
            except ssl.SSLWantReadError:
                self._wait(self._readable, deadline)
            except ssl.SSLWantWriteError:  # TLS answers something of its own, a new key
                self._wait(_poll_for_writing(self._tls), deadline)
            except OSError as error:
                raise self._cut(error) from None
        return position

    def is_readable(self, timeout_seconds: float) -> bool:
        """Would a read find something (or the end) within this time?"""
        with self._turn:
            if self._tls.pending():
                return True
        return bool(self._readable.poll(timeout_seconds * 1000))

    def is_writable(self) -> bool:
        """Would a short write be taken at once? For the thread that writes."""
        return bool(self._writable.poll(0))

    def _unread(self) -> int:
        """Bytes that have arrived and nobody has read; it changes whenever something arrives or is read."""
        count = bytearray(4)
        fcntl.ioctl(self._tls.fileno(), termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)

    def shutdown(self) -> None:
        """End the stream from any thread: whoever reads, writes or waits gets `LinkCut` at once."""
        self._ended_here = True
        with contextlib.suppress(OSError):  # gone already
            # SSLSocket's own shutdown would pull TLS away from under a reader
            socket.socket.shutdown(self._tls, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptor back. Only after `shutdown`, when nobody reads or writes any more."""
        with self._turn:
            self._tls.close()

    def _wait(self, poll: select.poll, deadline: float | None) -> None:
        if deadline is None:
            poll.poll()
            return
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError

    def _cut(self, error: OSError | None) -> LinkCut:
        if self._ended_here:
            return LinkCut("it was closed at this end")
        if error is None or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return LinkCut("the other side closed it")
        return LinkCut(reason_of(error))


def reason_of(error: BaseException) -> str:
    """An error of the network or of TLS in a few words."""
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or str(error)
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _poll_for_writing(tls: ssl.SSLSocket) -> select.poll:
    """For the reader: the writer may be waiting in the link's own poll object, which serves one thread."""
    poll = select.poll()
    poll.register(tls.fileno(), select.POLLOUT)
    return poll
