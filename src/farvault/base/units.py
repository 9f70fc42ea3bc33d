"""Sizes, counts, times and paths as people read and type them. Binary multiples: K = 1024."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
_TURNS_AROUND = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What sets the direction of the text that follows. Joiners (U+200C, U+200D) belong to words of some languages."""
_SUFFIX = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}


def parse_size(text: str) -> int:
    """`"500M"` -> bytes. `ValueError` for anything but digits and one of K M G T."""
    suffix = text[-1:].upper()
    number, factor = (text[:-1], _SUFFIX[suffix]) if suffix in "KMGT" and suffix else (text, 1)
    if not (number.isascii() and number.isdigit()):
        raise ValueError(text)
    return int(number) * factor


def show_size(size_bytes: int) -> str:
    """Bytes -> `"1.50 GB"`: the largest binary unit with at least one digit before the point, two decimals."""
    for name, unit in (("TB", TIB), ("GB", GIB), ("MB", MIB), ("KB", KIB)):
        if size_bytes >= unit:
            return f"{size_bytes / unit:,.2f} {name}"
    return f"{size_bytes:,} B"


def show_megabytes(size_bytes: int) -> str:
    """Bytes -> MB with two decimals and thousands separators, as QUERY OCCUPANCY shows them."""
    return f"{size_bytes / MIB:,.2f}"


def show_time(seconds: int | None) -> str:
    """Seconds UTC -> `MM/DD/YYYY HH:MM:SS` in the server's zone; empty for never."""
    return "" if seconds is None else time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(seconds))


def show_path(path: bytes) -> str:
    """Bytes that are no UTF-8 become backslash escapes, control characters too: a name must not draw on a terminal or
    look like two lines of a table.
    """
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def has_control_characters(text: str) -> bool:
    """Could it draw on a terminal, look like two lines, or turn what follows around?"""
    return not text.isprintable() and any(
        unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in _TURNS_AROUND for c in text
    )


def show_numbers(numbers: Sequence[int]) -> str:
    """Numbers as people read them: `3-7, 9`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
