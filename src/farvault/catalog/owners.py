"""Whose data lies on which volume, how much of it is still needed, and which nodes belong together.

The accounts in `volume_owners` change in the transaction that changes placements or what lives of an aggregate, so they
are as exact and as safe from a crash as these. Reading them from the placements each time would cost a walk over every
volume that could be written, or over a whole pool (docs/decisions/0061).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from farvault.catalog.transaction import Snapshot, Transaction
from farvault.policy.collocation import FILE_SPACE, GROUP, Key, Owner


class OwnedRow(NamedTuple):
    """How much of a volume belongs to one file space of one node."""

    volume_id: int
    node_id: int
    file_space_id: int
    aggregates: int
    stored_bytes: int


class VolumeBytes(NamedTuple):
    """`stored_bytes`: what placements cover of a volume. `live_bytes`: of that, what is still needed: each record by the
    share of its extents that live.
    """

    stored_bytes: int
    live_bytes: int


NOTHING = VolumeBytes(0, 0)


class Shrunk(NamedTuple):
    """An aggregate of which less is needed now. `less_bytes`: of its stored bytes; below 0 where it is more."""

    aggregate_id: int
    node_id: int
    file_space_id: int
    less_bytes: int


_Account = tuple[int, int, int]
"""(volume, node, file space)."""
_SUMS = "COUNT(*), SUM(a.stored_bytes), SUM(a.stored_bytes * a.live_bytes / a.extent_bytes)"


def placed(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """These (aggregate, volume) were placed. The aggregates are in the catalog by now."""
    _change(tx, rows, 1)


def removed(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """These (aggregate, volume) are placed no more. The aggregates must still be in the catalog."""
    _change(tx, rows, -1)


def shrunk(tx: Transaction, rows: Sequence[Shrunk]) -> None:
    """These lie where they lay; wherever that is, less of them is needed."""
    changed = {row.aggregate_id: row for row in rows if row.less_bytes}
    changes: dict[_Account, int] = defaultdict(int)
    for number, volume_id in tx.each(
        "SELECT aggregate_id, volume_id FROM placements WHERE aggregate_id = ?", [(one,) for one in changed]
    ):
        row = changed[number]
        changes[volume_id, row.node_id, row.file_space_id] += row.less_bytes
    tx.run_many(
        "UPDATE volume_owners SET live_bytes = live_bytes - ?"
        " WHERE volume_id = ? AND node_id = ? AND file_space_id = ?",
        [(change, *key) for key, change in sorted(changes.items())],
    )


def settle(tx: Transaction, volume_id: int, node_id: int, file_space_id: int) -> None:
    """Work one account out anew from what lies there."""
    key = (volume_id, node_id, file_space_id)
    tx.run("DELETE FROM volume_owners WHERE volume_id = ? AND node_id = ? AND file_space_id = ?", key)
    tx.run(
        f"INSERT INTO volume_owners SELECT p.volume_id, a.node_id, a.file_space_id, {_SUMS}"
        " FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " WHERE p.volume_id = ? AND a.node_id = ? AND a.file_space_id = ? GROUP BY p.volume_id, a.node_id, a.file_space_id",
        key,
    )


def volume_bytes(r: Snapshot, volume_id: int) -> VolumeBytes:
    """What lies on a volume."""
    sql = "SELECT SUM(stored_bytes), SUM(live_bytes) FROM volume_owners WHERE volume_id = ?"
    row = r.one(sql, (volume_id,))
    return VolumeBytes(int(row[0]), int(row[1])) if row and row[0] is not None else NOTHING


def pool_bytes(r: Snapshot, pool_id: int) -> dict[int, VolumeBytes]:
    """The same of every volume of a pool that holds anything."""
    rows = r.rows(
        "SELECT o.volume_id, SUM(o.stored_bytes), SUM(o.live_bytes) FROM volumes v CROSS JOIN volume_owners o"
        " WHERE v.pool_id = ? AND o.volume_id = v.id GROUP BY o.volume_id",
        (pool_id,),
    )
    return {volume_id: VolumeBytes(int(stored), int(live)) for volume_id, stored, live in rows}


def group_of(r: Snapshot, node_id: int) -> int | None:
    """The collocation group of a node."""
    row = r.one("SELECT group_id FROM collocation_members WHERE node_id = ?", (node_id,))
    return row[0] if row else None


def groups_of_nodes(r: Snapshot) -> dict[int, tuple[int, ...]]:
    """Node -> all nodes of its collocation group; nodes without a group are left out."""
    members: dict[int, list[int]] = defaultdict(list)
    for group_id, node_id in r.all(
        "SELECT group_id, node_id FROM collocation_members ORDER BY group_id, node_id"
    ):
        members[group_id].append(node_id)
    return {node: tuple(nodes) for nodes in members.values() for node in nodes}


def volumes_of(r: Snapshot, pool_id: int, key: Key) -> set[int]:
    """FILLING volumes of a pool on which data of this key lies."""
    if key.kind == GROUP:
        test = "o.node_id IN (SELECT node_id FROM collocation_members WHERE group_id = ?)"
        return _filling(r, pool_id, test, (key.number,))
    if key.kind == FILE_SPACE:
        return _filling(r, pool_id, "o.node_id = ? AND o.file_space_id = ?", (key.node_id, key.number))
    return volumes_of_node(r, pool_id, key.number)


def volumes_of_node(r: Snapshot, pool_id: int, node_id: int) -> set[int]:
    """FILLING volumes of a pool on which data of this node lies."""
    return _filling(r, pool_id, "o.node_id = ?", (node_id,))


def of_node(r: Snapshot, node_id: int) -> list[OwnedRow]:
    """Where the data of a node lies, by volume and file space."""
    sql = "SELECT volume_id, node_id, file_space_id, aggregates, stored_bytes FROM volume_owners WHERE node_id = ?"
    return [
        OwnedRow._make(row) for row in r.all(f"{sql} ORDER BY volume_id, node_id, file_space_id", (node_id,))
    ]


def on_volume(r: Snapshot, volume_id: int) -> list[OwnedRow]:
    """Whose data lies on a volume."""
    sql = "SELECT volume_id, node_id, file_space_id, aggregates, stored_bytes FROM volume_owners WHERE volume_id = ?"
    return [OwnedRow._make(row) for row in r.all(f"{sql} ORDER BY node_id, file_space_id", (volume_id,))]


def owners_of_aggregates(r: Snapshot, aggregate_ids: Sequence[int]) -> dict[int, Owner]:
    """Aggregate -> whose it is; those that are gone are left out."""
    rows = r.each(
        "SELECT id, node_id, file_space_id FROM aggregates WHERE id = ?", [(one,) for one in aggregate_ids]
    )
    return {number: Owner(node_id, file_space_id) for number, node_id, file_space_id in rows}


def _filling(r: Snapshot, pool_id: int, test: str, values: tuple[int, ...]) -> set[int]:
    sql = (
        "SELECT DISTINCT v.id FROM volume_owners o JOIN volumes v ON v.id = o.volume_id"
        f" WHERE v.pool_id = ? AND v.status = 'FILLING' AND {test}"
    )
    return {row[0] for row in r.all(sql, (pool_id, *values))}


def _change(tx: Transaction, rows: Sequence[tuple[int, int]], sign: int) -> None:
    found = {
        row[0]: row[1:]
        for row in tx.each(
            "SELECT id, node_id, file_space_id, stored_bytes, stored_bytes * live_bytes / extent_bytes"
            " FROM aggregates WHERE id = ?",
            [(one,) for one in dict.fromkeys(row[0] for row in rows)],
        )
    }
    changes: dict[_Account, list[int]] = defaultdict(lambda: [0, 0, 0])
    for aggregate_id, volume_id in rows:
        node_id, file_space_id, stored_bytes, live_bytes = found[aggregate_id]
        account = changes[volume_id, node_id, file_space_id]
        account[0] += sign
        account[1] += sign * stored_bytes
        account[2] += sign * live_bytes
    _add(tx, ((*key, *change) for key, change in sorted(changes.items())))
    if sign < 0:
        sql = "DELETE FROM volume_owners WHERE volume_id = ? AND node_id = ? AND file_space_id = ? AND aggregates = 0"
        tx.run_many(sql, sorted(changes))


def _add(tx: Transaction, rows: Iterable[tuple[int, ...]]) -> None:
    tx.run_many(
        "INSERT INTO volume_owners VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (volume_id, node_id, file_space_id)"
        " DO UPDATE SET aggregates = volume_owners.aggregates + excluded.aggregates,"
        " stored_bytes = volume_owners.stored_bytes + excluded.stored_bytes,"
        " live_bytes = volume_owners.live_bytes + excluded.live_bytes",
        list(rows),
    )
