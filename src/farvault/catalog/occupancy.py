"""QUERY OCCUPANCY: how many files of whom lie in which pool, and how much space they take.

Counted from the rows, so it is never wrong; it reads every object asked for once. An object that is shared by
deduplication counts in full for everyone who has it (logical) and by its share of each record (physical).
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from farvault.catalog import nouns, superseded
from farvault.catalog.transaction import Snapshot
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind

TYPES = {ObjectKind.BACKUP: "Bkup", ObjectKind.ARCHIVE: "Arch", ObjectKind.SPACE_MANAGED: "SpMg"}
_CACHED_AGGREGATES = 200_000


class OccupancyRow(NamedTuple):
    """One node's objects of one kind, of one file space, in one pool. Objects without data lie in no pool."""

    node: str
    type: str
    file_space: str
    file_space_number: int
    pool: str
    files: int
    physical_bytes: int
    """Their share of the stored records."""
    logical_bytes: int
    """The sum of their extents, uncompressed."""


class _Place(NamedTuple):
    """`extent_bytes`: of the record's extents when it was made."""

    pool_id: int
    stored_bytes: int
    extent_bytes: int


def occupancy(
    r: Snapshot, node: str = "*", file_space: str = "*", pool: str = "*", kind: int | None = None
) -> list[OccupancyRow]:
    """Rows by (node, file space, kind, pool), for those whose names match the patterns."""
    pools = {one.id: one.name for one in nouns.select(r, StoragePool, pool)}
    found: list[OccupancyRow] = []
    for owner in nouns.select(r, Node, node):
        for space in nouns.select(r, FileSpace, file_space, node_id=owner.id):
            for (at_kind, pool_id), (files, physical, logical) in sorted(_count(r, space.id).items()):
                if pool_id in pools and kind in (None, at_kind):
                    names = (owner.name, TYPES[ObjectKind(at_kind)], space.name, space.number, pools[pool_id])
                    found.append(OccupancyRow(*names, files, physical, logical))
    return found


def _count(r: Snapshot, file_space_id: int) -> dict[tuple[int, int], list[int]]:
    """(kind, pool) -> [objects, physical bytes, logical bytes] of one file space."""
    totals: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    places: dict[int, list[_Place]] = {}
    object_pools: set[int] = set()
    for kind, offset, length, aggregate_id in r.rows(
        "SELECT o.kind, x.offset_bytes, e.length_bytes, e.aggregate_id FROM objects o"
        " JOIN object_extents x ON x.object_id = o.id JOIN extents e ON e.id = x.extent_id"
        " WHERE o.file_space_id = ? AND o.state <> 0"
        " ORDER BY o.file_space_id, o.directory_id, o.name, o.id, x.offset_bytes",
        (file_space_id,),
    ):
        if offset == 0:
            object_pools.clear()
        place = places.get(aggregate_id)
        if place is None:
            if len(places) >= _CACHED_AGGREGATES:
                places.clear()
            place = places[aggregate_id] = _place(r, aggregate_id)
        for pool_id, stored_bytes, extent_bytes in place:
            total = totals[kind, pool_id]
            if pool_id not in object_pools:
                object_pools.add(pool_id)
                total[0] += 1
            total[1] += stored_bytes * length // extent_bytes
            total[2] += length
    return totals


def _place(r: Snapshot, aggregate_id: int) -> list[_Place]:
    """The pools an aggregate lies in; in some it may still lie as it was before it was rebuilt."""
    found: dict[int, _Place] = {}
    for record in (aggregate_id, *superseded.predecessors(r, (aggregate_id,))[aggregate_id]):
        for row in r.all(
            "SELECT DISTINCT v.pool_id, a.stored_bytes, a.extent_bytes FROM placements p"
            " JOIN volumes v ON v.id = p.volume_id JOIN aggregates a ON a.id = p.aggregate_id WHERE a.id = ?",
            (record,),
        ):
            found.setdefault(row[0], _Place._make(row))
    return list(found.values())
