"""Where aggregates lie: choosing what to read, walking a volume, finding what a copy pool lacks or a pool has lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from farvault.base.errors import NotFound
from farvault.catalog import owners
from farvault.catalog.owners import Shrunk
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.volume import OFFLINE
from farvault.policy.collocation import Owner

_READABLE = ("READWRITE", "READONLY")


class PlacementRow(NamedTuple):
    """An aggregate on a volume, with what a reader needs of both."""

    aggregate_id: int
    volume_id: int
    offset_bytes: int
    stored_bytes: int
    digest: bytes
    damaged: bool
    pool_id: int
    pool_variant: str
    pool_access: str
    volume_name: str
    volume_access: str
    volume_status: str
    node_id: int = 0
    file_space_id: int = 0
    is_cached: bool = False
    """Not a placement at all but what migration left behind: fine to read, never to be counted on."""

    @property
    def owner(self) -> Owner:
        """Whose data it is: what collocation goes by."""
        return Owner(self.node_id, self.file_space_id)

    @property
    def place(self) -> tuple[int, int]:
        """Volume and offset: where it lies."""
        return self.volume_id, self.offset_bytes

    @property
    def is_reachable(self) -> bool:
        """Its volume and pool may be read: neither is UNAVAILABLE or DESTROYED, nor is the volume varied offline."""
        access = (self.volume_access, self.pool_access)
        return all(one in _READABLE for one in access) and self.volume_status != OFFLINE

    @property
    def is_readable(self) -> bool:
        """Neither damaged nor out of reach."""
        return not self.damaged and self.is_reachable

    @property
    def is_lost(self) -> bool:
        """It will not be read again: it is damaged, or its volume is gone."""
        return self.damaged or self.volume_access == "DESTROYED"

    @property
    def is_copy(self) -> bool:
        return self.pool_variant == "COPY"


class AggregateRow(NamedTuple):
    """An aggregate as stored. Sizes as in `docs/catalog.md`."""

    id: int
    record_id: bytes
    digest: bytes
    stored_bytes: int
    plain_bytes: int
    codec: int
    key_id: int
    node_id: int
    file_space_id: int
    domain_pool_id: int
    first_extent_id: int
    extents: int
    extent_bytes: int
    live_bytes: int
    created_time: int

    @property
    def needed_bytes(self) -> int:
        """What of its stored bytes is still needed: the share of its extents that live."""
        return self.stored_bytes * self.live_bytes // self.extent_bytes


class UsedSpan(NamedTuple):
    """A run of bytes of a volume that a placement covers."""

    offset_bytes: int
    stored_bytes: int


_SELECT = (
    "SELECT p.aggregate_id, p.volume_id, p.offset_bytes, a.stored_bytes, a.digest, p.damaged, v.pool_id, s.variant,"
    " s.access, v.name, v.access, v.status, a.node_id, a.file_space_id, 0 FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
    " JOIN volumes v ON v.id = p.volume_id JOIN storage_pools s ON s.id = v.pool_id"
)


USED_BYTES = (
    "CASE s.variant WHEN 'RANDOM' THEN a.stored_bytes ELSE a.stored_bytes * a.live_bytes / a.extent_bytes END"
)
"""What a placement `p` of an aggregate `a` in a pool `s` takes: in a random pool all of it until nothing of it lives; else
the share of its extents that live, since the rest is won back by reclamation."""


def add(tx: Transaction, aggregate_id: int, volume_id: int, offset_bytes: int) -> None:
    """The aggregate lies there now, durably."""
    values = (volume_id, offset_bytes, aggregate_id, 0)
    tx.run("INSERT INTO placements VALUES (?, ?, ?, ?, ?)", (*values, tx.digester.of("placements", values)))
    owners.placed(tx, [(aggregate_id, volume_id)])


def add_many(tx: Transaction, rows: Iterable[tuple[int, int, int]]) -> None:
    """The same for many (aggregate id, volume id, offset)."""
    values = sorted((volume_id, offset, aggregate_id, 0) for aggregate_id, volume_id, offset in rows)
    digests = tx.digester.of_many("placements", values)
    tx.run_many(
        "INSERT INTO placements VALUES (?, ?, ?, ?, ?)",
        [(*row, digest) for row, digest in zip(values, digests, strict=True)],
    )
    owners.placed(tx, [(row[2], row[0]) for row in values])


def of_aggregates(r: Snapshot, aggregate_ids: Iterable[int]) -> dict[int, list[PlacementRow]]:
    """Every placement of these aggregates, the one to read first in front: readable, then primary."""
    found: dict[int, list[PlacementRow]] = {aggregate_id: [] for aggregate_id in aggregate_ids}
    for row in r.each(f"{_SELECT} WHERE p.aggregate_id = ?", [(aggregate_id,) for aggregate_id in found]):
        found[row[0]].append(_placement(row))
    for rows in found.values():
        rows.sort(key=lambda one: (not one.is_readable, one.damaged, one.is_copy, one.volume_id))
    return found


def on_volume(r: Snapshot, volume_id: int, after_offset: int = -1, limit: int = 1000) -> list[PlacementRow]:
    """The next placements of a volume behind `after_offset`, in the order they lie there."""
    sql = f"{_SELECT} WHERE p.volume_id = ? AND p.offset_bytes > ? ORDER BY p.offset_bytes LIMIT ?"
    return [_placement(row) for row in r.all(sql, (volume_id, after_offset, limit))]


def nearest(r: Snapshot, volume_id: int, offset_bytes: int) -> PlacementRow | None:
    """The placement at this offset, or the next one behind it, or the last before; None on an empty volume."""
    where = f"{_SELECT} WHERE p.volume_id = ? AND p.offset_bytes"
    row = r.one(f"{where} >= ? ORDER BY p.offset_bytes LIMIT 1", (volume_id, offset_bytes)) or r.one(
        f"{where} < ? ORDER BY p.offset_bytes DESC LIMIT 1", (volume_id, offset_bytes)
    )
    return None if row is None else _placement(row)


def chosen_on_volume(
    r: Snapshot, volume_id: int, after_offset: int, tests: str, values: tuple[int, ...], limit: int
) -> list[PlacementRow]:
    """The next undamaged placements of a volume whose aggregate `a` passes these tests (` AND a... = ?`)."""
    sql = (
        f"{_SELECT} WHERE p.volume_id = ? AND p.offset_bytes > ? AND p.damaged = 0{tests}"
        " ORDER BY p.offset_bytes LIMIT ?"
    )
    return [_placement(row) for row in r.all(sql, (volume_id, after_offset, *values, limit))]


def mark_damaged(tx: Transaction, aggregate_id: int, volume_id: int, damaged: bool) -> None:
    """Reading it there gave wrong or no bytes; or it was found good again. Fine where it is gone."""
    row = tx.one(
        "SELECT volume_id, offset_bytes, aggregate_id FROM placements WHERE aggregate_id = ? AND volume_id = ?",
        (aggregate_id, volume_id),
    )
    if row is not None:
        values = (*row, int(damaged))
        tx.run(
            "UPDATE placements SET damaged = ?, row_digest = ? WHERE volume_id = ? AND offset_bytes = ?",
            (int(damaged), tx.digester.of("placements", values), row[0], row[1]),
        )


def remove(tx: Transaction, aggregate_id: int, volume_id: int) -> None:
    """It does not lie there any more. The aggregate stays, also without any placement: its objects know it is lost."""
    remove_many(tx, [(aggregate_id, volume_id)])


def remove_many(tx: Transaction, pairs: Iterable[tuple[int, int]]) -> None:
    """The same for many (aggregate id, volume id)."""
    where = "aggregate_id = ? AND volume_id = ?"
    found = tx.each(f"SELECT aggregate_id, volume_id FROM placements WHERE {where}", dict.fromkeys(pairs))
    tx.run_many(f"DELETE FROM placements WHERE {where}", found)
    owners.removed(tx, [(row[0], row[1]) for row in found])


def missing_in_copy(
    r: Snapshot, primary_pool_id: int, copy_pool_id: int, after: tuple[int, int] = (-1, -1), limit: int = 1000
) -> list[PlacementRow]:
    """What BACKUP STGPOOL copies next: readable primary placements without an undamaged placement in the copy pool.

    Ordered by (volume, offset); `after` is that pair of the last row seen. A copy on a destroyed volume does not count.
    """
    found: list[PlacementRow] = []
    for (volume_id,) in r.all(
        "SELECT id FROM volumes WHERE pool_id = ? AND id >= ? AND access IN ('READWRITE', 'READONLY')"
        " AND status <> 'OFFLINE' ORDER BY id",
        (primary_pool_id, after[0]),
    ):
        behind = after[1] if volume_id == after[0] else -1
        rows = r.all(
            f"{_SELECT} WHERE p.volume_id = ? AND p.offset_bytes > ? AND p.damaged = 0 AND NOT EXISTS"
            " (SELECT 1 FROM superseded_aggregates s WHERE s.aggregate_id = p.aggregate_id) AND NOT EXISTS"
            " (SELECT 1 FROM placements c JOIN volumes w ON w.id = c.volume_id WHERE c.aggregate_id = p.aggregate_id"
            " AND c.damaged = 0 AND w.pool_id = ? AND w.access <> 'DESTROYED') ORDER BY p.offset_bytes LIMIT ?",
            (volume_id, behind, copy_pool_id, limit - len(found)),
        )
        found.extend(map(_placement, rows))
        if len(found) >= limit:
            break
    return found


def to_restore(
    r: Snapshot, *, pool_id: int = 0, volume_id: int = 0, after: tuple[int, int] = (-1, -1), limit: int = 1000
) -> list[PlacementRow]:
    """What RESTORE STGPOOL (`pool_id`) or RESTORE VOLUME (`volume_id`) must bring back, by (volume, offset).

    Of a pool: placements that are damaged or on destroyed volumes. Of a volume: all of its placements.
    """
    found: list[PlacementRow] = []
    volumes = (
        r.all("SELECT id, 1 FROM volumes WHERE id = ?", (volume_id,))
        if volume_id
        else r.all(
            "SELECT id, access = 'DESTROYED' FROM volumes WHERE pool_id = ? AND id >= ? ORDER BY id",
            (pool_id, after[0]),
        )
    )
    for at_volume, everything in volumes:
        behind = after[1] if at_volume == after[0] else -1
        damaged = "" if everything else " AND p.damaged = 1"
        rows = r.all(
            f"{_SELECT} WHERE p.volume_id = ? AND p.offset_bytes > ?{damaged} ORDER BY p.offset_bytes LIMIT ?",
            (at_volume, behind, limit - len(found)),
        )
        found.extend(map(_placement, rows))
        if len(found) >= limit:
            break
    return found


def used_spans(r: Snapshot, volume_id: int) -> list[UsedSpan]:
    """What placements cover, in order: the rest of a random volume is free."""
    sql = (
        "SELECT p.offset_bytes, a.stored_bytes FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " WHERE p.volume_id = ? ORDER BY p.offset_bytes"
    )
    return [UsedSpan._make(row) for row in r.rows(sql, (volume_id,))]


def of_nodes(
    r: Snapshot,
    pool_id: int,
    node_ids: Collection[int],
    file_space_ids: Collection[int] = (),
    kind: int = 0,
    after: tuple[int, int] = (-1, -1),
    limit: int = 1000,
) -> list[PlacementRow]:
    """What lies in a pool of aggregates that these nodes sent first, by (volume, offset); for MOVE NODEDATA.

    `file_space_ids` empty: of all. `kind` 0: of any; else at least one living extent belongs to an object of that kind.
    """
    nodes = ", ".join(map(str, sorted(node_ids)))
    condition = f"a.node_id IN ({nodes})"
    if file_space_ids:
        spaces = ", ".join(map(str, sorted(file_space_ids)))
        condition += f" AND a.file_space_id IN ({spaces})"
    if kind:
        condition += (
            " AND EXISTS (SELECT 1 FROM extents e CROSS JOIN object_extents x CROSS JOIN objects o"
            " WHERE e.id >= a.first_extent_id AND e.id < a.first_extent_id + a.extents AND x.extent_id = e.id"
            f" AND o.id = x.object_id AND o.kind = {int(kind)})"
        )
    found: list[PlacementRow] = []
    for (volume_id,) in r.all(
        "SELECT id FROM volumes WHERE pool_id = ? AND id >= ? ORDER BY id", (pool_id, after[0])
    ):
        behind = after[1] if volume_id == after[0] else -1
        rows = r.all(
            f"{_SELECT} WHERE p.volume_id = ? AND p.offset_bytes > ? AND {condition} ORDER BY p.offset_bytes LIMIT ?",
            (volume_id, behind, limit - len(found)),
        )
        found.extend(map(_placement, rows))
        if len(found) >= limit:
            break
    return found


def has_placements(r: Snapshot, volume_id: int) -> bool:
    """Is anything on it?"""
    return r.one("SELECT 1 FROM placements WHERE volume_id = ? LIMIT 1", (volume_id,)) is not None


def end_of(r: Snapshot, volume_id: int) -> int:
    """Where the last record on it ends; 0 where it holds nothing."""
    row = r.one(
        "SELECT p.offset_bytes + a.stored_bytes FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " WHERE p.volume_id = ? ORDER BY p.offset_bytes DESC LIMIT 1",
        (volume_id,),
    )
    return int(row[0]) if row else 0


def damaged_records(r: Snapshot, volume_id: int) -> int:
    """How many records on it are marked damaged."""
    row = r.one("SELECT COUNT(*) FROM placements WHERE volume_id = ? AND damaged = 1", (volume_id,))
    return int(row[0]) if row else 0


def emptied_volumes(r: Snapshot) -> list[int]:
    """Sequential volumes that were written and hold nothing any more, and that nobody has emptied yet."""
    sql = (
        "SELECT id FROM volumes v WHERE written_bytes > 0 AND status <> 'PENDING' AND access <> 'OFFSITE'"
        " AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.volume_id = v.id) ORDER BY id"
    )
    return [row[0] for row in r.all(sql)]


def aggregate(r: Snapshot, aggregate_id: int) -> AggregateRow:
    """One aggregate; `NotFound` where it is freed meanwhile."""
    found = aggregates(r, (aggregate_id,))
    if not found:
        raise NotFound("ANR0142E", number=aggregate_id)
    return found[0]


def aggregates(r: Snapshot, aggregate_ids: Sequence[int]) -> list[AggregateRow]:
    """Those of these aggregates that exist."""
    columns = ", ".join(AggregateRow._fields)
    sql = f"SELECT {columns} FROM aggregates WHERE id = ?"
    return [AggregateRow._make(row) for row in r.each(sql, [(one,) for one in aggregate_ids])]


def shrunk(before: AggregateRow, after: AggregateRow) -> Shrunk:
    """What a change of what lives of an aggregate means to the accounts of its volumes."""
    less_bytes = before.needed_bytes - after.needed_bytes
    return Shrunk(before.id, before.node_id, before.file_space_id, less_bytes)


def aggregate_extents(r: Snapshot, aggregate_id: int) -> list[tuple[int, int, int, bytes]]:
    """(extent id, offset, length, digest) of those extents of an aggregate that still exist, in pack order."""
    found = aggregate(r, aggregate_id)
    rows = r.all(
        "SELECT id, offset_bytes, length_bytes, digest FROM extents"
        " WHERE id >= ? AND id < ? AND aggregate_id = ? ORDER BY id",
        (found.first_extent_id, found.first_extent_id + found.extents, aggregate_id),
    )
    return [(extent_id, offset, length, digest) for extent_id, offset, length, digest in rows]


def _placement(row: tuple[object, ...]) -> PlacementRow:
    return PlacementRow(*row[:5], bool(row[5]), *row[6:14])  # type: ignore[arg-type,call-arg]
