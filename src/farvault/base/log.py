"""Where a running server says things: every line is a catalogue message, and goes to every sink (console, activity log)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from farvault.base.clock import Clock
from farvault.base.messages import Message, message


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said: when (seconds UTC), what, and for which session, process or node (0 or "" = none)."""

    time_seconds: int
    message: Message
    session: int = 0
    process: int = 0
    node: str = ""

    def __str__(self) -> str:
        tail = ", ".join(
            f"{word}: {number}"
            for word, number in (("SESSION", self.session), ("PROCESS", self.process))
            if number
        )
        return f"{self.message} ({tail})" if tail else str(self.message)


Sink = Callable[[Line], None]


class Log:
    """Fan-out of lines to sinks. A sink must be quick and must not raise; slow ones queue inside themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sinks: tuple[Sink, ...] = ()
        self.settle: Callable[[float], object] = lambda _: None
        """Wait, at most so many seconds, until lines said so far are where they can be asked for; set by who keeps them."""
        self._lock = threading.Lock()

    def add_sink(self, sink: Sink) -> None:
        with self._lock:
            self._sinks = (*self._sinks, sink)

    def remove_sink(self, sink: Sink) -> None:
        with self._lock:
            self._sinks = tuple(other for other in self._sinks if other is not sink)

    def say(
        self, message_id: str, /, *, session: int = 0, process: int = 0, node: str = "", **values: object
    ) -> Message:
        """Fill in a catalogue row, hand it to every sink, and return it. `{session}` and so on may stand in it."""
        said = message(message_id, session=session, process=process, node=node, **values)
        return self.repeat(said, session=session, process=process, node=node)

    def repeat(self, said: Message, *, session: int = 0, process: int = 0, node: str = "") -> Message:
        """Say a message that exists already, for example an error's own."""
        line = Line(self._clock.now_seconds(), said, session, process, node)
        for sink in self._sinks:
            sink(line)
        return said
