"""Tell the service manager how we are: systemd's notify protocol, one datagram to the socket it names.

No answer is expected and no error matters: without a service manager nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import socket


def tell_service_manager(state: str) -> None:
    """`READY=1` when sessions are accepted, `STOPPING=1` when the server ends (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(address)
        manager.sendall(state.encode())
