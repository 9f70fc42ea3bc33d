"""A free port on loopback, for servers started side by side on one machine (demo, bench, tests)."""

from __future__ import annotations

import socket


def unused_port() -> int:
    """A port nobody listens on right now; somebody else may still take it before you do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
