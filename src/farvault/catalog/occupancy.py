"""QUERY OCCUPANCY: how many files of whom lie in which pool, and how much space they take.

Counted from the rows, so it is never wrong; it reads every object asked for once. Logical: an object counts in full for
everyone who has it. Physical: what a record takes on its volume is shared out among its living extents by their lengths,
and an extent's part equally among all who use it; so over all nodes it is what the pool holds (docs/decisions/0050).
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from farvault.catalog import nouns, placements, superseded
from farvault.catalog.transaction import Snapshot
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind, ObjectState

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


_SCALE = 1 << 40
"""Shares are added up in parts of a byte, so that no rounding adds up as well."""


class _Place(NamedTuple):
    """`taken_bytes`: what the aggregate's records take in the pool; `live_bytes`: of its extents."""

    pool_id: int
    taken_bytes: int
    live_bytes: int


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
    """(kind, pool) -> [objects, physical bytes, logical bytes] of one file space.

    What is on its way in or out takes space too, but is no file.
    """
    totals: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    places: dict[int, list[_Place]] = {}
    object_pools: set[int] = set()
    for kind, state, offset, length, aggregate_id, users in r.rows(
        "SELECT o.kind, o.state, x.offset_bytes, e.length_bytes, e.aggregate_id,"
        " (SELECT COUNT(*) FROM object_extents y WHERE y.extent_id = x.extent_id) FROM objects o"
        " JOIN object_extents x ON x.object_id = o.id JOIN extents e ON e.id = x.extent_id"
        " WHERE o.file_space_id = ?"
        " ORDER BY o.file_space_id, o.directory_id, o.name, o.id, x.offset_bytes",
        (file_space_id,),
    ):
        if offset == 0:
            object_pools.clear()
        found = places.get(aggregate_id)
        if found is None:
            if len(places) >= _CACHED_AGGREGATES:
                places.clear()
            found = places[aggregate_id] = _places(r, aggregate_id)
        for pool_id, taken_bytes, live_bytes in found:
            total = totals[kind, pool_id]
            if pool_id not in object_pools:
                object_pools.add(pool_id)
                total[0] += state != ObjectState.OPEN
            total[1] += taken_bytes * length * _SCALE // (live_bytes * users)
            total[2] += length
    for total in totals.values():
        total[1] = (total[1] + _SCALE // 2) // _SCALE
    return totals


def _places(r: Snapshot, aggregate_id: int) -> list[_Place]:
    """What an aggregate takes in each pool, as it is and as it was before it was rebuilt."""
    taken: dict[int, int] = defaultdict(int)
    live = 0
    for record in (aggregate_id, *superseded.predecessors(r, (aggregate_id,))[aggregate_id]):
        for pool_id, used_bytes, live_bytes in r.all(
            f"SELECT v.pool_id, {placements.USED_BYTES}, a.live_bytes FROM placements p"
            " JOIN aggregates a ON a.id = p.aggregate_id JOIN volumes v ON v.id = p.volume_id"
            " JOIN storage_pools s ON s.id = v.pool_id WHERE p.aggregate_id = ?",
            (record,),
        ):
            taken[pool_id] += used_bytes
            live = live_bytes
    return [_Place(pool_id, used_bytes, live) for pool_id, used_bytes in sorted(taken.items())]
