"""Source side: the questions kept about records of database backups and plans at a target.

They come with the transaction that completes the volume's entry, are used up when they are asked, and go with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from farvault.catalog.transaction import Snapshot, Transaction
from farvault.seal.probe import Kept, Question

TABLE: Final = "history_probes"
COLUMNS: Final = "history_id, offset_bytes, stored_bytes, start_bytes, size_bytes, nonce, answer"


def keep(tx: Transaction, history_id: int, kept: Sequence[Kept]) -> None:
    """About records of this volume; one a record, a newer one replaces it."""
    for question, answer in kept:
        row = (history_id, *question, answer)
        sql = f"INSERT OR REPLACE INTO {TABLE} VALUES ({', '.join('?' * (len(row) + 1))})"
        tx.run(sql, (*row, tx.digester.of(TABLE, row)))


def take(tx: Transaction, history_id: int, at_bytes: int) -> Kept | None:
    """The first one at or behind this offset, else the first of all; it is used up. None where none is left."""
    sql = f"SELECT {COLUMNS} FROM {TABLE} WHERE history_id = ? AND offset_bytes >= ? ORDER BY offset_bytes LIMIT 1"
    row = tx.one(sql, (history_id, at_bytes)) or tx.one(sql, (history_id, 0))
    if row is None:
        return None
    tx.run(f"DELETE FROM {TABLE} WHERE history_id = ? AND offset_bytes = ?", row[:2])
    return Kept(Question(*row[1:6]), row[6])


def count(r: Snapshot, history_id: int) -> int:
    """How many are left."""
    row = r.one(f"SELECT COUNT(*) FROM {TABLE} WHERE history_id = ?", (history_id,))
    return int(row[0]) if row else 0
