"""`farvault server run` as a process of its own: what is killed, stopped by signals, or started twice."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading

from tests.patience import PATIENCE_SECONDS

_READY = re.compile(r"ANR0916I .* port (\d+)\.")


class ServerProcess:
    """A running server; `port` is 0 where it died before it was ready."""

    def __init__(self, folder: str, **environment: str) -> None:
        self.lines: list[str] = []
        self._said = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "farvault", "server", "run", folder],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        ready: queue.Queue[int] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, args=(ready,), daemon=True)
        self._listener.start()
        self.port = ready.get(timeout=PATIENCE_SECONDS)

    def _listen(self, ready: queue.Queue[int]) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
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
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.wait()
