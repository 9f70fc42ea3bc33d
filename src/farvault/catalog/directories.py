"""Directories of a file space: each path is stored once and has a number."""

from __future__ import annotations

from collections.abc import Iterable

from farvault.catalog.sequences import take_values
from farvault.catalog.transaction import Transaction


def resolve(tx: Transaction, file_space_id: int, paths: Iterable[bytes]) -> dict[bytes, int]:
    """Path -> number; paths that are new get one. Remembered for the rest of the transaction."""
    known = tx.directory_ids.setdefault(file_space_id, {})
    missing = sorted({path for path in paths if path not in known})
    if missing:
        known.update(
            tx.each(
                "SELECT path, id FROM directories WHERE file_space_id = ? AND path = ?",
                [(file_space_id, path) for path in missing],
            )
        )
        _make(tx, file_space_id, [path for path in missing if path not in known])
    return known


def remove_empty(tx: Transaction, file_space_id: int, limit: int = 10_000) -> int:
    """Remove directories that hold no object, at most `limit`; returns how many went. Repeat until it returns 0."""
    tx.directory_ids.pop(file_space_id, None)
    return tx.run(
        "DELETE FROM directories WHERE id IN (SELECT d.id FROM directories d WHERE d.file_space_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM objects o WHERE o.file_space_id = d.file_space_id AND o.directory_id = d.id) LIMIT ?)",
        (file_space_id, limit),
    )


def remove_if_empty(tx: Transaction, file_space_id: int, directory_ids: Iterable[int]) -> None:
    """Of these directories remove those that hold no object any more."""
    tx.directory_ids.pop(file_space_id, None)
    tx.run_many(
        "DELETE FROM directories WHERE id = ? AND NOT EXISTS"
        " (SELECT 1 FROM objects o WHERE o.file_space_id = ? AND o.directory_id = directories.id)",
        [(one, file_space_id) for one in sorted(directory_ids)],
    )


def _make(tx: Transaction, file_space_id: int, paths: list[bytes]) -> None:
    if not paths:
        return
    first = take_values(tx, "directories", len(paths))
    numbered = dict(zip(paths, range(first, first + len(paths)), strict=True))
    tx.run_many(
        "INSERT INTO directories VALUES (?, ?, ?)",
        [(directory_id, file_space_id, path) for path, directory_id in numbered.items()],
    )
    tx.directory_ids[file_space_id].update(numbered)
    tx.new_directories.update(numbered.values())
