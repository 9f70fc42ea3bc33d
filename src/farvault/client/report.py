"""What a person sees of a command: lines per object, messages, a progress line on a terminal, the summary, the code.

Layouts are TSM's (clients 12.1 to 12.5): scripts read them. Messages go to standard error, everything else to standard
output. The return code is the highest of all messages: warnings 8, errors 12, a file that was left out 4.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO

from farvault.base.errors import FarvaultError
from farvault.base.messages import Message, message
from farvault.base.units import GIB, KIB, MIB, TIB

if TYPE_CHECKING:
    from farvault.client.session import NodeSession
    from farvault.client.work import Notice

SKIPPED_FILE: Final = 4
WARNING: Final = 8
ERROR: Final = 12
_CODES: Final = {"I": 0, "W": WARNING, "E": ERROR, "S": ERROR}
_SIZE_ENDS: Final = 32
_NUMBER_ENDS: Final = 47
_COUNTED_EVERY: Final = 500


@dataclass
class Counts:
    """The figures of the summary."""

    inspected: int = 0
    done: int = 0
    updated: int = 0
    rebound: int = 0
    deleted: int = 0
    expired: int = 0
    failed: int = 0
    retries: int = 0
    inspected_bytes: int = 0
    read_bytes: int = 0
    new_bytes: int = 0
    processed_bytes: int = 0
    deduplicated: int = 0
    packed_bytes: int = 0
    transferred_bytes: int = 0
    transfer_seconds: float = 0.0


class OutputClosed(Exception):
    """Nobody reads the answer any more (`| head`)."""


class Report:
    """One command's output. `lines`: show a line for each object."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        output: TextIO | None = None,
        errors: TextIO | None = None,
    ) -> None:
        self._output = output or sys.stdout
        self._errors = errors or sys.stderr
        self._is_terminal = self._output.isatty()
        self.quiet = quiet
        self.lines = not quiet and (verbose or not self._is_terminal)
        self.counts = Counts()
        self.return_code = 0
        self.started = time.monotonic()
        self._held: list[str] | None = None
        self._is_output_gone = False
        self._progress: _Progress | None = None

    # --- messages ------------------------------------------------------------------------------------------------

    def say(self, message_id: str, /, *, code: int | None = None, **values: object) -> None:
        """Show a catalogue message; `code` where its weight for the return code is not that of its severity."""
        self.repeat(message(message_id, **values), code=code)

    def repeat(self, said: Message, *, code: int | None = None) -> None:
        """Show a message that exists already."""
        self.raise_code(_CODES.get(said.severity, ERROR) if code is None else code)
        if said.severity == "I" and self.quiet:
            return
        self._write(self._output if said.severity == "I" else self._errors, str(said))

    def notice(self, notice: Notice) -> None:
        """Show what a consumer tells. That the session is back is an `E` in TSM, and good news."""
        code = 0 if notice.message_id == "ANS1810E" else None
        self.repeat(Message(notice.message_id, notice.text), code=code)

    def error(self, problem: FarvaultError) -> None:
        """Show an error that ends the command."""
        self.repeat(problem.message, code=ERROR)

    def raise_code(self, code: int) -> None:
        self.return_code = max(self.return_code, code)

    # --- lines ---------------------------------------------------------------------------------------------------

    def line(self, text: str = "") -> None:
        """A line of normal output; not with QUIET."""
        if not self.quiet:
            self._write(self._output, text)

    def answer(self, text: str) -> None:
        """A line that is what the command was asked for: always shown. `OutputClosed` where nobody reads it any more."""
        if self._is_output_gone:
            raise OutputClosed
        self._write(self._output, text, must=True)

    def object_line(self, kind: str, size_bytes: int, path: str, status: str = "", retry: int = 0) -> None:
        """`Normal File-->            85,113 /var/log/secure [Sent]`"""
        label = f"{kind}-->"
        prefix = f"Retry # {retry}  " if retry else ""
        self._write(self._output, f"{prefix}{label}{size_bytes:>{_SIZE_ENDS - len(label)},} {path}{status}")

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside leaves in one piece: an unbuffered output takes a system call for each line otherwise."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._write(self._output, "\n".join(held))

    def count_inspected(self) -> None:
        """Called after each folder: moves the progress line. It begins here: before, somebody may be asked something."""
        if self._is_terminal and not self.quiet:
            if self._progress is None:
                self._progress = _Progress(self, self._output)
            self._progress.move()

    def banner(self, session: NodeSession, node: str) -> None:
        """Who talks to whom."""
        if self.quiet:
            return
        welcome = session.welcome
        self.line(f"Node Name: {node}")
        self.line(f"Session established with server {session.server_name}: Farvault")
        self.line(f"  Server Version {session.server_version}")
        last = _moment(welcome.last_access_time) if welcome.last_access_time else "never"
        self.line(f"  Server date/time: {_moment(welcome.server_time)}  Last access: {last}")
        self.line()

    # --- the end -------------------------------------------------------------------------------------------------

    def end_progress(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def summary(self, verb: str) -> None:
        """The block of figures. `verb`: backed up, archived, restored or retrieved."""
        self.end_progress()
        counts, elapsed = self.counts, time.monotonic() - self.started
        restoring = verb in ("restored", "retrieved")
        write = partial(self._write, self._output)
        write("")
        if not restoring:
            write(_count("Total number of objects inspected:", counts.inspected))
        write(_count(f"Total number of objects {verb}:", counts.done))
        if verb == "backed up":
            write(_count("Total number of objects updated:", counts.updated))
            write(_count("Total number of objects rebound:", counts.rebound))
            write(_count("Total number of objects deleted:", counts.deleted))
            write(_count("Total number of objects expired:", counts.expired))
        write(_count("Total number of objects failed:", counts.failed))
        if not restoring:
            write(_count("Total number of objects encrypted:", 0))
            write(_count("Total objects deduplicated:", counts.deduplicated))
            write(_count("Total number of objects grew:", 0))
            write(_count("Total number of retries:", counts.retries))
            write(_bytes("Total number of bytes inspected:", counts.inspected_bytes))
            write(_bytes("Total number of bytes processed:", counts.processed_bytes))
            write(_bytes("Total bytes before deduplication:", counts.read_bytes))
            write(_bytes("Total bytes after deduplication:", counts.new_bytes))
        write(_bytes("Total number of bytes transferred:", counts.transferred_bytes))
        write(_line("Data transfer time:", f"{counts.transfer_seconds:,.2f}", " sec"))
        write(_rate("Network data transfer rate:", counts.transferred_bytes, counts.transfer_seconds))
        write(_rate("Aggregate data transfer rate:", counts.transferred_bytes, elapsed))
        if not restoring:
            compressed = 1 - counts.packed_bytes / counts.new_bytes if counts.new_bytes else 0
            write(_line("Objects compressed by:", f"{max(compressed, 0):.0%}"[:-1], "%"))
            saved = 1 - counts.new_bytes / counts.read_bytes if counts.read_bytes else 0
            write(_line("Deduplication reduction:", f"{max(saved, 0) * 100:.2f}", "%"))
            ratio = 1 - counts.transferred_bytes / counts.inspected_bytes if counts.inspected_bytes else 0
            write(_line("Total data reduction ratio:", f"{max(ratio, 0) * 100:.2f}", "%"))
        write(_line("Elapsed processing time:", _duration(elapsed)))

    def deletion_summary(self, verb: str) -> None:
        """The block of DELETE and EXPIRE. `verb`: deleted or expired."""
        self.end_progress()
        counts = self.counts
        write = partial(self._write, self._output)
        write("")
        write(
            _count(
                f"Total number of objects {verb}:", counts.deleted if verb == "deleted" else counts.expired
            )
        )
        write(_count("Total number of objects failed:", counts.failed))
        write(_line("Elapsed processing time:", _duration(time.monotonic() - self.started)))

    def end(self) -> None:
        """All is written, or nobody reads it."""
        try:
            self._output.flush()
        except OSError as problem:
            self._lose_output(problem)

    def _write(self, stream: TextIO, text: str, *, must: bool = False) -> None:
        if self._held is not None and stream is self._output:
            self._held.append(text)
        elif stream is self._output and self._is_output_gone:
            return
        else:
            try:
                self._put(stream, text)
            except OSError as problem:
                if stream is self._output and must:
                    self._drop_output()
                    raise OutputClosed from problem
                if stream is self._output:
                    self._lose_output(problem)

    def _put(self, stream: TextIO, text: str) -> None:
        if self._progress is not None and stream.isatty():
            self._progress.write(text)
            return
        try:
            stream.write(text + "\n")
        except UnicodeEncodeError:
            stream.write(text.encode("ascii", "backslashreplace").decode() + "\n")

    def _lose_output(self, problem: OSError) -> None:
        """The command goes on: a backup is not less wanted because nobody watches it."""
        if not self._is_output_gone:
            self._drop_output()
            self.say("ANS9827W", reason=problem.strerror or str(problem))

    def _drop_output(self) -> None:
        self._is_output_gone = True
        self._progress = None
        if self._output is sys.stdout:  # what it still holds must not fail again when the interpreter ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)


class _Progress:
    """A moving line on a terminal. Everything is made late: most runs need none of it."""

    def __init__(self, report: Report, output: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._report = report
        self._shown = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=Console(file=output, highlight=False),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._bar.start()

    def move(self) -> None:
        now = time.monotonic()
        if now - self._shown < 0.2:
            return
        self._shown = now
        counts = self._report.counts
        text = f"{counts.inspected:,} inspected, " if counts.inspected else ""
        rate = counts.transferred_bytes / MIB / max(now - self._report.started, 0.001)
        moved = f"{_size(counts.transferred_bytes)} moved, {rate:,.1f} MB/s"
        self._bar.update(
            self._task, description=f"{text}{counts.done:,} done, {counts.failed:,} failed, {moved}"
        )
        self._bar.refresh()

    def write(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        self._bar.stop()


def _line(label: str, number: str, unit: str = "") -> str:
    return f"{label}{number:>{_NUMBER_ENDS - len(label)}}{unit}"


def _count(label: str, number: int) -> str:
    return _line(label, f"{number:,}")


def _bytes(label: str, size_bytes: int) -> str:
    for unit, size in (("TB", TIB), ("GB", GIB), ("MB", MIB), ("KB", KIB)):
        if size_bytes >= size:
            return _line(label, f"{size_bytes / size:,.2f}", f" {unit}")
    return _line(label, f"{size_bytes:,}", "  B")


def _size(size_bytes: int) -> str:
    return _bytes("", size_bytes).strip()


def _rate(label: str, size_bytes: int, seconds: float) -> str:
    return _line(label, f"{size_bytes / KIB / seconds if seconds > 0 else 0:,.2f}", " KB/sec")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
