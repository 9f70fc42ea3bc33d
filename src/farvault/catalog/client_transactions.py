"""Transactions of clients that were committed, and what they were answered.

The row comes with the commit itself. A client whose link broke before the answer came asks by the transaction's id: it
gets the answer, and nothing is stored a second time, which would push a good old version out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from farvault.catalog.transaction import Snapshot, Transaction

KEPT_SECONDS: Final = 24 * 3600
"""A client tries to reconnect for COMMRESTARTDURATION, an hour as a rule."""
KEPT_MOST: Final = 4096
"""Of one node."""
_PRUNED_AT_ONCE: Final = 16


class CommittedTransaction(NamedTuple):
    """What its client was answered, or would have been."""

    objects: int
    expired: int
    updated: int
    new_extents: int
    stored_bytes: int
    rebound: int


def find(r: Snapshot, node_id: int, transaction_id: bytes) -> CommittedTransaction | None:
    """None where no transaction of this id was committed, or it is too long ago."""
    row = r.one(
        "SELECT objects, expired, updated, new_extents, stored_bytes, rebound FROM client_transactions"
        " WHERE node_id = ? AND transaction_id = ?",
        (node_id, transaction_id),
    )
    return None if row is None else CommittedTransaction(*row)


def keep(
    tx: Transaction, node_id: int, transaction_id: bytes, committed: CommittedTransaction, now: int
) -> None:
    """In the transaction that commits it. The oldest ones go."""
    last = tx.one("SELECT MAX(number) FROM client_transactions WHERE node_id = ?", (node_id,))
    number = 1 + (last[0] or 0 if last else 0)
    tx.run(
        "INSERT INTO client_transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (node_id, number, transaction_id, now, *committed),
    )
    tx.run(
        "DELETE FROM client_transactions WHERE node_id = ? AND number IN (SELECT number FROM client_transactions"
        " WHERE node_id = ? ORDER BY number LIMIT ?) AND number < ? AND (number <= ? OR committed_time < ?)",
        (node_id, node_id, _PRUNED_AT_ONCE, number, number - KEPT_MOST, now - KEPT_SECONDS),
    )
