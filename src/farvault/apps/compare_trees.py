"""Compare two folder trees: every name, byte, link and attribute. What `farvault demo` and the tests trust."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from farvault.base.units import MIB


def compare_trees(original: str, restored: str) -> list[str]:
    """One line for each difference; empty where both trees are equal. Sockets are left out: they are never stored."""
    return list(_differences(os.fsencode(original), os.fsencode(restored)))


def _differences(original: bytes, restored: bytes) -> Iterator[str]:
    links: dict[tuple[int, int], int] = {}
    for path in _walk(original, b""):
        here, there = os.path.join(original, path), os.path.join(restored, path)
        try:
            old, new = os.lstat(here), os.lstat(there)
        except FileNotFoundError:
            yield f"missing: {os.fsdecode(path)}"
            continue
        for problem in _compare_one(here, there, old, new):
            yield f"{problem}: {os.fsdecode(path)}"
        if stat.S_ISREG(old.st_mode) and old.st_nlink > 1:
            first = links.setdefault((old.st_dev, old.st_ino), new.st_ino)
            if first != new.st_ino:
                yield f"hard link came back as a separate file: {os.fsdecode(path)}"
    extra = set(_walk(restored, b"")) - set(_walk(original, b""))
    yield from (f"not in the original: {os.fsdecode(path)}" for path in sorted(extra))


def _walk(root: bytes, below: bytes) -> Iterator[bytes]:
    with os.scandir(os.path.join(root, below)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = os.path.join(below, entry.name)
            if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                continue
            yield path
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)


def _compare_one(here: bytes, there: bytes, old: os.stat_result, new: os.stat_result) -> Iterator[str]:
    for name in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
        if getattr(old, name) != getattr(new, name):
            yield f"{name[3:]} {getattr(old, name)} became {getattr(new, name)}"
    if stat.S_ISLNK(old.st_mode):
        if stat.S_ISLNK(new.st_mode) and os.readlink(here) != os.readlink(there):
            yield "link target differs"
    elif stat.S_ISREG(old.st_mode) and stat.S_ISREG(new.st_mode) and not _same_bytes(here, there, old, new):
        yield "content differs"
    if not stat.S_ISLNK(old.st_mode) and _extended(here) != _extended(there):
        yield "extended attributes differ"


def _same_bytes(here: bytes, there: bytes, old: os.stat_result, new: os.stat_result) -> bool:
    if old.st_size != new.st_size:
        return False
    with open(here, "rb", buffering=0) as one, open(there, "rb", buffering=0) as two:
        while piece := one.read(MIB):
            if piece != two.read(len(piece)):
                return False
    return True


def _extended(path: bytes) -> dict[str, bytes]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {os.fsdecode(name): os.getxattr(path, name, follow_symlinks=False) for name in names}
