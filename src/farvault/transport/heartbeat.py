"""Heartbeats between servers: each end says every few seconds that it lives, so that a dead link is found out in a minute.

TCP notices a machine that has vanished, but not a process that hangs, nor something in between that keeps the
connection and forwards nothing. A target may work on one request for long; its heartbeats come meanwhile, so slow is
never taken for dead.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Final

from farvault.base.errors import FarvaultError
from farvault.transport.connection import Connection


@dataclass(frozen=True, slots=True)
class Pulse:
    """`beat_seconds` between two heartbeats; after `silence_seconds` without any byte the other side is taken for gone."""

    beat_seconds: float = 15.0
    silence_seconds: float = 50.0


STEADY: Final = Pulse()
"""What servers use."""


def keep_beating(connection: Connection, pulse: Pulse) -> None:
    """From now on until the connection ends, in a thread of its own; and do not bear the other side's silence."""
    connection.silence_seconds = pulse.silence_seconds
    connection.frame_seconds = min(connection.frame_seconds, pulse.silence_seconds)

    def beat() -> None:
        while not connection.ended.wait(pulse.beat_seconds):
            with contextlib.suppress(FarvaultError):  # whoever waits for a frame finds out
                connection.beat()

    threading.Thread(target=beat, name=f"heartbeat {connection.peer}", daemon=True).start()
