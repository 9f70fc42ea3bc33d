"""Include and exclude statements: which files a client leaves out, and to which class it binds the others.

Read from the last statement up, the first that matches decides (TSM reference, clients 4.3); EXCLUDE.FS and
EXCLUDE.DIR come before all others. Each list becomes one regular expression whose groups are its statements, so a
file costs one match however long the list is, and nothing where there are no statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from farvault.base.errors import BadInput, NotAvailable
from farvault.policy.pattern import translate


class Purpose(Enum):
    """What a list is for."""

    BACKUP = "backup"
    ARCHIVE = "archive"
    SPACE_MANAGEMENT = "space management"
    DIRECTORY = "directory"
    FILE_SPACE = "file space"


_BOTH: Final = (Purpose.BACKUP, Purpose.SPACE_MANAGEMENT)

VERBS: Final[dict[str, tuple[Purpose, ...]]] = {
    "EXCLUDE": _BOTH,
    "EXCLUDE.FILE": _BOTH,
    "EXCLUDE.BACKUP": (Purpose.BACKUP,),
    "EXCLUDE.FILE.BACKUP": (Purpose.BACKUP,),
    "EXCLUDE.ARCHIVE": (Purpose.ARCHIVE,),
    "EXCLUDE.SPACEMGMT": (Purpose.SPACE_MANAGEMENT,),
    "EXCLUDE.DIR": (Purpose.DIRECTORY,),
    "EXCLUDE.FS": (Purpose.FILE_SPACE,),
    "INCLUDE": _BOTH,
    "INCLUDE.FILE": (Purpose.BACKUP,),
    "INCLUDE.BACKUP": (Purpose.BACKUP,),
    "INCLUDE.ARCHIVE": (Purpose.ARCHIVE,),
    # Known words for functions that are not there: refused, so that nobody relies on them.
    "EXCLUDE.COMPRESSION": (),
    "EXCLUDE.ENCRYPT": (),
    "EXCLUDE.DEDUP": (),
    "EXCLUDE.IMAGE": (),
    "EXCLUDE.ATTRIBUTE.SYMLINK": (),
    "INCLUDE.COMPRESSION": (),
    "INCLUDE.ENCRYPT": (),
    "INCLUDE.DEDUP": (),
    "INCLUDE.IMAGE": (),
    "INCLUDE.FS": (),
    "INCLUDE.ATTRIBUTE.SYMLINK": (),
}
"""Statement -> the lists it stands in; none: not supported."""

_WORD: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s"']\S*))(?=\s|$)""")


@dataclass(frozen=True, slots=True)
class Statement:
    """One line. `source` says where it comes from: a file's path, `Server`, `Operating System`."""

    verb: str
    pattern: str
    management_class: str = ""
    source: str = ""

    @property
    def is_exclude(self) -> bool:
        return self.verb.startswith("EXCLUDE")

    @property
    def purposes(self) -> tuple[Purpose, ...]:
        return VERBS[self.verb]


class Decision(NamedTuple):
    """`management_class` is empty for the default class; `statement` is None where nothing matched."""

    excluded: bool
    management_class: str = ""
    statement: Statement | None = None


INCLUDED: Final = Decision(False)
"""The decision where no statement matches."""


def parse_statement(text: str, source: str = "") -> Statement:
    """`EXCLUDE.DIR /a/b` or `include "/a b/.../*" class`. `BadInput` or `NotAvailable` say what is wrong with it."""
    words = _split(text)
    verb = words[0].upper() if words else ""
    if verb not in VERBS:
        raise BadInput("ANS1480E", statement=text.strip(), reason="it starts with no word known here")
    if not VERBS[verb]:
        raise NotAvailable("ANS1481E", statement=text.strip())
    most = 3 if verb.startswith("INCLUDE") else 2
    if not 2 <= len(words) <= most:
        raise BadInput(
            "ANS1480E",
            statement=text.strip(),
            reason="it needs a pattern" if len(words) < 2 else f"{words[most]!r} does not belong there",
        )
    pattern = words[1].rstrip("/") or "/" if verb in ("EXCLUDE.DIR", "EXCLUDE.FS") else words[1]
    try:
        translate(pattern)
    except ValueError as error:
        raise BadInput("ANS1480E", statement=text.strip(), reason=str(error)) from None
    return Statement(verb, pattern, words[2].upper() if len(words) > 2 else "", source)


def parse_lines(lines: Iterable[str], source: str = "") -> list[Statement]:
    """An include-exclude file: a statement a line, `*` starts a comment line, empty lines are skipped."""
    return [
        parse_statement(line, source) for line in lines if line.strip() and not line.lstrip().startswith("*")
    ]


class Rules:
    """A client's whole list, ready to be asked about each file. Paths are full, as bytes, without a trailing `/`."""

    def __init__(self, local: Sequence[Statement] = (), server: Sequence[Statement] = ()) -> None:
        """`server`: the statements of the node's option set; they stand below the local ones, so they come first."""
        self.statements: tuple[Statement, ...] = (*local, *server)
        self._lists = {purpose: _List.of(self.statements, purpose) for purpose in Purpose}
        self._directories = self._lists[Purpose.DIRECTORY]

    def decide(self, path: bytes, purpose: Purpose = Purpose.BACKUP) -> Decision:
        """Is this file left out, and which class does it get? Not for directories: only EXCLUDE.DIR stops those."""
        chosen = self._lists[purpose]
        return INCLUDED if chosen is None else chosen.decide(path)

    def excludes_directory(self, path: bytes) -> bool:
        """Does EXCLUDE.DIR name this directory? Then it is not entered and nothing below it is looked at."""
        return self._directories is not None and self._directories.decide(path).excluded

    def is_below_excluded_directory(self, path: bytes) -> bool:
        """Does EXCLUDE.DIR name any directory above this path? For starts in the middle of a tree."""
        if self._directories is None:
            return False
        ends = [i for i, byte in enumerate(path) if byte == 0x2F and i]
        return any(self._directories.decide(path[:end]).excluded for end in ends)

    def excludes_file_space(self, name: bytes) -> bool:
        """Does EXCLUDE.FS name this file space (its mount point)?"""
        chosen = self._lists[Purpose.FILE_SPACE]
        return chosen is not None and chosen.decide(name).excluded


class _List:
    """The statements of one purpose, last one first, as one expression."""

    __slots__ = ("_decisions", "_match")

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._decisions = [Decision(s.is_exclude, s.management_class, s) for s in statements]
        self._match = re.compile("|".join(f"({translate(s.pattern)})" for s in statements)).fullmatch

    @classmethod
    def of(cls, statements: Sequence[Statement], purpose: Purpose) -> _List | None:
        chosen = [each for each in reversed(statements) if purpose in each.purposes]
        return cls(chosen) if chosen else None

    def decide(self, path: bytes) -> Decision:
        # Names are bytes; what is not UTF-8 becomes lone surrogates, so `?` stays one character in every name.
        match = self._match(path.decode("utf-8", "surrogateescape"))
        return self._decisions[match.lastindex - 1] if match and match.lastindex else INCLUDED


def _split(text: str) -> list[str]:
    """Words, quoted or not; a quotation mark inside a word is part of it."""
    words, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise BadInput("ANS1480E", statement=text.strip(), reason="the quotation marks are not balanced")
        words.append(next(group for group in match.groups() if group is not None))
        position = match.end()
    return words
