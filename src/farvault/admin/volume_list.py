"""VOLUMENAMES: names of volumes as typed, or FILE:path of a file with one a line."""

from __future__ import annotations

from typing import Final

from farvault.base.errors import BadInput
from farvault.model.attribute import BadValue, Text

_FILE: Final = "FILE:"
_MOST_NAMES: Final = 10_000
_MOST_BYTES: Final = 1 << 20
_NAME: Final = Text(1024)


def names_file(typed: tuple[str, ...]) -> bool:
    """Is a file to be read? The server may read what an administrator of its storage may not."""
    return len(typed) == 1 and typed[0].upper().startswith(_FILE)


def listed_volumes(typed: tuple[str, ...]) -> tuple[str, ...]:
    """The names. `BadInput` where the file cannot be read, names none, too many, or something that is no name."""
    if not names_file(typed):
        return typed
    path = typed[0][len(_FILE) :]
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file.read(_MOST_BYTES).split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            "ANR0999E", value=path, what="list of volumes", reason=getattr(error, "strerror", None) or error
        ) from None
    names = tuple(line for line in lines if line)
    for number, line in enumerate(lines, 1):
        try:
            _NAME.parse(line)
        except BadValue:
            reason = f"line {number} is no name of a volume"
            raise BadInput("ANR0999E", value=path, what="list of volumes", reason=reason) from None
    if not names or len(names) > _MOST_NAMES:
        raise BadInput("ANR0999E", value=path, what="list of volumes", reason="it names none, or too many")
    return names
