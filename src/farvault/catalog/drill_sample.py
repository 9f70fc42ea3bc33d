"""What a drill asks of the catalog it has restored: a random sample of files, and where partners keep their data."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from farvault.catalog import objects, placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot

_TRIES_EACH = 4


class Extent(NamedTuple):
    """A piece of a file."""

    digest: bytes
    length: int
    aggregate_id: int


def pick(r: Snapshot, count: int, chance: Random) -> list[int]:
    """Numbers of files with data, by chance, each once, in order; fewer where there are not so many."""
    row = r.one("SELECT MAX(id) FROM objects")
    highest = int(row[0] or 0) if row else 0
    found: set[int] = set()
    for _ in range(count * _TRIES_EACH if highest else 0):
        row = r.one(
            "SELECT id FROM objects WHERE id >= ? AND type = 1 AND state IN (1, 2) AND size_bytes > 0 ORDER BY id LIMIT 1",
            (chance.randint(1, highest),),
        )
        if row is not None:
            found.add(int(row[0]))
        if len(found) == count:
            break
    return sorted(found)


def extents(r: Snapshot, object_id: int) -> list[Extent]:
    """In file order."""
    ((_, rows),) = objects.contents(r, [object_id])
    return [Extent(digest, length, aggregate_id) for _, digest, length, aggregate_id in rows]


def remote_places(r: Snapshot, aggregate_id: int) -> list[tuple[PlacementRow, str]]:
    """Where other servers keep it, or the record it was rebuilt from, with the device class."""
    wanted = [aggregate_id, *superseded.predecessors(r, {aggregate_id})[aggregate_id]]
    classes: dict[int, str] = dict(
        r.all(
            "SELECT s.id, s.device_class FROM storage_pools s JOIN device_classes d ON d.name = s.device_class"
            " WHERE d.device_type = 'SERVER'"
        )
    )
    found = placements.of_aggregates(r, wanted)
    return [
        (place, classes[place.pool_id])
        for one in wanted
        for place in found[one]
        if place.pool_id in classes and not place.is_lost
    ]


def remote_bytes(r: Snapshot) -> int:
    """All that other servers keep of its pools."""
    row = r.one(
        "SELECT COALESCE(SUM(v.written_bytes), 0) FROM volumes v JOIN storage_pools s ON s.id = v.pool_id"
        " JOIN device_classes d ON d.name = s.device_class WHERE d.device_type = 'SERVER'"
    )
    return int(row[0]) if row else 0
