"""Walk one file space, folder by folder, in the order in which the server keeps its inventory.

That order is (directory, name) with a directory written as its components joined by NUL: all entries of a folder,
then the folders in it, each followed by what is below. Names are bytes and stay bytes. Every folder is opened from
its parent's descriptor without following links, so nothing that moves meanwhile leads the walk astray.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from farvault.client.beneath import FOLDER_FLAGS, open_beneath

Entry = tuple[bytes, os.stat_result]
_TYPE_MASK: Final = 0o170000
_FOLDER: Final = 0o040000


class Folder(NamedTuple):
    """One folder as found. `problem`: it could not be read (or not all of it): what is below is unknown, not gone."""

    directory: bytes
    entries: list[Entry]
    problem: OSError | None = None


def walk(
    root: int, start: bytes, *, below: bool, may_enter: Callable[[bytes], bool], flags: int = FOLDER_FLAGS
) -> Iterator[Folder]:
    """Folders from `start` on (components joined by NUL), below the open folder `root`.

    `below`: all levels, else `start` alone. `may_enter` is asked for each folder under `start`, by its directory.
    """
    yield from _descend(root, start, may_enter, flags) if below else _one(root, start, flags)


def _one(root: int, start: bytes, flags: int) -> Iterator[Folder]:
    try:
        opened = open_beneath(root, start, flags)
    except OSError as problem:
        yield Folder(start, [], problem)
        return
    try:
        yield _read(opened, start)
    finally:
        os.close(opened)


def _descend(root: int, start: bytes, may_enter: Callable[[bytes], bool], flags: int) -> Iterator[Folder]:
    """Depth first with a stack of our own: a folder may be thousands deep, and generators inside each other are slow."""
    _raise_open_files_limit()
    stack: list[tuple[int, bytes, list[bytes]]] = []
    try:
        try:
            opened = open_beneath(root, start, flags)
        except OSError as problem:
            yield Folder(start, [], problem)
            return
        folder = _read(opened, start)
        stack.append((opened, start, _subfolders(folder)))
        yield folder
        while stack:
            parent, directory, waiting = stack[-1]
            if not waiting:
                os.close(stack.pop()[0])
                continue
            name = waiting.pop()
            deeper = directory + b"\0" + name if directory else name
            if not may_enter(deeper):
                continue
            try:
                opened = os.open(name, flags, dir_fd=parent)
            except OSError as problem:
                yield Folder(deeper, [], problem)
                continue
            folder = _read(opened, deeper)
            stack.append((opened, deeper, _subfolders(folder)))
            yield folder
    finally:
        for opened, _, _ in stack:
            os.close(opened)


def _subfolders(folder: Folder) -> list[bytes]:
    """Last one first: they are popped from the end."""
    return [name for name, st in reversed(folder.entries) if st.st_mode & _TYPE_MASK == _FOLDER]


def _read(opened: int, directory: bytes) -> Folder:
    try:
        names = sorted(map(os.fsencode, os.listdir(opened)))
    except OSError as problem:
        return Folder(directory, [], problem)
    stat = os.stat
    try:
        return Folder(directory, [(name, stat(name, dir_fd=opened, follow_symlinks=False)) for name in names])
    except OSError:
        return _read_slowly(opened, directory, names)


def _read_slowly(opened: int, directory: bytes, names: list[bytes]) -> Folder:
    """The same where an entry vanished or does not answer: the others count."""
    entries: list[Entry] = []
    problem: OSError | None = None
    for name in names:
        try:
            entries.append((name, os.stat(name, dir_fd=opened, follow_symlinks=False)))
        except FileNotFoundError:
            continue  # gone since the folder was listed: as if it had never been there
        except OSError as error:
            problem = error
    return Folder(directory, entries, problem)


def _raise_open_files_limit() -> None:
    """One descriptor a level is open; the usual soft limit of 1,024 is less than a path can be deep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
