"""A server as a process of its own: what is killed, stopped by signals, or started twice."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from typing import IO

from tests.grid.nursery import Forked
from tests.patience import PATIENCE_SECONDS

_READY = re.compile(r"ANR0916I .* port (\d+)\.")


class _Running:
    """A running server; `port` is 0 where it died before it was ready."""

    def __init__(self, process: subprocess.Popen[str] | Forked) -> None:
        self.process = process
        self.lines: list[str] = []
        self._said = threading.Condition()
        assert process.stderr is not None
        self._stderr = process.stderr
        ready: queue.Queue[int] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, args=(ready, self._stderr), daemon=True)
        self._listener.start()
        self.port = ready.get(timeout=PATIENCE_SECONDS)

    def _listen(self, ready: queue.Queue[int], stderr: IO[str]) -> None:
        for line in stderr:
            with self._said:
                self.lines.append(line.rstrip())
                self._said.notify_all()
            if found := _READY.search(line):
                ready.put(int(found[1]))
        ready.put(0)

    def wait_for(self, text: str, count: int = 1) -> str:
        """The `count`-th line that holds this text, now or within `PATIENCE_SECONDS`."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._said:
            assert self._said.wait_for(lambda: len(found()) >= count, PATIENCE_SECONDS), (
                f"{text} was never said; said were {self.lines[-20:]}"
            )
            return found()[count - 1]

    def wait(self) -> int:
        """Its exit code, after everything it said has been read."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._listener.join(PATIENCE_SECONDS)
        self._stderr.close()
        return code

    def was_killed(self) -> bool:
        """Has it died by SIGKILL, now or within `PATIENCE_SECONDS`?"""
        return self.wait() == -signal.SIGKILL

    def kill(self) -> None:
        self.process.kill()
        self.wait()


class ServerProcess(_Running):
    """`farvault server run`, as a user starts it."""

    def __init__(self, folder: str, **environment: str) -> None:
        super().__init__(
            subprocess.Popen(
                [sys.executable, "-m", "farvault", "server", "run", folder],
                env={**os.environ, **environment},
                stderr=subprocess.PIPE,
                text=True,
            )
        )


class ForkedServer(_Running):
    """The same without the second it takes to load the program. `crash_at`: `label#n`, where it dies by SIGKILL."""

    def __init__(self, folder: str, crash_at: str = "") -> None:
        super().__init__(Forked(folder, dict(os.environ), crash_at))
