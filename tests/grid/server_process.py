"""`farvault server run` as a process of its own: what is killed, stopped by signals, or started twice."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading

START_SECONDS = 30.0
_READY = re.compile(r"ANR0916I .* port (\d+)\.")


class ServerProcess:
    """A running server; `port` is 0 where it died before it was ready."""

    def __init__(self, folder: str, **environment: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "farvault", "server", "run", folder],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        ready: queue.Queue[int] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, args=(ready,), daemon=True)
        self._listener.start()
        self.port = ready.get(timeout=START_SECONDS)

    def _listen(self, ready: queue.Queue[int]) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if found := _READY.search(line):
                ready.put(int(found[1]))
        ready.put(0)

    def wait(self) -> int:
        """Its exit code, after everything it said has been read."""
        code = self.process.wait(START_SECONDS)
        self._listener.join(START_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.wait()
