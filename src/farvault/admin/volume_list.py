"""VOLUMENAMES: names of volumes as typed, or FILE:path of a file with one a line."""

from __future__ import annotations

from typing import Final

from farvault.base.errors import BadInput

_FILE: Final = "FILE:"
_MOST_NAMES: Final = 10_000
_MOST_BYTES: Final = 1 << 20


def listed_volumes(typed: tuple[str, ...]) -> tuple[str, ...]:
    """The names. `BadInput` where the file cannot be read, names none, or too many."""
    if len(typed) != 1 or not typed[0].upper().startswith(_FILE):
        return typed
    path = typed[0][len(_FILE) :]
    try:
        with open(path, encoding="utf-8") as file:
            names = tuple(line.strip() for line in file.read(_MOST_BYTES).splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("ANR0999E", value=path, what="list of volumes", reason=error) from None
    if not names or len(names) > _MOST_NAMES:
        raise BadInput("ANR0999E", value=path, what="list of volumes", reason="it names none, or too many")
    return names
