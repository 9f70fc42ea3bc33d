"""Include-exclude patterns as regular expressions (TSM reference, clients 4.2).

`?` one character, `*` any run, both inside one component; `[a-d]` one of a set, with `\\` escaping inside; a
component `...` is zero or more whole directories. Every `*` but the last of a component, and every `...` but the
last, takes the first place that fits and never another: for patterns of this kind that finds every match, and no
pattern can make a match slow (atomic groups, as in Python's own fnmatch).
"""

from __future__ import annotations

import re
from typing import Final

_MOST_CHARACTERS: Final = 1024
_DIRECTORIES: Final = "..."


def translate(pattern: str) -> str:
    """The expression to `fullmatch` a full path with. `ValueError` says what is wrong with the pattern."""
    if not pattern.startswith("/"):
        raise ValueError("the pattern must start with /")
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"the pattern is longer than {_MOST_CHARACTERS} characters")
    if len(pattern) > 1 and pattern.endswith("/"):
        raise ValueError("the pattern must not end with /: it would match no file")
    runs: list[list[str]] = [[]]
    for component in _components(pattern[1:]):
        if component == _DIRECTORIES:
            runs.append([])
        elif _DIRECTORIES in component:
            raise ValueError("... must stand between two /")
        else:
            runs[-1].append(_component(component))
    if len(runs) > 1 and not runs[-1]:
        raise ValueError("... must stand between two /")
    return _join(runs)


def _join(runs: list[list[str]]) -> str:
    """Runs of components, with any number of directories between them."""
    first, *others = runs
    if not others:
        return "/" + "/".join(first)
    parts = ["/", *(f"{each}/" for each in first)]
    for run in others[:-1]:
        if run:  # of `/.../.../` one is enough
            parts.append("(?>(?:[^/]+/)*?" + "".join(f"{each}/" for each in run) + ")")
    parts.append("(?:[^/]+/)*" + "/".join(others[-1]))
    return "".join(parts)


def _components(text: str) -> list[str]:
    """Split at `/`, but not inside brackets."""
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "[":
            position = _bracket_end(text, position)
        elif text[position] == "/":
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def _component(text: str) -> str:
    """One component: the pieces between its stars."""
    pieces, position = [""], 0
    while position < len(text):
        character = text[position]
        if character == "*":
            pieces.append("")
        elif character == "?":
            pieces[-1] += "[^/]"
        elif character == "[":
            end = _bracket_end(text, position)
            pieces[-1] += _one_of(text[position + 1 : end])
            position = end
        else:
            pieces[-1] += re.escape(character)
        position += 1
    first, *others = pieces
    if not others:
        return first
    if not any(pieces):
        return "[^/]+"  # stars alone: no component is empty
    middle = "".join(f"(?>[^/]*?{piece})" for piece in others[:-1] if piece)
    return f"{first}{middle}[^/]*{others[-1]}"


def _bracket_end(text: str, start: int) -> int:
    position = start + 1
    while position < len(text) and text[position] != "]":
        position += 2 if text[position] == "\\" else 1
    if position >= len(text):
        raise ValueError("a [ has no ]")
    return position


def _one_of(text: str) -> str:
    """The inside of brackets. Never a `/`, even where a range spans it."""
    ranges: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        position, first = _literal(text, position)
        last = first
        if text[position : position + 1] == "-" and position + 1 < len(text):
            position, last = _literal(text, position + 1)
        if last < first:
            raise ValueError(f"the range {first}-{last} is empty")
        ranges.append((first, last))
    if not ranges:
        raise ValueError("[] names no character")
    inside = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in ranges)
    return f"(?!/)[{inside}]"


def _literal(text: str, position: int) -> tuple[int, str]:
    """A character of a set, escaped or not, and the position after it."""
    if text[position] == "\\" and position + 1 < len(text):
        position += 1
    return position + 1, text[position]
