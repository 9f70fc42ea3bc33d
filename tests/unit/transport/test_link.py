"""The byte stream's rare turns, played by a stand-in for OpenSSL: everything common is tried over real TLS elsewhere."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.transport.link import Link, LinkCut

Step = Callable[[], int]


class Scripted:
    """Looks like an `SSLSocket` to a link; each call does the next step of a script."""

    def __init__(self, inner: socket.socket, steps: list[int | Exception]) -> None:
        self._inner = inner
        self._steps = iter(steps)
        self.setblocking = inner.setblocking
        self.fileno = inner.fileno
        self.close = inner.close

    def _next(self, *args: object) -> int:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step

    read = write = do_handshake = _next


@pytest.fixture
def link() -> Iterator[Callable[[list[int | Exception]], Link]]:
    here, there = socket.socketpair()
    there.send(b"readable")
    yield lambda steps: Link(Scripted(here, steps))  # type: ignore[arg-type]
    here.close()
    there.close()


def soon() -> float:
    return time.monotonic() + PATIENCE_SECONDS


def test_a_read_for_which_tls_has_to_write_goes_on(link: Callable[..., Link]) -> None:
    assert link([3, ssl.SSLWantWriteError(), 4]).read(memoryview(bytearray(7)), soon()) == 7


def test_a_write_that_has_to_wait_is_taken_up_again(link: Callable[..., Link]) -> None:
    link([ssl.SSLWantWriteError(), 3, ssl.SSLWantWriteError(), 4]).write(memoryview(bytes(7)), 10, None)


def test_a_handshake_waits_in_both_directions(link: Callable[..., Link]) -> None:
    link([ssl.SSLWantReadError(), ssl.SSLWantWriteError(), 0]).handshake(soon())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "the other side closed it"),
        (ssl.SSLError(1, "[SSL: BAD] decryption failed or bad record mac"), "bad record mac"),
        (TimeoutError(110, "Connection timed out"), "Connection timed out"),
    ],
)
def test_whatever_breaks_the_stream_is_a_cut_link_with_a_reason(
    link: Callable[..., Link], error: Exception, reason: str
) -> None:
    with pytest.raises(LinkCut, match=reason):
        link([error]).read(memoryview(bytearray(1)), soon())
    with pytest.raises(LinkCut, match=reason):
        link([error]).write(memoryview(b"x"), 10, soon())


def test_a_handshake_that_is_cut_is_told(link: Callable[..., Link]) -> None:
    with pytest.raises(LinkCut, match="Connection reset"):
        link([ConnectionResetError(104, "Connection reset by peer")]).handshake(soon())


def test_a_deadline_that_has_passed_is_not_waited_for(link: Callable[..., Link]) -> None:
    with pytest.raises(TimeoutError):
        link([ssl.SSLWantReadError()]).read(memoryview(bytearray(1)), time.monotonic() - 1)
