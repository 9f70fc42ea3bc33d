"""Keyed digests of rows that protect data, so AUDIT CATALOG finds what SQLite's integrity check cannot see.

A flipped bit inside a value keeps the page well formed; these eight bytes over every value of the row do not. The
key lives outside the database: a row cannot be rewritten consistently by somebody who has only the file. The
table's name goes in first, so a row cannot be moved to another table either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

ROW_DIGEST_BYTES = 8


class RowDigester:
    """Digests of rows, given as tuples of int, str, bytes, None and tuples of these, in the order of the columns."""

    def __init__(self, row_key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=row_key, digest_size=ROW_DIGEST_BYTES)

    def of(self, table: str, values: tuple[Any, ...]) -> bytes:
        """One row's eight bytes."""
        return self.of_many(table, (values,))[0]

    def of_many(self, table: str, rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
        """The same for a batch, without a call a row: this is on the path of every stored file."""
        keyed = self._keyed.copy()
        keyed.update(msgspec.msgpack.encode(table))
        copy, encode = keyed.copy, msgspec.msgpack.Encoder().encode
        digests: list[bytes] = []
        append = digests.append
        for values in rows:
            state = copy()
            state.update(encode(values))
            append(state.digest())
        return digests
