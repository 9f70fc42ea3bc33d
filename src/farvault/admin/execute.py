"""One administrative command line, from text to answers. Every way in (session, console, script, web) calls this."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator

from farvault.admin import authority, registry
from farvault.admin.command import Call
from farvault.admin.grammar import Word, join_lines, parse
from farvault.admin.instance import Instance
from farvault.admin.output import Code, Overheard, Report, Row, Text, render
from farvault.admin.system_administrators import CONSOLE as CONSOLE
from farvault.base.errors import FarvaultError, NotAuthorized, NotAvailable, NotFound
from farvault.base.messages import Message
from farvault.catalog import nouns
from farvault.model.administrator import Administrator
from farvault.protocol.messages import Body, CommandEnd, Output, Question

_BLOCK_CHARACTERS = 200_000
"""No output frame is longer (a frame's body may have 1 MiB, a character up to four bytes)."""


def execute(
    instance: Instance,
    administrator: str,
    text: str,
    *,
    style: str = "",
    width: int = 80,
    confirmed: bool = False,
    session: int = 0,
) -> Iterator[Body]:
    """Run `text` for the administrator of this name; his authority is read anew for every command.

    Yields `Output` bodies as they come, then exactly one `Question` (risky and not `confirmed`) or `CommandEnd`.
    Raises nothing: errors become output and a return code. `style`: TABLE, LIST, COMMA, TAB, JSON or empty.
    `width`: columns of the terminal, 0 = unlimited. `session`: number of the calling session, 0 = none.
    """
    try:
        words = parse(text)
        if not words:
            yield CommandEnd(return_code=0)
            return
        call = _call(instance, administrator, text, words, session)
        if call.command.confirm is not None and not confirmed:
            question = call.command.confirm(instance, call)
            if question:
                yield Question(text=question)
                return
        _log_command(instance, call, text, words)
        yield from _run(instance, call, style, width)
    except FarvaultError as error:
        yield _output(instance.log.repeat(error.message, session=session))
        yield CommandEnd(return_code=error.return_code)
    except Exception as error:  # noqa: BLE001 - a defect in one command must not end the session or the server
        traceback.print_exc(file=sys.stderr)
        said = instance.log.say(
            "ANR9999D", session=session, place="an administrative command", error=repr(error)
        )
        yield _output(said)
        yield CommandEnd(return_code=4)


def _call(instance: Instance, administrator: str, text: str, words: tuple[Word, ...], session: int) -> Call:
    """The command, its values, and the right to issue it."""
    who = _administrator(instance, administrator)
    if not words[0].keyword and not words[0].quoted and words[0].text.endswith(":"):
        raise NotAvailable("ANR2992E", servers=words[0].text[:60].upper())
    command, operands = registry.find(words)
    try:
        values, given = command.bind(operands)
    except FarvaultError:
        _log_command(
            instance,
            Call(command=command, administrator=who, values={}, given=frozenset(), session=session),
            text,
            words,
        )
        raise
    call = Call(command=command, administrator=who, values=values, given=given, session=session)
    authority.check(who, instance, call)
    return call


def _administrator(instance: Instance, name: str) -> Administrator:
    if name == CONSOLE:
        return Administrator(name=CONSOLE, classes=("SYSTEM",))
    with instance.catalog.read() as r:
        found = nouns.find(r, Administrator, name)
    if found is None or found.locked:
        raise NotAuthorized("ANR2036E", administrator=name)
    return found


def _log_command(instance: Instance, call: Call, text: str, words: tuple[Word, ...]) -> None:
    """ANR2017I, with secrets hidden and line ends made blanks."""
    joined = join_lines(text)
    operands = words[len(call.command.words) :]
    shown = call.command.mask(joined, operands) if operands else joined
    instance.log.say(
        "ANR2017I",
        session=call.session,
        administrator=call.administrator.name,
        command=" ".join(shown.split())[:2000],
    )


def _run(instance: Instance, call: Call, style: str, width: int) -> Iterator[Body]:
    return_code = 0
    for answer in call.command.run(instance, call):
        if isinstance(answer, Code):
            return_code = max(return_code, answer.return_code)
        elif isinstance(answer, Report):
            yield from _show(call, answer, style, width)
        else:
            yield from _tell(instance, call, answer)
    yield CommandEnd(return_code=return_code)


def _tell(instance: Instance, call: Call, answer: Message | Overheard | Text) -> Iterator[Body]:
    if isinstance(answer, Text):
        for start in range(0, len(answer.text), _BLOCK_CHARACTERS):
            yield Output(text=answer.text[start : start + _BLOCK_CHARACTERS])
    elif isinstance(answer, Overheard):
        yield _output(answer.message)
    else:
        yield _output(instance.log.repeat(answer, session=call.session))


def _show(call: Call, report: Report, style: str, width: int) -> Iterator[Body]:
    """A report in pieces; `NotFound` (ANR2034E) where it has no rows, after the empty JSON list."""
    rows = _Counted(report)
    for block in render(Report(columns=report.columns, rows=rows, detailed=report.detailed), style, width):
        for piece in _pieces(block):
            yield Output(text=piece)
    if not rows.number:
        raise NotFound("ANR2034E", command=call.command.name)


class _Counted:
    """The rows of a report, counted as they pass."""

    def __init__(self, report: Report) -> None:
        self._rows = report.rows
        self.number = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.number += 1
            yield row


def _pieces(block: str) -> Iterator[str]:
    """A block cut at line ends into pieces that fit a frame."""
    while len(block) > _BLOCK_CHARACTERS:
        cut = block.rfind("\n", 0, _BLOCK_CHARACTERS)
        cut = cut if cut > 0 else _BLOCK_CHARACTERS
        yield block[:cut]
        block = block[cut:].removeprefix("\n")
    yield block


def _output(said: Message) -> Output:
    return Output(text=str(said), message_id=said.id)
