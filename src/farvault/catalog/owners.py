"""Whose data lies on which volume, and which nodes belong together: what collocation goes by.

The accounts in `volume_owners` change in the transaction that changes placements, so they are as exact and as safe from
a crash as these. Reading them from the placements each time would cost a walk over every volume that could be written.
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


_Account = tuple[int, int, int]
"""(volume, node, file space)."""


def placed(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """These (aggregate, volume) were placed. The aggregates are in the catalog by now."""
    _change(tx, rows, 1)


def removed(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """These (aggregate, volume) are placed no more. The aggregates must still be in the catalog."""
    _change(tx, rows, -1)


def settle(tx: Transaction, volume_id: int, node_id: int, file_space_id: int) -> None:
    """Work one account out anew from what lies there."""
    key = (volume_id, node_id, file_space_id)
    tx.run("DELETE FROM volume_owners WHERE volume_id = ? AND node_id = ? AND file_space_id = ?", key)
    tx.run(
        "INSERT INTO volume_owners SELECT p.volume_id, a.node_id, a.file_space_id, COUNT(*), SUM(a.stored_bytes)"
        " FROM placements p JOIN aggregates a ON a.id = p.aggregate_id"
        " WHERE p.volume_id = ? AND a.node_id = ? AND a.file_space_id = ? GROUP BY p.volume_id, a.node_id, a.file_space_id",
        key,
    )


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
        number: (node_id, file_space_id, stored_bytes)
        for number, node_id, file_space_id, stored_bytes in tx.each(
            "SELECT id, node_id, file_space_id, stored_bytes FROM aggregates WHERE id = ?",
            [(one,) for one in dict.fromkeys(row[0] for row in rows)],
        )
    }
    changes: dict[_Account, list[int]] = defaultdict(lambda: [0, 0])
    for aggregate_id, volume_id in rows:
        node_id, file_space_id, stored_bytes = found[aggregate_id]
        account = changes[volume_id, node_id, file_space_id]
        account[0] += sign
        account[1] += sign * stored_bytes
    _add(tx, ((*key, *change) for key, change in sorted(changes.items())))
    if sign < 0:
        sql = "DELETE FROM volume_owners WHERE volume_id = ? AND node_id = ? AND file_space_id = ? AND aggregates = 0"
        tx.run_many(sql, sorted(changes))


def _add(tx: Transaction, rows: Iterable[tuple[int, ...]]) -> None:
    tx.run_many(
        "INSERT INTO volume_owners VALUES (?, ?, ?, ?, ?) ON CONFLICT (volume_id, node_id, file_space_id)"
        " DO UPDATE SET aggregates = volume_owners.aggregates + excluded.aggregates,"
        " stored_bytes = volume_owners.stored_bytes + excluded.stored_bytes",
        list(rows),
    )
