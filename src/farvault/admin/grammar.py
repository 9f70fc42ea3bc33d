"""The command line as words: quotes, keyword=value, lists, continuation, comments. Pure; knows no command.

    line    = word { blank word }
    word    = value | KEYWORD "=" value                no blanks around "="
    value   = item { "," item }                        no blanks around ","
    item    = "..." | '...' | bare                     a quote inside is doubled; a bare item ends at a blank
    comment = "/*" ... "*/" where a word may begin

A line that ends in `-` or `\\` goes on with the next one; any other line end is a blank. Every text is either a
tuple of words or `BadInput` that says what is wrong, where, and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from farvault.base.errors import BadInput

_KEYWORD = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=")
_BARE = re.compile(r"[^\s,]*")
_CONTINUED = re.compile(r"[-\\][ \t\r]*\n")
_KEYWORD_LINE = re.compile(r"\s+[A-Za-z][A-Za-z0-9_]*=")
_COMMENT_BEGINS = re.compile(r"(?:^|(?<=\s))/\*(?=[\s*]|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Word:
    """One word. `keyword` is empty for a positional one. `items`: the value cut at its commas outside quotes.

    `start`, `end`: where the whole word stands in the joined line; `value_start`: where its value begins.
    """

    keyword: str
    items: tuple[str, ...]
    quoted: bool
    start: int
    value_start: int
    end: int

    @property
    def text(self) -> str:
        """The value as one text, quotes taken off."""
        return ",".join(self.items)


def join_lines(text: str) -> str:
    """Join continued lines."""
    return _CONTINUED.sub("", text)


def is_continued(text: str) -> bool:
    """Does its last line go on with a next one?"""
    return text.rstrip(" \t\r").endswith(("-", "\\"))


def parse(text: str) -> tuple[Word, ...]:
    """Cut a command into words; `BadInput` where quotes or `=` are wrong, or the line goes on and there is no next one."""
    line = join_lines(text)
    if is_continued(line):
        raise BadInput("ANR2028E")
    words: list[Word] = []
    position = _skip(line, 0)
    while position < len(line):
        word = _word(line, position)
        words.append(word)
        position = _skip(line, word.end)
    return tuple(words)


def _skip(line: str, position: int) -> int:
    """The next place that is neither blank nor comment."""
    while position < len(line):
        if line[position].isspace():
            position += 1
        elif line.startswith("/*", position) and (end := line.find("*/", position + 2)) >= 0:
            position = end + 2
        else:
            break
    return position


def _word(line: str, start: int) -> Word:
    keyword = ""
    position = start
    if found := _KEYWORD.match(line, start):
        keyword, position = found[1], found.end()
        if position == len(line) or line[position].isspace():
            raise BadInput("ANR2004E", keyword=keyword.upper(), column=start + 1)
    elif line[start] == "=":
        raise BadInput("ANR2003E", column=start + 1)
    value_start = position
    items: list[str] = []
    quoted = False
    while True:
        item, position, in_quotes = _item(line, position)
        items.append(item)
        quoted = quoted or in_quotes
        if position == len(line) or line[position] != ",":
            return Word(keyword, tuple(items), quoted, start, value_start, position)
        position += 1


def _item(line: str, start: int) -> tuple[str, int, bool]:
    """One list item: its text, where it ends, and whether it was quoted."""
    if start == len(line) or line[start] not in "\"'":
        found = _BARE.match(line, start)
        assert found is not None  # it matches the empty text everywhere
        return found[0], found.end(), False
    quote = line[start]
    parts: list[str] = []
    position = start + 1
    while True:
        end = line.find(quote, position)
        if end < 0:
            raise BadInput("ANR2002E", quote=quote, column=start + 1)
        parts.append(line[position:end])
        if not line.startswith(quote, end + 1):
            break
        parts.append(quote)
        position = end + 2
    after = end + 1
    if after < len(line) and line[after] != "," and not line[after].isspace():
        raise BadInput("ANR2010E", quote=quote, column=after + 1)
    return "".join(parts), after, True


def split_commands(lines: Iterable[str]) -> Iterator[str]:
    """Cut a macro or script into commands, each with its continued lines and without whole-line comments.

    Besides `-` and `\\`, an indented line that begins with KEYWORD= belongs to the command before it: that is how
    manuals print long commands, and no command begins so.
    """
    pending = ""
    open_end = False
    for raw in lines:
        line = raw.rstrip("\r\n")
        if open_end or (pending and _KEYWORD_LINE.match(line)):
            pending += "\n" + line
        else:
            if pending.strip():
                yield pending
            pending = line
        open_end = is_continued(line) or _comment_is_open(pending)
        if not open_end:
            pending = _without_comment_lines(pending)
    if pending.strip():
        yield pending


def _comment_is_open(text: str) -> bool:
    """Does the text begin a comment where a word may begin, and not end it?"""
    position = 0
    while found := _COMMENT_BEGINS.search(text, position):
        end = text.find("*/", found.end())
        if end < 0:
            return True
        position = end + 2
    return False


def _without_comment_lines(text: str) -> str:
    return "" if _skip(text, 0) == len(text) else text
