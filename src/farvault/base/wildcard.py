"""Patterns of names: `*` stands for any run of characters, `?` for any one, everything else for itself. Case is as given.

Patterns come from clients, partners and administrators of every privilege, and matching holds the interpreter's lock: no
pattern may be slow. Each piece between two `*` is taken where it comes first and never looked for again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=256)
def wildcard(pattern: str) -> Callable[[str], bool]:
    """A test for texts."""
    if not is_pattern(pattern):
        return pattern.__eq__
    if set(pattern) == {"*"}:
        return lambda _: True
    first, *others = (
        "".join("." if c == "?" else re.escape(c) for c in piece) for piece in pattern.split("*")
    )
    if others:
        first += "".join(f"(?>.*?{piece})" for piece in others[:-1] if piece) + ".*" + others[-1]
    matches = re.compile(first, re.DOTALL).fullmatch
    return lambda text: matches(text) is not None


def wildcard_of_bytes(pattern: bytes) -> Callable[[bytes], bool]:
    """The same for names as they are stored: `?` stands for one byte."""
    matches = wildcard(pattern.decode("latin-1"))
    return lambda name: matches(name.decode("latin-1"))


def is_pattern(text: str) -> bool:
    """Does it hold a wildcard?"""
    return "*" in text or "?" in text


def matches(pattern: str, text: str) -> bool:
    """Does it fit?"""
    return wildcard(pattern)(text)
