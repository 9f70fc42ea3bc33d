"""What the functions of this package get: a snapshot to read from, a transaction to write in.

A thin adapter, the only place that knows how the engine binds and fetches. Everything above it is SQL in the
common subset and plain Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import apsw

from farvault.catalog.row_digest import RowDigester

Row = tuple[Any, ...]


class Snapshot:
    """A consistent state of the catalog, for one thread."""

    def __init__(self, connection: apsw.Connection, digester: RowDigester) -> None:
        self._connection = connection
        self._streams: list[apsw.Cursor] = []
        self.digester = digester

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        cursor = self._connection.execute(sql, values)
        row: Row | None = cursor.fetchone()
        cursor.close()
        return row

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Every row; only where there are few."""
        return self._connection.execute(sql, values).fetchall()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows as they are fetched; ends with the snapshot."""
        cursor = self._connection.cursor()
        self._streams.append(cursor)
        return cursor.execute(sql, values)

    def each(self, sql: str, many: Iterable[Sequence[Any]]) -> list[Row]:
        """All rows of one statement run for each of many values."""
        return self._connection.executemany(sql, many).fetchall()

    def stream_each(self, sql: str, many: Iterable[Sequence[Any]]) -> Iterator[Row]:
        """As `each`, but rows come as they are fetched; ends with the snapshot."""
        cursor = self._connection.cursor()
        self._streams.append(cursor)
        return cursor.executemany(sql, many)

    def end(self) -> None:
        """Close what is still being fetched: an open fetch would hold the old state for the next user.

        From then on every use is an error: on the writer's connection it would be a change of its own.
        """
        for cursor in self._streams:
            cursor.close(True)
        self._streams.clear()
        self._connection = cast(apsw.Connection, _Ended())


class _Ended:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("this snapshot or transaction has ended")


class Transaction(Snapshot):
    """The write transaction. It also reads, and sees its own changes."""

    def __init__(self, connection: apsw.Connection, digester: RowDigester) -> None:
        super().__init__(connection, digester)
        self.directory_ids: dict[int, dict[bytes, int]] = {}
        """File space -> path -> number of the directories this transaction has touched."""
        self.new_directories: set[int] = set()
        """Directories made by this transaction and not filled yet: nothing older can be in them."""
        self.after_commit: list[Callable[[], None]] = []
        """Called in order once it is durable and the writer is free again; never where it was undone."""
        self.changed_nouns: set[str] = set()
        """Tables of the nouns and settings that it has changed: files outside of the catalog repeat some of them."""
        self.extent_lengths: dict[int, int] = {}
        """Lengths of the extents this transaction has added or looked up."""

    def follow_up(self, nouns_changed: Callable[[set[str]], None]) -> None:
        """Once it is durable: tell what it has changed, then what its users left to do."""
        if self.changed_nouns:
            nouns_changed(self.changed_nouns)
        for left_to_do in self.after_commit:
            left_to_do()

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement; returns how many rows it changed."""
        self._connection.execute(sql, values)
        return self._connection.changes()

    def run_many(self, sql: str, many: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once for each of many values."""
        self._connection.executemany(sql, many)


def runs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, last) of those that follow one another: one statement for each costs far less."""
    runs: list[tuple[int, int]] = []
    if numbers:
        first = last = numbers[0]
        for number in numbers:
            if number > last + 1:
                runs.append((first, last))
                first = number
            last = number
        runs.append((first, last))
    return runs
