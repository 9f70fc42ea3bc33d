"""Whose data shares volumes, and which volume of a sequential pool is written next (TSM reference, storage 3.3).

Pure: the storage layer tells which volumes there are and whose data lies on them, and takes the first choice it can get.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

NO, GROUP, NODE, FILE_SPACE = "NO", "GROUP", "NODE", "FILESPACE"

NEW_SCRATCH: Final = 0
"""Stands in an order of choice where the pool would make a volume. Numbers of volumes begin at 1."""


class Owner(NamedTuple):
    """Whose data a record is: the node that sent it first, and the file space it was sent for."""

    node_id: int
    file_space_id: int


class Key(NamedTuple):
    """What is kept together: all owners with the same key share volumes. `kind` is GROUP, NODE or FILESPACE."""

    kind: str
    number: int
    node_id: int = 0
    """Of a file space: its node."""


class Candidate(NamedTuple):
    """A volume that may be written: FILLING, or a defined one that is EMPTY."""

    volume_id: int
    is_filling: bool
    written_bytes: int
    capacity_bytes: int
    has_key: bool = False
    """Data of the same key lies on it."""
    has_node: bool = False
    """Data of the same node lies on it."""

    @property
    def free_bytes(self) -> int:
        return self.capacity_bytes - self.written_bytes


def key_of(collocate: str, owner: Owner | None, group_id: int | None) -> Key | None:
    """None where the pool does not keep anybody apart. `group_id`: the node's collocation group; without one it is the node."""
    if owner is None or collocate == NO:
        return None
    if collocate == FILE_SPACE:
        return Key(FILE_SPACE, owner.file_space_id, owner.node_id)
    if collocate == GROUP and group_id is not None:
        return Key(GROUP, group_id)
    return Key(NODE, owner.node_id)


def order_of_choice(key: Key | None, candidates: Sequence[Candidate], *, continuing: bool) -> list[int]:
    """Volume numbers, best first; `NEW_SCRATCH` stands where a volume would be made.

    `continuing`: a volume has just been filled, this is the one that goes on. Without a key (collocation off) volumes are
    filled one after the other; with one they are shared only when there is neither an empty nor a scratch volume left.
    """
    filling = [one for one in candidates if one.is_filling]
    empty = [one.volume_id for one in candidates if not one.is_filling]
    fullest = _numbers(sorted(filling, key=lambda one: (-one.written_bytes, one.volume_id)))
    if key is None:
        fresh = [*empty, NEW_SCRATCH]
        return [*fresh, *fullest] if continuing else [*fullest, *fresh]
    shared = sorted(filling, key=lambda one: (-one.free_bytes, one.volume_id))
    if continuing:
        return [*empty, NEW_SCRATCH, *_numbers(shared)]
    own = [number for number in fullest if number in {one.volume_id for one in filling if one.has_key}]
    same_node = [one for one in shared if one.has_node and key.kind == FILE_SPACE]
    order = [*own, *empty, NEW_SCRATCH, *_numbers(same_node), *_numbers(shared)]
    return list(dict.fromkeys(order))


def _numbers(candidates: Sequence[Candidate]) -> list[int]:
    return [one.volume_id for one in candidates]
