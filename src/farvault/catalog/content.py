"""QUERY CONTENT: whose files lie on a volume."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from farvault.catalog.transaction import Row, Snapshot

_SEEN_OBJECTS = 1_000_000
_BATCH_OBJECTS = 500
_PLACED, _CACHED = "placements", "cached_copies"
_RECORDS = (
    "SELECT e.aggregate_id UNION ALL SELECT s.aggregate_id FROM superseded_aggregates s"
    " WHERE s.by_aggregate_id = e.aggregate_id"
)
"""The aggregates whose records hold an extent `e`: its own, and those it was rebuilt from."""


class ContentRow(NamedTuple):
    """One object with data on the volume. Paths as in `docs/catalog.md`: components joined by NUL."""

    object_id: int
    node: str
    kind: int
    file_space: str
    file_space_number: int
    directory: bytes
    name: bytes
    size_bytes: int
    damaged: bool
    """At least one of its records on this volume is damaged."""
    copied: bool
    """All of its records on this volume have an undamaged placement in a copy pool."""
    stored_bytes: int
    """Its share of these records."""
    extents_here: int
    extents: int
    """Of so many extents it is made, and so many lie on this volume."""
    is_aggregated: bool
    """A record of it holds more than one extent."""
    is_cached: bool = False
    """Not its data but what migration left here; it has a line of its own."""


def on_volume(
    r: Snapshot,
    volume_id: int,
    *,
    kind: int | None = None,
    damaged: bool | None = None,
    copied: bool | None = None,
) -> Iterator[ContentRow]:
    """Objects in the order their first record lies there, each once (a very long list may repeat a few).

    Behind them those of which migration left a cached copy.
    """
    for table in (_PLACED, _CACHED):
        objects = _objects_on(r, volume_id, kind, table)
        while batch := list(islice(objects, _BATCH_OBJECTS)):
            states = _states(r, volume_id, [each[0] for each in batch], table)
            for each in batch:
                found = ContentRow._make((*each, *states[each[0]], table == _CACHED))
                if damaged in (None, found.damaged) and copied in (None, found.copied):
                    yield found


def _objects_on(r: Snapshot, volume_id: int, kind: int | None, table: str) -> Iterator[Row]:
    """The fields of `ContentRow` that do not depend on the volume."""
    sql = (
        f"SELECT o.id, n.name, o.kind, f.name, f.number, d.path, o.name, o.size_bytes FROM {table} p CROSS JOIN aggregates a CROSS JOIN extents e CROSS JOIN object_extents x"
        " CROSS JOIN objects o CROSS JOIN directories d CROSS JOIN file_spaces f CROSS JOIN nodes n"
        " WHERE p.volume_id = ? AND a.id = p.aggregate_id AND e.id >= a.first_extent_id"
        " AND e.id < a.first_extent_id + a.extents AND x.extent_id = e.id"
        " AND o.id = x.object_id AND o.state <> 0 AND d.id = o.directory_id AND f.id = o.file_space_id"
        " AND n.id = f.node_id ORDER BY p.offset_bytes, e.id"
    )
    seen: set[int] = set()
    for row in r.rows(sql, (volume_id,)):
        if row[0] in seen or kind not in (None, row[2]):
            continue
        if len(seen) >= _SEEN_OBJECTS:
            seen.clear()
        seen.add(row[0])
        yield row


def _states(r: Snapshot, volume_id: int, object_ids: Iterable[int], table: str) -> dict[int, tuple[Any, ...]]:
    """The fields of each object from `damaged` on: a long one has many records here, and any of them may be the bad one."""
    damaged = "MAX(p.damaged)" if table == _PLACED else "0"
    sql = (
        f"SELECT x.object_id, {damaged}, MIN(EXISTS (SELECT 1 FROM placements c"
        " JOIN volumes v ON v.id = c.volume_id JOIN storage_pools s ON s.id = v.pool_id"
        " WHERE c.aggregate_id = p.aggregate_id AND c.damaged = 0 AND s.variant = 'COPY')),"
        " SUM(a.stored_bytes * e.length_bytes / a.extent_bytes), COUNT(DISTINCT x.offset_bytes),"
        " (SELECT COUNT(*) FROM object_extents y WHERE y.object_id = x.object_id), MAX(a.extents > 1)"
        f" FROM object_extents x CROSS JOIN extents e CROSS JOIN {table} p CROSS JOIN aggregates a"
        f" WHERE x.object_id = ? AND e.id = x.extent_id AND p.aggregate_id IN ({_RECORDS}) AND p.volume_id = ?"
        " AND a.id = p.aggregate_id"
    )
    rows = r.each(sql, [(object_id, volume_id) for object_id in object_ids])
    return {
        object_id: (bool(bad), bool(copied), *figures, bool(aggregated))
        for object_id, bad, copied, *figures, aggregated in rows
    }


def users_of_aggregates(r: Snapshot, aggregate_ids: Iterable[int], *, segments: bool = True) -> list[int]:
    """Every object, also an unfinished one, that needs an extent of these aggregates.

    `segments=False`: not those that are segments of other servers' virtual volumes.
    """
    sql = (
        "SELECT DISTINCT x.object_id FROM aggregates a CROSS JOIN extents e CROSS JOIN object_extents x"
        " WHERE a.id = ? AND e.id >= a.first_extent_id AND e.id < a.first_extent_id + a.extents AND x.extent_id = e.id"
    )
    if not segments:
        sql += " AND NOT EXISTS (SELECT 1 FROM segments s WHERE s.object_id = x.object_id)"
    found = {row[0] for row in r.each(sql, [(aggregate_id,) for aggregate_id in aggregate_ids])}
    return sorted(found)


def reaching_elsewhere(r: Snapshot, volume_id: int, object_ids: Iterable[int]) -> int:
    """How many of these objects also need something that does not lie on this volume."""
    sql = (
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM object_extents x JOIN extents e ON e.id = x.extent_id"
        " WHERE x.object_id = ? AND NOT EXISTS (SELECT 1 FROM placements p"
        f" WHERE p.aggregate_id IN ({_RECORDS}) AND p.volume_id = ?))"
    )
    return len(r.each(sql, [(object_id, volume_id) for object_id in object_ids]))


class NameRow(NamedTuple):
    """What a person knows an object by."""

    object_id: int
    node: str
    file_space: str
    directory: bytes
    name: bytes


def names(r: Snapshot, object_ids: Iterable[int]) -> list[NameRow]:
    """The names of these objects, those that are not visible left out."""
    sql = (
        "SELECT o.id, n.name, f.name, d.path, o.name FROM objects o JOIN directories d ON d.id = o.directory_id"
        " JOIN file_spaces f ON f.id = o.file_space_id JOIN nodes n ON n.id = f.node_id"
        " WHERE o.id = ? AND o.state <> 0"
    )
    return [NameRow._make(row) for row in r.each(sql, [(object_id,) for object_id in object_ids])]
