"""A free port on loopback, for servers started side by side on one machine (demo, bench, tests)."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path
from typing import Final

_LOWEST: Final = 10_000
_OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def unused_port() -> int:
    """A port nobody listens on right now.

    None of those the kernel gives to outgoing connections where there are others: it stays free while its server is down.
    """
    choice = random.SystemRandom()
    end = _first_outgoing_port()
    for _ in range(1000 if end > _LOWEST else 0):
        port = choice.randrange(_LOWEST, end)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def _first_outgoing_port() -> int:
    try:
        return int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
