"""Drills: the evidence that this server can be restored, kept for as long as the catalog lives."""

from __future__ import annotations

from typing import NamedTuple

from farvault.catalog.sequences import next_value
from farvault.catalog.transaction import Snapshot, Transaction

SUCCESS, FAILED = "SUCCESS", "FAILED"


class Drill(NamedTuple):
    """One drill; columns as in `docs/catalog.md`."""

    id: int
    started_time: int
    ended_time: int
    result: str
    series: int = 0
    operation: int = 0
    device_class: str = ""
    backup_time: int = 0
    database_bytes: int = 0
    database_ms: int = 0
    objects: int = 0
    object_bytes: int = 0
    object_ms: int = 0
    bad_objects: int = 0
    total_bytes: int = 0
    rpo_seconds: int = 0
    rto_seconds: int = 0
    note: str = ""


_COLUMNS = ", ".join(Drill._fields)


def add(tx: Transaction, drill: Drill) -> Drill:
    """With the next number."""
    row = drill._replace(id=next_value(tx, "drills"))
    marks = ", ".join("?" for _ in range(len(row) + 1))
    tx.run(
        f"INSERT INTO drills ({_COLUMNS}, row_digest) VALUES ({marks})",
        (*row, tx.digester.of("drills", tuple(row))),
    )
    return row


def all_drills(r: Snapshot, limit: int = 1000) -> list[Drill]:
    """The last ones, the newest first."""
    return [Drill(*row) for row in r.all(f"SELECT {_COLUMNS} FROM drills ORDER BY id DESC LIMIT ?", (limit,))]


def last_success(r: Snapshot) -> Drill | None:
    row = r.one(f"SELECT {_COLUMNS} FROM drills WHERE result = ? ORDER BY id DESC LIMIT 1", (SUCCESS,))
    return None if row is None else Drill(*row)


def last(r: Snapshot) -> Drill | None:
    row = r.one(f"SELECT {_COLUMNS} FROM drills ORDER BY id DESC LIMIT 1")
    return None if row is None else Drill(*row)
