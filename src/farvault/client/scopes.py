"""What a backup or archive command is about: operands or DOMAIN, turned into parts of file spaces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from farvault.base.errors import BadInput, NotAvailable, NotFound
from farvault.client.filespec import FileSpec, longest_root, parse_filespec
from farvault.client.mounts import FileSpaces, FileSystem, components_below, local_file_systems


class Scope(NamedTuple):
    """A part of one file space. `directory`: components joined by NUL. `pattern` empty: everything in it.

    `whole`: the complete file space, with all that a full incremental does. `text`: as typed, for messages.
    """

    root: bytes
    directory: bytes
    pattern: bytes
    below: bool
    whole: bool
    text: str


def whole_file_space(root: bytes) -> Scope:
    return Scope(root, b"", b"", True, True, os.fsdecode(root))


def from_operand(text: str, spaces: FileSpaces, subdir: bool, *, whole_allowed: bool) -> Scope:
    """`BadInput` for a specification that is none, `NotFound` (ANS1076E) where its folder does not exist."""
    spec = parse_filespec(text)
    root = _root_of(spec, spaces)
    if whole_allowed and not spec.has_wildcard and spec.path == root and (spec.pattern or root == b"/"):
        return whole_file_space(root)
    if not os.path.isdir(spec.directory):
        raise NotFound("ANS1076E", path=os.fsdecode(spec.directory))
    if spec.path == root and spec.pattern:  # only the root's own entry: there is none, it is what lies in it
        return Scope(root, b"", b"", subdir, False, text)
    directory = components_below(root, spec.directory)
    return Scope(root, directory, spec.pattern, subdir, False, text)


def _root_of(spec: FileSpec, spaces: FileSpaces) -> bytes:
    if spec.root:
        if longest_root(spec, [spec.root]) is None or not os.path.isdir(spec.root):
            raise NotFound("ANS1076E", path=os.fsdecode(spec.root))
        return spec.root
    if not spec.has_wildcard and spec.pattern and spaces.is_root(spec.path):
        return spec.path
    return spaces.divide(spec.directory).root


def from_domain(domain: Sequence[str], virtual: Iterable[str], mounts: Sequence[FileSystem]) -> list[Scope]:
    """The DOMAIN option: `all-local`, names of file systems, `-name` to leave one out. Empty means all local ones."""
    local = [system.mount_point for system in local_file_systems(mounts)]
    virtual_roots = [os.fsencode(name) for name in virtual]
    known = {system.mount_point for system in mounts} | set(virtual_roots)
    chosen: dict[bytes, None] = {}
    left_out: set[bytes] = set()
    words = [word for word in domain if not word.startswith("-")] or ["all-local"]
    for word in words:
        if word.upper() == "ALL-LOCAL":
            chosen.update(dict.fromkeys([*local, *virtual_roots]))
        elif word.upper().startswith("ALL-"):
            raise NotAvailable("ANS9801E", option=f"DOMAIN {word.upper()}")
        else:
            chosen[_file_system(word, known)] = None
    for word in domain:
        if word.startswith("-"):
            left_out.add(_file_system(word[1:], known))
    return [whole_file_space(root) for root in sorted(chosen) if root not in left_out]


def _file_system(word: str, known: set[bytes]) -> bytes:
    path = os.path.normpath(os.fsencode(word))
    if path not in known:
        raise BadInput("ANS1071E", domain=word)
    return path
