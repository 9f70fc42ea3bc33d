"""Cached copies: bytes that migration left behind in a random pool (TSM reference, storage 3.2.5).

They have a table of their own and are no placements, so whoever asks where data lies, what a copy pool lacks or what is
lost never counts one. Only reading looks here, and whoever gives out or takes back spans of random volumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from farvault.catalog import owners
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Row, Snapshot, Transaction

_SELECT = (
    "SELECT c.aggregate_id, c.volume_id, c.offset_bytes, a.stored_bytes, a.digest, 0, v.pool_id, s.variant,"
    " s.access, v.name, v.access, v.status, a.node_id, a.file_space_id, 1 FROM cached_copies c JOIN aggregates a ON a.id = c.aggregate_id"
    " JOIN volumes v ON v.id = c.volume_id JOIN storage_pools s ON s.id = v.pool_id"
)
_SPANS = "SELECT c.volume_id, c.offset_bytes, a.stored_bytes FROM cached_copies c JOIN aggregates a ON a.id = c.aggregate_id"


def keep(tx: Transaction, rows: Sequence[PlacementRow], now: int) -> None:
    """These placements, all on random volumes, become cached copies: their spans stay taken."""
    owners.removed(tx, [(row.aggregate_id, row.volume_id) for row in rows])
    tx.run_many(
        "DELETE FROM placements WHERE volume_id = ? AND offset_bytes = ?",
        [(row.volume_id, row.offset_bytes) for row in rows],
    )
    values = [(row.volume_id, row.offset_bytes, row.aggregate_id, now) for row in rows]
    digests = tx.digester.of_many("cached_copies", values)
    tx.run_many(
        "INSERT INTO cached_copies VALUES (?, ?, ?, ?, ?)",
        [(*row, digest) for row, digest in zip(values, digests, strict=True)],
    )


def of_aggregates(r: Snapshot, aggregate_ids: Iterable[int]) -> dict[int, list[PlacementRow]]:
    """Every cached copy of these aggregates; those without any are left out."""
    found: dict[int, list[PlacementRow]] = {}
    many = [(aggregate_id,) for aggregate_id in aggregate_ids]
    for row in r.each(f"{_SELECT} WHERE c.aggregate_id = ? ORDER BY c.volume_id, c.offset_bytes", many):
        found.setdefault(row[0], []).append(PlacementRow._make(row)._replace(damaged=False, is_cached=True))
    return found


def on_volume(r: Snapshot, volume_id: int, after_offset: int, limit: int) -> list[PlacementRow]:
    """The next ones of a volume behind an offset, in the order they lie there."""
    rows = r.all(
        f"{_SELECT} WHERE c.volume_id = ? AND c.offset_bytes > ? ORDER BY c.offset_bytes LIMIT ?",
        (volume_id, after_offset, limit),
    )
    return [PlacementRow._make(row)._replace(damaged=False, is_cached=True) for row in rows]


def lies_there(r: Snapshot, row: PlacementRow) -> bool:
    """Is it still what this span holds?"""
    sql = "SELECT 1 FROM cached_copies WHERE volume_id = ? AND offset_bytes = ? AND aggregate_id = ?"
    return r.one(sql, (row.volume_id, row.offset_bytes, row.aggregate_id)) is not None


def spans_of_volume(r: Snapshot, volume_id: int) -> list[FreedSpan]:
    """What cached copies cover of a volume, in order."""
    sql = f"{_SPANS} WHERE c.volume_id = ? ORDER BY c.offset_bytes"
    return [_span(row) for row in r.all(sql, (volume_id,))]


def volume_bytes(r: Snapshot, volume_id: int) -> int:
    """How much of a volume they cover."""
    sql = (
        "SELECT COALESCE(SUM(a.stored_bytes), 0) FROM cached_copies c JOIN aggregates a ON a.id = c.aggregate_id"
        " WHERE c.volume_id = ?"
    )
    row = r.one(sql, (volume_id,))
    return int(row[0]) if row else 0


def take_oldest(tx: Transaction, volume_id: int, limit: int, enough_bytes: int) -> list[FreedSpan]:
    """The cached copies that migrated longest ago are no more; returns their spans, to be given back after the commit.

    At most `limit` of them, and no more than make `enough_bytes`.
    """
    rows = tx.all(
        f"{_SPANS} WHERE c.volume_id = ? ORDER BY c.cached_time, c.offset_bytes LIMIT ?", (volume_id, limit)
    )
    before = accumulate((row[2] for row in rows), initial=0)
    return _remove(tx, [row for row, size in zip(rows, before, strict=False) if size < enough_bytes])


def take_of_aggregates(tx: Transaction, aggregate_ids: Iterable[int]) -> list[FreedSpan]:
    """The same for all cached copies of these aggregates."""
    rows = tx.each(f"{_SPANS} WHERE c.aggregate_id = ?", [(one,) for one in aggregate_ids])
    return _remove(tx, rows)


def take(tx: Transaction, row: PlacementRow) -> list[FreedSpan]:
    """The same for one, where it is still there."""
    sql = f"{_SPANS} WHERE c.volume_id = ? AND c.offset_bytes = ? AND c.aggregate_id = ?"
    return _remove(tx, tx.all(sql, (row.volume_id, row.offset_bytes, row.aggregate_id)))


def _remove(tx: Transaction, rows: Sequence[Row]) -> list[FreedSpan]:
    tx.run_many(
        "DELETE FROM cached_copies WHERE volume_id = ? AND offset_bytes = ?", [row[:2] for row in rows]
    )
    return [_span(row) for row in rows]


def _span(row: Row) -> FreedSpan:
    return FreedSpan(row[0], row[1], row[2], cached=True)
