"""One object row as the catalog keeps it: its columns, its digest, and how it is changed.

Every insert and update of `objects` goes through here, so no row can stand without the digest that belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from farvault.catalog.transaction import Snapshot, Transaction, runs_of
from farvault.model.stored_object import ObjectState

COLUMNS = (
    "file_space_id, directory_id, name, id, kind, type, state, class_id, size_bytes, inserted_time,"
    " deactivated_time, attributes, description"
)


class ObjectColumns(NamedTuple):
    """The columns of `objects` in their order, without the digest."""

    file_space_id: int
    directory_id: int
    name: bytes
    id: int
    kind: int
    type: int
    state: int
    class_id: int
    size_bytes: int
    inserted_time: int
    deactivated_time: int
    attributes: bytes
    description: str


_WITHOUT_PAIRS = frozenset((int(ObjectState.OPEN), int(ObjectState.EXPIRED)))
"""Nobody reads what such a row consists of: its digest does not cover it, and changing it does not look it up."""
Pairs = tuple[int, ...]
"""(offset, extent id, offset, extent id, ...) of an object in order."""


def digests_of(r: Snapshot, rows: Iterable[Sequence[object]], pairs: Iterable[Pairs]) -> list[bytes]:
    """Row digests: over the columns and the pairs. A row in state OPEN or EXPIRED is given with no pairs."""
    return r.digester.of_many("objects", [(*row, each) for row, each in zip(rows, pairs, strict=True)])


def insert_rows(tx: Transaction, rows: Sequence[tuple[object, ...]], pairs: Iterable[Pairs]) -> None:
    """Insert object rows whose extents are (or will be in this transaction) exactly these pairs."""
    digests = digests_of(tx, rows, pairs)
    tx.run_many(
        "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*row, digest) for row, digest in zip(rows, digests, strict=True)],
    )


def fetch(r: Snapshot, ids: Iterable[int]) -> list[ObjectColumns]:
    """Rows by number; numbers without a row are left out."""
    rows = r.each(f"SELECT {COLUMNS} FROM objects WHERE id = ?", [(one,) for one in ids])
    return [ObjectColumns._make(row) for row in rows]


def pairs_of(r: Snapshot, rows: Sequence[ObjectColumns]) -> list[Pairs]:
    """The pairs each row's digest covers."""
    sql = (
        "SELECT object_id, offset_bytes, extent_id FROM object_extents WHERE object_id >= ? AND object_id <= ?"
        " ORDER BY object_id, offset_bytes"
    )
    found: dict[int, list[int]] = {row.id: [] for row in rows}
    wanted = sorted(row.id for row in rows if row.state not in _WITHOUT_PAIRS)
    for object_id, offset, extent_id in r.each(sql, runs_of(wanted)):
        found[object_id] += (offset, extent_id)
    return [tuple(found[row.id]) for row in rows]


def replace_rows(tx: Transaction, rows: Sequence[ObjectColumns]) -> None:
    """Write changed rows back; the primary key is as it was."""
    digests = digests_of(tx, rows, pairs_of(tx, rows))
    tx.run_many(
        "UPDATE objects SET kind = ?, type = ?, state = ?, class_id = ?, size_bytes = ?, inserted_time = ?,"
        " deactivated_time = ?, attributes = ?, description = ?, row_digest = ?"
        " WHERE file_space_id = ? AND directory_id = ? AND name = ? AND id = ?",
        [(*row[4:], digest, *row[:4]) for row, digest in zip(rows, digests, strict=True)],
    )


def class_id(tx: Transaction, name: str) -> int:
    """The number of a management class's name, given on first use."""
    found = tx.one("SELECT id FROM class_names WHERE name = ?", (name,))
    if found is None:
        tx.run("INSERT INTO class_names (name) VALUES (?)", (name,))
        found = tx.one("SELECT id FROM class_names WHERE name = ?", (name,))
    assert found is not None
    return int(found[0])
