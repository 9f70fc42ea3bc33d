"""Which pool takes a file: down the hierarchy from the copy group's destination (TSM reference, storage 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple


class Refusal(Enum):
    """Why no pool takes it."""

    UNDEFINED = "undefined"
    """The destination is not defined (TSM says ANR0520W)."""
    TOO_LARGE = "too large"
    """Larger than MAXSIZE in the pool and all its successors (ANR0521W)."""
    NO_SPACE = "no space"
    """No room in the pool and all its successors, or none may be written (ANR0522W)."""


class PoolState(NamedTuple):
    """What the choice needs to know of one pool. None stands for no limit."""

    name: str
    access: str
    max_size_bytes: int | None
    free_bytes: int | None


class Choice(NamedTuple):
    """The pool's name, or why there is none."""

    name: str
    refusal: Refusal | None = None


def choose_pool(chain: Sequence[PoolState], size_bytes: int, file_bytes: int) -> Choice:
    """The first pool of the chain that may be written, takes files of this size and has room for all of it."""
    if not chain:
        return Choice("", Refusal.UNDEFINED)
    too_large_everywhere = True
    for pool in chain:
        fits_limit = pool.max_size_bytes is None or file_bytes <= pool.max_size_bytes
        too_large_everywhere = too_large_everywhere and not fits_limit
        has_room = pool.free_bytes is None or size_bytes <= pool.free_bytes
        if pool.access == "READWRITE" and fits_limit and has_room:
            return Choice(pool.name)
    return Choice("", Refusal.TOO_LARGE if too_large_everywhere else Refusal.NO_SPACE)


def follow_chain(destination: str, next_pools: Mapping[str, str]) -> list[str]:
    """Names from the destination down. `next_pools`: pool -> its next pool ('' for none); ends before a ring closes."""
    names: list[str] = []
    name = destination
    while name in next_pools and name not in names:
        names.append(name)
        name = next_pools[name]
    return names
