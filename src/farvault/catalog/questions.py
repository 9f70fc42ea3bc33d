"""Source side: questions about records at a target, kept while their bytes are here and used up when they are asked.

There are two tables of one shape because questions go with their volume: those of pools with a row of `volumes`, those of
the volume history with its entry. One table would refer to either, and then the engine could take neither's questions along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from farvault.catalog.transaction import Snapshot, Transaction
from farvault.seal.probe import Kept, Question


class Questions(NamedTuple):
    """One of the two tables. `parent`: the column that says whose they are. `needed`: which may be asked, as a condition."""

    table: str
    parent: str
    needed: str = ""

    @property
    def columns(self) -> str:
        return f"{self.parent}, {', '.join(Question._fields)}, answer"

    def keep(self, tx: Transaction, parent_id: int, kept: Sequence[Kept]) -> None:
        """About records of this volume; one a record, a newer one replaces it."""
        for question, answer in kept:
            row = (parent_id, *question, answer)
            sql = f"INSERT OR REPLACE INTO {self.table} VALUES ({', '.join('?' * (len(row) + 1))})"
            tx.run(sql, (*row, tx.digester.of(self.table, row)))

    def take(self, tx: Transaction, parent_id: int, at_bytes: int) -> Kept | None:
        """The first one at or behind this offset, else the first of all; it is used up. None where none is left."""
        sql = (
            f"SELECT {self.columns} FROM {self.table} AS q WHERE {self.parent} = ? AND offset_bytes >= ?{self.needed}"
            " ORDER BY offset_bytes LIMIT 1"
        )
        row = tx.one(sql, (parent_id, at_bytes)) or tx.one(sql, (parent_id, 0))
        if row is None:
            return None
        tx.run(f"DELETE FROM {self.table} WHERE {self.parent} = ? AND offset_bytes = ?", row[:2])
        return Kept(Question(*row[1:-1]), row[-1])

    def forget_from(self, tx: Transaction, parent_id: int, offset_bytes: int) -> None:
        """Those about bytes that have been written over."""
        tx.run(
            f"DELETE FROM {self.table} WHERE {self.parent} = ? AND offset_bytes >= ?",
            (parent_id, offset_bytes),
        )

    def left(self, r: Snapshot, parent_id: int) -> int:
        """How many are left."""
        row = r.one(f"SELECT COUNT(*) FROM {self.table} WHERE {self.parent} = ?", (parent_id,))
        return int(row[0]) if row else 0


OF_POOLS: Final = Questions(
    "probes",
    "volume_id",
    " AND EXISTS (SELECT 1 FROM placements p WHERE p.volume_id = q.volume_id AND p.offset_bytes = q.offset_bytes"
    " AND p.damaged = 0)",
)
"""Only about records that are needed and not known to be damaged: what else is missing is no loss, or no news."""
OF_HISTORY: Final = Questions("history_probes", "history_id")
"""All records of such a volume are needed as long as it has its entry."""
