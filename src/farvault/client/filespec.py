"""File specifications as typed: `dir/`, `dir/name`, `dir/*.c`, `{file space}path`; relative ones from the current folder.

Wildcards stand in the last component only. Symbolic links on the way to the last component are resolved once, here,
so that backup and restore name an object by the same real path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from farvault.base.errors import BadInput
from farvault.base.wildcard import wildcard_of_bytes
from farvault.client.mounts import components_below, join_path


class FileSpec(NamedTuple):
    """One operand. `directory` is absolute and normal; `pattern` empty for `dir/`, which means the folder and its content.

    `root`: the file space that `{...}` forced, else empty.
    """

    text: str
    directory: bytes
    pattern: bytes
    root: bytes = b""

    @property
    def has_wildcard(self) -> bool:
        return b"*" in self.pattern or b"?" in self.pattern

    @property
    def path(self) -> bytes:
        """The whole, without a trailing slash."""
        return (
            os.path.normpath(os.path.join(self.directory, self.pattern)) if self.pattern else self.directory
        )


def parse_filespec(text: str, *, resolve: bool = True) -> FileSpec:
    """`BadInput` (ANS1081E) for wildcards anywhere but in the last component, or nothing at all."""
    raw = os.fsencode(text)
    root = b""
    if raw.startswith(b"{"):
        root, brace, rest = raw[1:].partition(b"}")
        if not brace or not root.startswith(b"/"):
            raise BadInput("ANS1081E", spec=text)
        root = os.path.normpath(root)
        raw = join_path(root, b"") + b"/" + rest.lstrip(b"/")
    if not raw or b"\0" in raw:
        raise BadInput("ANS1081E", spec=text)
    absolute = raw if raw.startswith(b"/") else os.path.join(os.getcwdb(), raw)
    directory, pattern = os.path.split(absolute)
    if pattern in (b".", b".."):
        directory, pattern = os.path.split(os.path.normpath(absolute))
    if b"*" in directory or b"?" in directory:
        raise BadInput("ANS1081E", spec=text)
    directory = os.path.normpath(directory)
    directory = b"/" + directory.lstrip(b"/")
    if resolve and not root:
        directory = os.path.realpath(directory)
    return FileSpec(text, directory, pattern, root)


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """A test for names: `*` any run of characters, `?` one; everything else is literal."""
    return wildcard_of_bytes(pattern or b"*")


def longest_root(spec: FileSpec, roots: Iterable[bytes]) -> bytes | None:
    """Which of these file spaces holds the specification: the forced one, else the longest that fits; None for none."""
    if spec.root:
        return spec.root if spec.root in roots else None
    fitting = [
        root
        for root in roots
        if spec.directory == root or spec.directory.startswith(root.rstrip(b"/") + b"/") or spec.path == root
    ]
    return max(fitting, key=len, default=None)


def below_root(root: bytes, spec: FileSpec) -> bytes:
    """The specification's folder as the server names it."""
    return components_below(root, spec.directory)
