"""Numbers that only grow. A number is never given twice, also when what it named is gone: placements, receipts and
volumes elsewhere may still carry it."""

from __future__ import annotations

from farvault.catalog.transaction import Transaction


def next_value(tx: Transaction, name: str) -> int:
    """The next number of this sequence; the first is 1."""
    return take_values(tx, name, 1)


def take_values(tx: Transaction, name: str, count: int) -> int:
    """Take `count` numbers in a row; returns the first."""
    row = tx.one("SELECT next_value FROM sequences WHERE name = ?", (name,))
    first = 1 if row is None else int(row[0])
    tx.run(
        "INSERT INTO sequences (name, next_value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET next_value = excluded.next_value",
        (name, first + count),
    )
    return first
