"""AUDIT CATALOG FIX=YES: puts right what follows from rows that are proven to be as they were written.

Accounts and the index are worked out anew; what nothing refers to goes. Never a row that protects data: what it said
cannot be known (docs/decisions/0048). Every repair looks again inside its transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from farvault.catalog import audit, extent_index, freeing, owners, placements
from farvault.catalog.freeing import Freed
from farvault.catalog.transaction import Row, Transaction

NOTHING = Freed(0, 0, 0, 0, [], [])
REPAIRED_AT_ONCE = 500
"""Findings put right in one transaction."""


def repair(tx: Transaction, what: str, rows: Sequence[Row]) -> Freed:
    """Put these findings of `audit.check_sum` right; returns what became free by it. Fine where they are gone."""
    return _REPAIRS[what](tx, rows)


def _settle_accounts(tx: Transaction, rows: Sequence[Row]) -> Freed:
    for found in placements.aggregates(tx, [row[0] for row in rows]):
        living = tx.one(
            "SELECT COALESCE(SUM(length_bytes), 0) FROM extents WHERE id >= ? AND id < ?",
            (found.first_extent_id, found.first_extent_id + found.extents),
        )
        right = found._replace(live_bytes=living[0] if living else 0)
        owners.shrunk(tx, [placements.shrunk(found, right)])
        digest = tx.digester.of("aggregates", right)
        tx.run(
            "UPDATE aggregates SET live_bytes = ?, row_digest = ? WHERE id = ?",
            (right.live_bytes, digest, found.id),
        )
    return NOTHING


def _settle_owners(tx: Transaction, rows: Sequence[Row]) -> Freed:
    for volume_id, node_id, file_space_id, *_ in rows:
        owners.settle(tx, volume_id, node_id, file_space_id)
    return NOTHING


def _remove_empty(tx: Transaction, rows: Sequence[Row]) -> Freed:
    empty = [one.id for one in placements.aggregates(tx, [row[0] for row in rows]) if one.live_bytes <= 0]
    return NOTHING._replace(aggregates=len(empty), spans=freeing.remove_aggregates(tx, empty))


def _free_unused(tx: Transaction, rows: Sequence[Row]) -> Freed:
    return freeing.free_extents(tx, [row[0] for row in rows])


def _drop_entries(tx: Transaction, rows: Sequence[Row]) -> Freed:
    extent_index.drop_wrong(tx, rows)
    return NOTHING


def _add_entries(tx: Transaction, rows: Sequence[Row]) -> Freed:
    for domain, digest, number in rows:
        if tx.one("SELECT 1 FROM extents WHERE id = ? AND digest = ?", (number, digest)) is not None:
            extent_index.add(tx, domain, [(digest, number)])
    return NOTHING


def _drop_events(tx: Transaction, rows: Sequence[Row]) -> Freed:
    tx.run_many(
        "DELETE FROM retention_events WHERE object_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM objects o WHERE o.id = retention_events.object_id)",
        rows,
    )
    return NOTHING


_REPAIRS: dict[str, Callable[[Transaction, Sequence[Row]], Freed]] = {
    audit.WRONG_OWNER: _settle_owners,
    audit.WRONG_ACCOUNT: _settle_accounts,
    audit.NO_USER: _free_unused,
    audit.NO_EXTENTS: _remove_empty,
    audit.WRONG_INDEX: _drop_entries,
    audit.NO_INDEX: _add_entries,
    audit.NO_OBJECT: _drop_events,
}
REPAIRABLE = tuple(_REPAIRS)
"""What can be put right, in the order in which it has to be."""
