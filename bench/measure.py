"""Run one command and account for everything it made the machine do: wall, CPU of all processes, peak memory."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Figure:
    """What one step cost. `client_peak_bytes` is the whole process tree of the command, `server_peak_bytes` of the servers."""

    wall_seconds: float
    cpu_seconds: float
    client_peak_bytes: int
    server_peak_bytes: int
    output: str = ""
    """The last of what the command said."""


class CommandFailed(Exception):
    """The command did not end with an accepted code; the text holds its output."""


def run(
    command: Sequence[str],
    *,
    servers: Sequence[int] = (),
    accept: Sequence[int] = (0,),
    environment: dict[str, str] | None = None,
    cwd: str | None = None,
) -> Figure:
    """Run `command`; `servers` are process ids whose work counts too."""
    before = sum(_cpu_seconds(pid) for pid in servers)
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    ) as process:
        sampler = _Sampler(process.pid, servers)
        sampler.start()
        assert process.stdout is not None
        tail = b""
        while piece := process.stdout.read1(1 << 16):
            tail = (tail + piece)[-4000:]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    sampler.stop()
    if process.returncode not in accept:
        raise CommandFailed(
            f"{' '.join(command)} ended with {process.returncode}\n{tail.decode(errors='replace')}"
        )
    cpu = usage.ru_utime + usage.ru_stime + sum(_cpu_seconds(pid) for pid in servers) - before
    # A child starts as a copy of us, and the kernel counts that as its peak: below ours it says nothing of the command.
    peak = usage.ru_maxrss * 1024 if usage.ru_maxrss > ours else 0
    return Figure(
        wall,
        cpu,
        max(sampler.client_peak, peak),
        sampler.server_peak,
        tail.decode(errors="replace"),
    )


class _Sampler(threading.Thread):
    """Looks at the memory of both process trees every 50 ms."""

    def __init__(self, client: int, servers: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._client, self._servers = client, servers
        self._stopped = threading.Event()
        self.client_peak = 0
        self.server_peak = 0

    def run(self) -> None:
        self._look()
        while not self._stopped.wait(0.05):
            self._look()

    def _look(self) -> None:
        children = _children()
        self.client_peak = max(self.client_peak, _tree_bytes(self._client, children))
        self.server_peak = max([self.server_peak, *(_tree_bytes(pid, children) for pid in self._servers)])

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                found.setdefault(int(fields[1]), []).append(int(name))
    return found


def _tree_bytes(pid: int, children: dict[int, list[int]]) -> int:
    fields = _stat(pid)
    own = int(fields[21]) * PAGE if fields else 0
    return own + sum(_tree_bytes(child, children) for child in children.get(pid, ()))


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(value) for value in fields[11:15]) / TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from `state` on; empty where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def folder_bytes(path: str) -> int:
    """Bytes of all files below a folder, as the disk holds them."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_blocks * 512
        for folder, _, names in os.walk(path)
        for name in names
    )
