"""Commands that start a process: in the background with its number told, or (WAIT=YES) with its lines shown as they come."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial

from farvault.admin.command import Call
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Code, Overheard
from farvault.base.errors import FarvaultError
from farvault.base.log import Line
from farvault.base.messages import message
from farvault.processes.process import Process, State

Work = Callable[[Process], None]


def run_process(
    instance: Instance, call: Call, description: str, work: Work, *, pool: str = "", refusal: str = ""
) -> Iterator[Answer]:
    """Start it; with WAIT=YES stay until it has ended, and end with return code 4 where it did not succeed.

    `pool`, `refusal`: beside which others it does not run (`InUse`), see `Processes.start`.
    """
    start = partial(instance.processes.start, description, session=call.session, pool=pool, refusal=refusal)
    if call["wait"]:
        yield from _foreground(instance, start, work)
    else:
        process = start(work)
        yield Overheard(message("ANS8003I", number=process.number))


def _foreground(instance: Instance, start: Callable[..., Process], work: Work) -> Iterator[Answer]:
    """The process runs in a thread of its own, so that its lines can be passed on while it works.

    Where the administrator's session goes away the process runs on; CANCEL PROCESS ends it.
    """
    lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
    numbers: list[int] = []
    ended: list[Process] = []
    refused: list[FarvaultError] = []

    def sink(line: Line) -> None:
        if line.process:
            lines.put(line)

    def watched(process: Process) -> None:
        numbers.append(process.number)
        work(process)

    def run() -> None:
        try:
            ended.append(start(watched, wait=True))
        except FarvaultError as error:
            refused.append(error)
        finally:
            lines.put(None)

    instance.log.add_sink(sink)
    try:
        threading.Thread(target=run, name="foreground process", daemon=True).start()
        yield from _own_lines(lines, numbers)
    finally:
        instance.log.remove_sink(sink)
    if refused:
        raise refused[0]
    if not ended or ended[0].state is not State.SUCCESS:
        yield Code(4)


def _own_lines(lines: queue.SimpleQueue[Line | None], numbers: list[int]) -> Iterator[Answer]:
    """The lines of one process out of those of all; its number is known only after it has said its first."""
    held: list[Line] = []
    while True:
        line = lines.get()
        if line is not None:
            held.append(line)
        if numbers:
            yield from (Overheard(said.message) for said in held if said.process == numbers[0])
            held = []
        if line is None:
            return
