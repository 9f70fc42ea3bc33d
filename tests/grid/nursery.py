"""Forks servers from a process that has imported everything: what is killed a hundred times is not loaded a hundred times.

The nursery has one thread and opens nothing, so a server it forks holds nobody's lock and nobody's file. Between the two
stands a keeper, which tells the test the server's number and, when it has ended, how.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from functools import cache
from typing import IO

from tests.patience import PATIENCE_SECONDS

from farvault.base.disk import observe_crash_points

_NUMBER = struct.Struct("i")
_REQUEST_MOST = 1 << 20


def die_at(label: str, nth: int) -> None:
    """From now on this process dies by SIGKILL when it comes by there for the n-th time."""
    left = nth

    def observe(at: str) -> None:
        nonlocal left
        left -= at == label
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    observe_crash_points(observe)


class Forked:
    """A server that was forked; like a `Popen` as far as tests need one."""

    def __init__(self, folder: str, environment: dict[str, str], crash_at: str) -> None:
        """`crash_at`: `label#n`, where it dies by SIGKILL; '' = nowhere."""
        self._news, news = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = os.pipe()
        self.stderr: IO[str] = os.fdopen(reading, encoding="utf-8", errors="replace")
        request = json.dumps([folder, environment, crash_at]).encode()
        try:
            socket.send_fds(_nursery()[0], [request], [news.fileno(), writing])
        finally:
            news.close()
            os.close(writing)
        self.returncode: int | None = None
        self.pid = self._hear(PATIENCE_SECONDS)

    def _hear(self, timeout_seconds: float) -> int:
        self._news.settimeout(timeout_seconds)
        news = self._news.recv(_NUMBER.size)
        assert news, "its keeper is gone"
        return int(_NUMBER.unpack(news)[0])

    def wait(self, timeout_seconds: float) -> int:
        """Its exit code, negative where a signal ended it; `TimeoutError` where it goes on."""
        if self.returncode is None:
            self.returncode = self._hear(timeout_seconds)
            self._news.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _nursery() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Where to ask, and its process: started when it is first needed, it ends when this process does."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(there.fileno())],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return here, process


# --- in the nursery ------------------------------------------------------------------------------------------------------


def _tend(requests: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_MOST, 2)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _keep(json.loads(request), *descriptors)
        for one in descriptors:
            os.close(one)


def _keep(request: tuple[str, dict[str, str], str], news: int, stderr: int) -> None:
    """The keeper: never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server = os.fork()
    if server == 0:
        os.close(news)
        os.dup2(stderr, 2)
        os.close(stderr)
        _serve(*request)
    os.close(stderr)
    os.write(news, _NUMBER.pack(server))
    status = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
    os.write(news, _NUMBER.pack(status))
    os._exit(0)


def _serve(folder: str, environment: dict[str, str], crash_at: str) -> None:
    """The server: `farvault server run`, from where its imports are done. Never returns."""
    from farvault.apps.server_commands import run_until_stopped

    os.environ.clear()
    os.environ.update(environment)
    code = 1
    try:
        if crash_at:
            label, _, nth = crash_at.partition("#")
            die_at(label, int(nth or 1))
        run_until_stopped(folder)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import farvault.apps.activity_log
    import farvault.apps.server
    import farvault.apps.server_commands  # noqa: F401 - all that a server needs, before the first is asked for

    _tend(socket.socket(fileno=int(sys.argv[1])))
