"""A transaction in which nothing is sent for long: a slow disk, or zeros without end, of which the server has all.

The server gives a transaction up that is silent for five minutes. So while the next group is waited for a thread says from
time to time that this end lives.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

from farvault.base.errors import FarvaultError
from farvault.protocol.messages import Done, Ping
from farvault.transport.connection import Connection

PING_SECONDS = 60.0
"""Where nothing was sent for so long, one is. So the server waits at most twice as long."""

Item = TypeVar("Item")


def kept_alive(connection: Connection, items: Iterable[Item]) -> Generator[Item, None, None]:
    """The items as they come. The caller's thread owns the connection, but for the time in which it waits for one."""
    source, turn, over = iter(items), threading.Lock(), threading.Event()
    pinging = threading.Thread(
        target=_ping, args=(connection, turn, over), name="transaction-ping", daemon=True
    )
    pinging.start()
    try:
        while True:
            try:
                item = next(source)
            except StopIteration:
                return
            with turn:
                yield item
    finally:
        over.set()
        pinging.join()


def _ping(connection: Connection, turn: threading.Lock, over: threading.Event) -> None:
    sent = connection.bytes_sent
    while not over.wait(PING_SECONDS):
        with turn:
            if connection.bytes_sent == sent and not over.is_set():
                with contextlib.suppress(FarvaultError):  # whoever uses the connection next finds the same
                    connection.call(Ping(), Done)
            sent = connection.bytes_sent
