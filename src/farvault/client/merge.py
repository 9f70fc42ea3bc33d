"""Compare a walk with the server's inventory: one sorted merge, a folder at a time, so memory stays flat.

Both sides come in the order (directory, name) with components joined by NUL. What the walk does not have and the server
has is gone, unless it lies where the walk could not look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from farvault.protocol import messages as m


class Stored(NamedTuple):
    """What the server has of one folder: rows by name, and the class names their numbers stand for."""

    directory: bytes
    rows: dict[bytes, tuple[m.ObjectRow, str]]


def by_folder(frames: Iterable[m.Objects]) -> Iterator[Stored]:
    """The inventory cut into folders, in order. With several versions of a name the last one counts."""
    directory: bytes | None = None
    rows: dict[bytes, tuple[m.ObjectRow, str]] = {}
    for frame in frames:
        classes, directories = frame.classes, frame.directories
        number = -1
        for row in frame.rows:
            if row.directory != number:
                number = row.directory
                if directories[number] != directory:
                    if directory is not None:
                        yield Stored(directory, rows)
                    directory, rows = directories[number], {}
            rows[row.name] = row, classes[row.management_class]
    if directory is not None:
        yield Stored(directory, rows)


class Merge:
    """Reads the inventory along with a walk. Ask for each walked folder in order, then for the rest."""

    def __init__(self, frames: Iterable[m.Objects]) -> None:
        self._folders = by_folder(frames)
        self._next: Stored | None = next(self._folders, None)
        self._unknown: list[bytes] = []

    def take(self, directory: bytes) -> tuple[list[Stored], dict[bytes, tuple[m.ObjectRow, str]]]:
        """What the server has of folders before `directory` (which the walk passed by), and of `directory` itself."""
        passed = []
        while self._next is not None and self._next.directory < directory:
            if self._is_known(self._next.directory):
                passed.append(self._next)
            self._next = next(self._folders, None)
        if self._next is None or self._next.directory != directory:
            return passed, {}
        found = self._next.rows
        self._next = next(self._folders, None)
        return passed, found

    def rest(self) -> Iterator[Stored]:
        """What is left when the walk is over."""
        while self._next is not None:
            if self._is_known(self._next.directory):
                yield self._next
            self._next = next(self._folders, None)

    def look_away(self, directory: bytes) -> None:
        """The walk could not look into this folder: nothing in it or below counts as gone."""
        self._unknown.append(directory)

    def _is_known(self, directory: bytes) -> bool:
        """The last unknown folders suffice: both sides come in order."""
        while self._unknown:
            unknown = self._unknown[0]
            if directory == unknown or directory.startswith(unknown + b"\0" if unknown else b""):
                return False
            if directory < unknown:
                return True
            self._unknown.pop(0)
        return True
