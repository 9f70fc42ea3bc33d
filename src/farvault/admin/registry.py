"""The command table: every noun's file declares its commands, this one puts them together and finds one by its words."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache

from farvault.admin import commands as command_files
from farvault.admin.authority import ANYONE
from farvault.admin.command import MASK, Call, Command, positional
from farvault.admin.grammar import Word, join_lines, parse
from farvault.admin.help import overview, page
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Text
from farvault.base.errors import BadInput, NotFound
from farvault.base.messages.page import is_message_number, pages
from farvault.model.attribute import Text as TextKind
from farvault.model.attribute import abbreviates


class UnknownCommand(BadInput):
    """No command begins with these words (TSM's RC_UNKNOWN)."""

    return_code = 2


def _help(instance: Instance, call: Call) -> Iterator[Answer]:
    """HELP, HELP DEFINE, HELP DEFINE STGPOOL, HELP ANR2034E."""
    del instance
    typed = [call[name] for name in ("word", "second", "third") if call[name]]
    if not typed:
        yield Text(overview(all_commands()))
        return
    if len(typed) == 1 and is_message_number(typed[0]):
        yield from _message_pages(typed[0])
        return
    words = tuple(Word("", (part,), False, 0, 0, 0) for part in typed)
    found = candidates(words)
    exact = [command for command in found if len(command.words) == len(typed)]
    for command in exact or found:
        yield Text(page(command))
    if not found:
        raise _unknown(words)


def _message_pages(typed: str) -> Iterator[Answer]:
    found = pages(typed)
    if not found:
        raise NotFound("ANR4973E", number=typed.upper())
    for number, each in enumerate(found):
        yield Text(each if not number else f"\n{each}")


HELP = Command(
    words=("Help",),
    rule=ANYONE,
    help="Show all commands, those that begin with a word, or one in full; or what a message means and what to do.",
    parameters=(
        positional(
            "word", TextKind(64), "first word of a command, or a message: ANR2034E, 2034", optional=True
        ),
        positional("second", TextKind(64), "second word", optional=True),
        positional("third", TextKind(64), "third word", optional=True),
    ),
    run=_help,
)


@cache
def all_commands() -> tuple[Command, ...]:
    """Every command, by name. Immutable, made once."""
    found = [HELP]
    for module in pkgutil.iter_modules(command_files.__path__):
        part: tuple[Command, ...] = importlib.import_module(
            f"{command_files.__name__}.{module.name}"
        ).COMMANDS
        found.extend(part)
    return tuple(sorted(found, key=lambda command: command.name))


def candidates(words: Sequence[Word]) -> list[Command]:
    """Commands that the leading words may mean, whether or not all their words are there."""
    typed = [word.text for word in words if not word.keyword and not word.quoted]
    return [
        command
        for command in all_commands()
        if typed and all(abbreviates(text, name) for text, name in zip(typed, command.words, strict=False))
    ]


def find(words: Sequence[Word]) -> tuple[Command, Sequence[Word]]:
    """The command these words name, and its operands; `BadInput` for none or several."""
    leading = _leading(words)
    found = [
        command
        for command in all_commands()
        if len(command.words) <= len(leading)
        and all(abbreviates(text, name) for text, name in zip(leading, command.words, strict=False))
    ]
    if not found:
        raise _unknown(words)
    longest = max(len(command.words) for command in found)
    found = [command for command in found if len(command.words) == longest]
    exact = [c for c in found if [w.upper() for w in c.words] == [t.upper() for t in leading[:longest]]]
    chosen = exact or found
    if len(chosen) > 1:
        raise BadInput(
            "ANR2008E",
            command=" ".join(leading[:longest]).upper(),
            candidates=", ".join(command.name for command in chosen),
        )
    return chosen[0], words[longest:]


def masked(text: str) -> str:
    """A command with its secrets hidden, to be shown. Of what is no command nobody knows: its first two words are left."""
    line = join_lines(text)
    try:
        words = parse(line)
        command, operands = find(words) if words else (HELP, ())
    except BadInput:
        typed = line.split()
        return " ".join([*typed[:2], MASK]) if len(typed) > 2 else line
    return command.mask(line, operands) if operands else line


def _leading(words: Sequence[Word]) -> list[str]:
    """The words that may be command words: before the first keyword or quoted one, at most three."""
    leading: list[str] = []
    for word in words[:3]:
        if word.keyword or word.quoted:
            break
        leading.append(word.text)
    return leading


def _unknown(words: Sequence[Word]) -> UnknownCommand:
    leading = _leading(words) or [words[0].text]
    verbs = sorted({command.words[0].upper() for command in all_commands()})
    of_verb = [c for c in all_commands() if abbreviates(leading[0], c.words[0])]
    if not of_verb:
        close = difflib.get_close_matches(leading[0].upper(), verbs, n=3)
        right = f"Did you mean {' or '.join(close)}?" if close else "HELP lists all commands."
        return UnknownCommand("ANR2000E", command=_printable(leading[0]), right=right)
    nouns = ", ".join(sorted({" ".join(c.words[1:]).upper() for c in of_verb}))
    verb = of_verb[0].words[0].upper()
    return UnknownCommand(
        "ANR2000E",
        command=_printable(" ".join(leading[:2])),
        right=f"{verb} goes with: {nouns}.",
    )


def _printable(text: str) -> str:
    """A typed word in a message: short, no control characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:60]).upper()
