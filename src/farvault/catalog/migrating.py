"""What of a pool may migrate: who owns how much of it, and the records of one portion in the order they lie."""

from __future__ import annotations

from farvault.catalog import placements
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.policy.migration import Portion

_READABLE = "v.access IN ('READWRITE', 'READONLY') AND v.status <> 'OFFLINE'"
_FROM = (
    "FROM volumes v CROSS JOIN placements p CROSS JOIN aggregates a"
    f" WHERE v.pool_id = ? AND {_READABLE} AND p.volume_id = v.id AND p.damaged = 0 AND a.id = p.aggregate_id"
)


def owners(r: Snapshot, pool_id: int) -> list[tuple[int, int, int, int, int]]:
    """(node, file space, stored bytes, oldest, newest) of what can be read in the pool."""
    sql = (
        "SELECT a.node_id, a.file_space_id, SUM(a.stored_bytes), MIN(a.created_time), MAX(a.created_time)"
        f" {_FROM} GROUP BY a.node_id, a.file_space_id"
    )
    return [
        (int(row[0]), int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in r.all(sql, (pool_id,))
    ]


def volumes(r: Snapshot, pool_id: int) -> list[Portion]:
    """The pool's volumes that hold anything that can be read, with its bytes and its oldest and newest data."""
    sql = f"SELECT v.id, SUM(a.stored_bytes), MIN(a.created_time), MAX(a.created_time) {_FROM} GROUP BY v.id"
    return [
        Portion(int(size), int(oldest), int(newest), volume=int(volume_id))
        for volume_id, size, oldest, newest in r.all(sql, (pool_id,))
    ]


def records(
    r: Snapshot,
    pool_id: int,
    portion: Portion,
    before: int | None,
    after: tuple[int, int] = (-1, -1),
    limit: int = 1000,
) -> list[PlacementRow]:
    """The next records of a portion by (volume, offset); `after` is that pair of the last row seen.

    `before`: only what was stored before that time; a volume that was let go goes as a whole.
    """
    tests, values = _tests(portion, before)
    found: list[PlacementRow] = []
    for (volume_id,) in r.all(
        f"SELECT v.id FROM volumes v WHERE v.pool_id = ? AND v.id >= ? AND {_READABLE} AND (? = 0 OR v.id = ?)"
        " ORDER BY v.id",
        (pool_id, after[0], portion.volume, portion.volume),
    ):
        behind = after[1] if volume_id == after[0] else -1
        found += placements.chosen_on_volume(r, volume_id, behind, tests, values, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _tests(portion: Portion, before: int | None) -> tuple[str, tuple[int, ...]]:
    if portion.volume:
        return "", ()
    tests = f" AND a.node_id IN ({', '.join('?' * len(portion.nodes))})"
    values = portion.nodes
    if portion.file_space:
        tests, values = tests + " AND a.file_space_id = ?", (*values, portion.file_space)
    if before is not None:
        tests, values = tests + " AND a.created_time < ?", (*values, before)
    return tests, values


def largest_files(r: Snapshot, aggregate_ids: list[int]) -> dict[int, int]:
    """Aggregate -> size of the largest file that needs a part of it. What MAXSIZE is compared with."""
    sql = (
        "SELECT a.id, MAX(o.size_bytes) FROM aggregates a CROSS JOIN extents e CROSS JOIN object_extents x"
        " CROSS JOIN objects o WHERE a.id = ? AND e.id >= a.first_extent_id"
        " AND e.id < a.first_extent_id + a.extents AND e.aggregate_id = a.id AND x.extent_id = e.id"
        " AND o.id = x.object_id GROUP BY a.id"
    )
    return {int(number): int(size) for number, size in r.each(sql, [(one,) for one in aggregate_ids])}
