"""An administrator's session: command lines in, output out; or the console's lines as they are said.

A watcher reads from a bounded queue. One that is too slow loses lines and is told how many; the server never waits.
"""

from __future__ import annotations

import threading
from collections import deque

from farvault.admin.execute import execute
from farvault.admin.instance import Instance
from farvault.base.log import Line
from farvault.base.messages import message
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Command, Done, Output, Ping, SignOff, WatchConsole
from farvault.transport.connection import Connection

IDLE_SECONDS = 60 * 60
"""An interactive session may rest for a coffee; a forgotten one is closed."""
WATCH_LINES = 1000
LOOK_SECONDS = 0.5
"""A quiet watcher looks this often whether its peer has left or the server stops."""


def serve_administrator(connection: Connection, instance: Instance, name: str, session: int) -> None:
    """Until he signs off. The authority of `name` is looked up anew for every command."""
    connection.idle_seconds = IDLE_SECONDS
    while True:
        incoming = connection.receive()
        asked, request = incoming.body, incoming.request
        if isinstance(asked, Command):
            for answer in execute(
                instance,
                name,
                asked.text,
                style=asked.style,
                width=asked.width,
                confirmed=asked.confirmed,
                session=session,
            ):
                connection.send(answer, request=request)
        elif isinstance(asked, WatchConsole):
            watch_console(connection, instance, request)
        elif isinstance(asked, Ping):
            connection.send(Done(), request=request)
        elif isinstance(asked, SignOff):
            return
        else:
            raise ProtocolError(f"{type(asked).__name__} where it is not allowed", name)


def watch_console(connection: Connection, instance: Instance, request: int) -> None:
    """Send every line the server says until the peer says anything (usually: signs off) or the link ends."""
    lines = ConsoleLines()
    instance.log.add_sink(lines)
    try:
        while not connection.is_readable():
            for output in lines.take(LOOK_SECONDS):
                connection.send(output, request=request)
    finally:
        instance.log.remove_sink(lines)


class ConsoleLines:
    """Sink and bounded queue of one watcher."""

    def __init__(self, most: int = WATCH_LINES) -> None:
        self._most = most
        self._lines: deque[Line] = deque()
        self._lost = 0
        self._changed = threading.Condition()

    def __call__(self, line: Line) -> None:
        with self._changed:
            if len(self._lines) < self._most:
                self._lines.append(line)
            else:
                self._lost += 1
            self._changed.notify()

    def take(self, timeout_seconds: float) -> list[Output]:
        """What was said since the last call, after waiting for the first line; a note where lines were lost."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines, timeout_seconds)
            lines, lost = list(self._lines), self._lost
            self._lines.clear()
            self._lost = 0
        taken = [Output(text=str(line), message_id=line.message.id) for line in lines]
        if lost:
            skipped = message("ANR0564W", lines=lost)
            taken.append(Output(text=str(skipped), message_id=skipped.id))
        return taken
