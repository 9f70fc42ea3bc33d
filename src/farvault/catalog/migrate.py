"""Brings a catalog's schema up to date: the numbered `.sql` files beside this one, each applied in one transaction.

A file that was released is never changed again; the next change is the next number.
"""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import NamedTuple

import apsw

from farvault.base.disk import crash_point
from farvault.base.errors import MediaFailed

APPLICATION_ID = 0x46565443  # "FVTC", in the file's header: `file` and we know what it is


class Migration(NamedTuple):
    """One step: its number, file name and text."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Every step in order; the numbers have no gap."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if re.fullmatch(r"\d{4}\.sql", entry.name))
    return [Migration(int(n[:4]), n, (folder / n).read_text(encoding="utf-8")) for n in names]


def migrate(connection: apsw.Connection, row_key: bytes, now: int, path: str) -> None:
    """Apply what is missing. `MediaFailed` where the file is not ours, newer than this program, or the key is wrong."""
    known = migrations()
    applied = _applied(connection, path)
    if applied > known[-1].number:
        raise MediaFailed("ANR0135E", path=path, reason=f"schema {applied} is newer than this program's")
    for step in known[applied:]:
        with connection:
            connection.execute(step.sql)
            if step.number == 1:
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute("INSERT INTO row_key VALUES (1, ?)", (_key_check(row_key),))
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (step.number, step.name, now))
            crash_point("catalog.migrate.before_commit")
    if connection.execute("SELECT key_check FROM row_key").fetchall() != [(_key_check(row_key),)]:
        raise MediaFailed("ANR0135E", path=path, reason="the keyring does not belong to it")


def _applied(connection: apsw.Connection, path: str) -> int:
    application = connection.pragma("application_id")
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()[0][0]
    if not tables:
        return 0
    if application != APPLICATION_ID:
        raise MediaFailed("ANR0135E", path=path, reason="it is not a Farvault catalog")
    return max(
        int(str(number)) for (number,) in connection.execute("SELECT number FROM migrations").fetchall()
    )


def _key_check(row_key: bytes) -> bytes:
    return hashlib.blake2b(b"farvault row key", key=row_key, digest_size=16).digest()
