"""What EXPIRE INVENTORY reads: every version of a file space in the order it stands in, a bounded piece at a time.

A piece ends between two names, so all versions of a name are judged together; no snapshot is kept while objects are
deleted. What was judged is deleted only where its row is still the same (`unchanged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from farvault.catalog.objects import ObjectPlace
from farvault.catalog.transaction import Snapshot, Transaction

START: ObjectPlace = (-1, b"", -1)
_COLUMNS = "directory_id, name, id, kind, type, state, class_id, inserted_time, deactivated_time"


class ExaminedRow(NamedTuple):
    """What expiration has to know about a version. The first three are its place in the file space."""

    directory_id: int
    name: bytes
    id: int
    kind: int
    type: int
    state: int
    class_id: int
    inserted_time: int
    deactivated_time: int


class RetentionRow(NamedTuple):
    """A version with all a person wants to know about it; the last fields are those of `ExaminedRow`."""

    directory: bytes
    management_class: str
    size_bytes: int
    row: ExaminedRow


class Progress(NamedTuple):
    """How far expiration has come in a file space. `place`: where a run stopped early; `START` = none did."""

    completed_time: int
    place: ObjectPlace


def piece(r: Snapshot, file_space_id: int, after: ObjectPlace, limit: int) -> list[ExaminedRow]:
    """The next objects behind `after`, at least `limit` where there are so many, with all versions of the last name.

    Rows are plain tuples in the order of `ExaminedRow`: a million of them go by.
    """
    select = f"SELECT {_COLUMNS} FROM objects WHERE file_space_id = ? AND "
    rows = r.all(
        select
        + "(directory_id, name, id) > (?, ?, ?) AND state <> 0 ORDER BY directory_id, name, id LIMIT ?",
        (file_space_id, *after, limit),
    )
    if len(rows) == limit:
        rows += r.all(
            select + "directory_id = ? AND name = ? AND id > ? AND state <> 0 ORDER BY id",
            (file_space_id, *rows[-1][:3]),
        )
    return rows  # type: ignore[return-value]


def unchanged(tx: Transaction, file_space_id: int, rows: Iterable[ExaminedRow]) -> list[int]:
    """The numbers of those rows that are still as they were read."""
    wanted = list(rows)
    found = tx.each(
        f"SELECT {_COLUMNS} FROM objects WHERE file_space_id = ? AND directory_id = ? AND name = ? AND id = ?",
        [(file_space_id, *row[:3]) for row in wanted],
    )
    same = set(found)
    return [row[2] for row in wanted if tuple(row) in same]


def class_names(r: Snapshot) -> dict[int, str]:
    """Names of management classes by their number in `objects`."""
    return dict(r.all("SELECT id, name FROM class_names"))


def directory_paths(r: Snapshot, ids: Iterable[int]) -> dict[int, bytes]:
    """Paths by number."""
    return dict(r.each("SELECT id, path FROM directories WHERE id = ?", [(one,) for one in ids]))


def with_paths(r: Snapshot, file_space_id: int) -> Iterator[RetentionRow]:
    """Every version of a file space in the order of paths, expired ones too, as they are fetched."""
    columns = ", ".join(f"o.{name.strip()}" for name in _COLUMNS.split(","))
    for row in r.rows(
        f"SELECT d.path, (SELECT c.name FROM class_names c WHERE c.id = o.class_id), o.size_bytes, {columns}"
        " FROM directories d CROSS JOIN objects o WHERE d.file_space_id = ? AND o.file_space_id = d.file_space_id"
        " AND o.directory_id = d.id AND o.state <> 0 ORDER BY d.path, o.name, o.id",
        (file_space_id,),
    ):
        yield RetentionRow(row[0], row[1], row[2], ExaminedRow._make(row[3:]))


# --- events ------------------------------------------------------------------------------------------------------------


def events(r: Snapshot, ids: Iterable[int]) -> dict[int, int]:
    """Times of the events that were signalled for these archive copies."""
    sql = "SELECT object_id, event_time FROM retention_events WHERE object_id = ?"
    return dict(r.each(sql, [(one,) for one in ids]))


def signal(tx: Transaction, ids: Sequence[int], event_time: int) -> int:
    """The event of these archive copies has come; one that came before stays. Returns how many were new."""
    known = events(tx, ids)
    new = [one for one in ids if one not in known]
    tx.run_many(
        "INSERT INTO retention_events VALUES (?, ?, ?)",
        [
            (one, event_time, tx.digester.of("retention_events", (one, event_time)))
            for one in dict.fromkeys(new)
        ],
    )
    return len(new)


# --- how far it has come -----------------------------------------------------------------------------------------------


def progress(r: Snapshot) -> dict[int, Progress]:
    """By file space; one that is not here was never gone through."""
    sql = "SELECT file_space_id, completed_time, directory_id, name, object_id FROM expirations"
    return {row[0]: Progress(row[1], (row[2], row[3], row[4])) for row in r.rows(sql)}


def stopped_at(tx: Transaction, file_space_id: int, place: ObjectPlace) -> None:
    """A run ends here; the next one goes on behind this place."""
    tx.run(
        "INSERT INTO expirations SELECT id, 0, ?2, ?3, ?4 FROM file_spaces WHERE id = ?1 ON CONFLICT (file_space_id)"
        " DO UPDATE SET directory_id = excluded.directory_id, name = excluded.name, object_id = excluded.object_id",
        (file_space_id, *place),
    )


def completed(tx: Transaction, file_space_ids: Iterable[int], now: int) -> None:
    """These file spaces were gone through as a whole."""
    tx.run_many(
        "INSERT INTO expirations SELECT id, ?2, -1, x'', -1 FROM file_spaces WHERE id = ?1 ON CONFLICT (file_space_id)"
        " DO UPDATE SET completed_time = excluded.completed_time, directory_id = -1, name = x'', object_id = -1",
        [(one, now) for one in file_space_ids],
    )
