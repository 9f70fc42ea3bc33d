"""`farvault admin`: the administrative command line (dsmadmc). One command, a script, macros, interactive, or the console.

It formats nothing: the server lays output out for the width it is told. The exit code is the highest return code.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import click

from farvault import __version__
from farvault.admin.grammar import join_lines, parse, split_commands
from farvault.apps.admin_options import USAGE, Options, parse_arguments
from farvault.apps.admin_session import AdminSession
from farvault.base.errors import BadInput, FarvaultError
from farvault.base.messages import Message, message
from farvault.protocol.messages import CommandEnd, Output, Question

_DEEPEST_MACRO = 10
_NOT_CONFIRMED = 4
_INTERRUPTED = 130


class _TypedAsIs(click.Command):
    """Options are TSM's, not Click's: every argument goes to `parse_arguments`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params = {"arguments": tuple(args)}
        return []


@click.command(cls=_TypedAsIs)
def admin(arguments: tuple[str, ...]) -> None:
    """Administrative command line (dsmadmc)."""
    sys.exit(main(arguments))


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments; returns the exit code."""
    try:
        options = parse_arguments(arguments)
        if options.help:
            print(USAGE)
            return 0
        with Screen(options) as screen:
            return Terminal(options, screen).run()
    except FarvaultError as error:
        print(error.message, file=sys.stderr)
        return error.return_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: end quietly
        return 0


class Screen:
    """Where output goes: the screen, a copy in the outfile, or the file a command was redirected to."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._copy: IO[str] | None = None
        self.redirected: IO[str] | None = None
        self.pages = False
        """Pause whenever the screen is full; only where a person sits at it."""
        self._lines = 0
        self._skips = False

    def __enter__(self) -> Screen:
        if self._options.out_file:
            self._copy = _open(self._options.out_file, "w")
        return self

    def __exit__(self, *_: object) -> None:
        if self._copy is not None:
            self._copy.close()

    @contextlib.contextmanager
    def into(self, path: str, mode: str) -> Iterator[None]:
        """Output goes to this file inside the block."""
        with _open(path, mode) as self.redirected:
            try:
                yield
            finally:
                self.redirected = None

    @property
    def width(self) -> int:
        """Columns to lay out for; 0 = no limit, as for files and pipes (COLUMNS overrules)."""
        if self._options.wide or self.redirected is not None:
            return 0
        if sys.stdout.isatty():
            return shutil.get_terminal_size().columns
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdigit() else 0

    def show(self, text: str) -> None:
        """Output of a command."""
        text = _printable(text)
        if self.redirected is not None:
            print(text, file=self.redirected)
            return
        if self._copy is not None:
            print(text, file=self._copy)
        if self._options.quiet:
            return
        for line in text.split("\n") if self.pages else [text]:
            if not self._skips:
                print(line, flush=True)
                self._pause_when_full()

    def begin_page(self) -> None:
        """A new command: the screen counts as empty."""
        self._lines, self._skips = 0, False

    def _pause_when_full(self) -> None:
        """dsmadmc's pause. C leaves out the rest of this command's output."""
        self._lines += 1
        if self.pages and self._lines >= shutil.get_terminal_size().lines - 1:
            answer = input("more...   (<ENTER> to continue, 'C' to cancel) ")
            self._lines, self._skips = 0, answer.strip().upper() == "C"

    def tell(self, said: Message | str) -> None:
        """A line of this program's own, around a command's output; not in data-only mode."""
        if not self._options.data_only:
            self.show(str(said))

    def warn(self, said: Message | str) -> None:
        """What must be seen in any case."""
        print(_printable(str(said)), file=sys.stderr, flush=True)


class Terminal:
    """Runs what the options ask for and keeps the highest return code."""

    def __init__(self, options: Options, screen: Screen) -> None:
        self._options, self._screen = options, screen
        self._session = AdminSession(options, self._ask, screen.warn)
        self._highest = 0
        self._macros = 0

    def run(self) -> int:
        try:
            self._connect()
            if self._options.console_mode and self._options.command:
                raise BadInput("ANS8011E", option="-CONSOLEMODE", value="a command", right="none")
            if self._options.console_mode:
                self._watch()
            elif self._options.command:
                self._execute(self._options.command)
            elif sys.stdin.isatty() and not self._options.data_only:
                self._interact()
            else:
                self._run_script(_prompted(sys.stdin, self._prompt, self._options.always_prompt))
        finally:
            self._session.close()
        if self._options.command or not sys.stdin.isatty():
            self._screen.tell(message("ANS8002I", code=self._highest))
        return self._highest

    def _connect(self) -> None:
        self._screen.tell(f"Farvault\nCommand Line Administrative Interface - Version {__version__}\n")
        try:
            self._session.connect()
        except FarvaultError as error:
            raise type(error).from_message(message("ANS8023E", reason=str(error.message))) from None
        self._screen.tell(self._session.banner + "\n")

    @property
    def _prompt(self) -> str:
        return f"farvault: {self._session.server_name}>"

    def _ask(self, what: str, secret: bool) -> str:
        if not sys.stdin.isatty():
            raise BadInput("ANS8012E", what=what)
        return str(click.prompt(what, hide_input=secret, err=True))

    # --- ways to get commands ------------------------------------------------------------------------------------

    def _interact(self) -> None:
        """Prompt, history of this session, completion of command words. An error never ends it."""
        from farvault.apps.admin_prompt import read_commands

        self._screen.pages = sys.stdout.isatty()
        for text in read_commands(lambda: self._prompt):
            self._screen.begin_page()
            try:
                if not self._execute(text):
                    return
            except KeyboardInterrupt:
                self._session.drop()
                self._screen.warn(message("ANS8015W"))
            except FarvaultError as error:
                self._session.drop()
                self._screen.warn(error.message)

    def _run_script(self, lines: Iterable[str]) -> None:
        """Commands one after the other. Without -ITEMCommit the first that fails ends it."""
        for text in split_commands(lines):
            before, self._highest = self._highest, 0
            goes_on = self._execute(text)
            failed, self._highest = self._highest > 0, max(before, self._highest)
            if failed and self._macros and not self._options.item_commit:
                raise _MacroStopped
            if not goes_on:
                return

    def _run_macro(self, operands: Sequence[str]) -> None:
        """`macro FILE value...`: %1 to %9 stand for the values."""
        if not operands:
            raise BadInput("ANR2022E", command="MACRO", parameter="FILE", syntax="macro FILE [value...]")
        if self._macros == _DEEPEST_MACRO:
            raise BadInput("ANS8016E", path=operands[0], deepest=_DEEPEST_MACRO)
        with _open(operands[0], "r") as file:
            lines = [_substituted(line, operands[1:]) for line in file]
        self._macros += 1
        try:
            self._run_script(lines)
        except _MacroStopped:
            self._screen.warn(message("ANS8017W", path=operands[0]))
            if self._macros > 1:
                raise
        finally:
            self._macros -= 1

    def _watch(self) -> None:
        try:
            for line in self._session.watch():
                self._screen.show(line.text)
        except KeyboardInterrupt:
            self._session.drop()

    # --- one command ---------------------------------------------------------------------------------------------

    def _execute(self, typed: str) -> bool:
        """Run one command of the program itself or of the server; False where the program shall end."""
        text, mode, path = _cut_redirection(join_lines(typed))
        words = text.split()
        verb = words[0].upper().rstrip(";") if words else ""
        if verb in ("QUIT", "QUI", "LOGOFF", "LOGOUT", "EXIT"):
            return False
        if verb == "MACRO":
            self._run_macro([word.text for word in parse(text)[1:]])
        elif verb == "COMMIT" and len(words) == 1:
            self._screen.tell(message("ANS8018I"))
        elif verb == "ROLLBACK" and len(words) == 1:
            self._screen.warn(message("ANS8019E"))
            self._count(_NOT_CONFIRMED)
        elif path:
            with self._screen.into(path, mode):
                self._send(text)
        elif words:
            self._send(text)
        return True

    def _send(self, text: str) -> None:
        if not self._is_interactive and not self._options.data_only:
            self._screen.tell(message("ANS8000I", command=_masked(text.strip())))
            self._screen.tell("")
        end = self._answers(text, confirmed=self._options.no_confirm)
        if isinstance(end, Question):
            end = self._confirm(text, end)
        code = end.return_code
        self._count(code)
        self._screen.tell("")
        if code:
            self._screen.tell(message("ANS8001I", code=code))
            self._screen.tell("")

    def _answers(self, text: str, *, confirmed: bool) -> Question | CommandEnd:
        """Show the output; returns how it ended. With -JSON messages do not mix with the data."""
        for answer in self._session.run(text, width=self._screen.width, confirmed=confirmed):
            if not isinstance(answer, Output):
                return answer
            if answer.message_id and self._options.style == "JSON":
                self._screen.warn(answer.text)
            else:
                self._screen.show(answer.text)
        raise AssertionError("a command's answers end with Question or CommandEnd")

    def _confirm(self, text: str, question: Question) -> CommandEnd:
        """Ask where somebody can answer; else it is a no, and the return code says so."""
        self._screen.warn(question.text)
        if not sys.stdin.isatty():
            self._screen.warn(message("ANS8020E"))
            return CommandEnd(return_code=_NOT_CONFIRMED)
        if not _agrees():
            self._screen.warn(message("ANS8021E"))
            return CommandEnd(return_code=_NOT_CONFIRMED)
        end = self._answers(text, confirmed=True)
        assert isinstance(end, CommandEnd)
        return end

    def _count(self, return_code: int) -> None:
        self._highest = max(self._highest, return_code)

    @property
    def _is_interactive(self) -> bool:
        return not self._options.command and sys.stdin.isatty() and not self._macros


class _MacroStopped(Exception):
    """A command of a macro failed; what follows it is not done."""


def _masked(text: str) -> str:
    """The command without its secrets. The command table is half the start-up, so only who shows commands loads it."""
    from farvault.admin.registry import masked

    return masked(text)


def _cut_redirection(text: str) -> tuple[str, str, str]:
    """`command > file` -> (command, "w", file); without redirection the last two are empty."""
    try:
        words = parse(text)
    except BadInput:
        return text, "", ""  # the server says what is wrong with it
    if len(words) >= 3 and words[-2].items in ((">",), (">>",)) and not words[-2].quoted:
        mode = "w" if words[-2].text == ">" else "a"
        return text[: words[-2].start], mode, words[-1].text
    return text, "", ""


def _substituted(line: str, values: Sequence[str]) -> str:
    """%1 to %9 in a macro's line; one without a value is left out."""
    return re.sub(r"%([1-9])", lambda found: (*values, *[""] * 9)[int(found[1]) - 1], line)


def _prompted(lines: Iterable[str], prompt: str, show: bool) -> Iterable[str]:
    for line in lines:
        if show:
            print(prompt, end="", flush=True)
        yield line


def _open(path: str, mode: str) -> IO[Any]:
    try:
        return open(path, mode, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput("ANS8013E", path=path, reason=reason) from None


def _printable(text: str) -> str:
    """Names may hold any character: none of them may move the cursor or change colours of somebody's terminal."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)


def _agrees() -> bool:
    """Asks until the answer is yes or no; Enter alone is a no, and so are the end of input and Ctrl-C."""
    while True:
        try:
            answer = click.prompt(
                "Do you wish to proceed? (Yes (Y)/No (N))", err=True, default="No", show_default=False
            )
        except click.Abort:
            return False
        if re.fullmatch(r"y(es)?|no?", str(answer).strip(), re.IGNORECASE):
            return str(answer).strip().upper().startswith("Y")
