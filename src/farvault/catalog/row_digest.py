"""Keyed digests of rows that protect data, so AUDIT CATALOG finds what SQLite's integrity check cannot see.

A flipped bit inside a value keeps the page well formed; these eight bytes over every value of the row do not. The
key lives outside the database: a row cannot be rewritten consistently by somebody who has only the file. The
first value is always the table's name, so a row cannot be moved to another table either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

ROW_DIGEST_BYTES = 8


class RowDigester:
    """Digest of one row, given as a tuple `(table, key..., value...)` of int, str, bytes, None and lists of these."""

    def __init__(self, row_key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=row_key, digest_size=ROW_DIGEST_BYTES)

    def of(self, values: tuple[Any, ...]) -> bytes:
        """The row's eight bytes."""
        state = self._keyed.copy()
        state.update(msgspec.msgpack.encode(values))
        return state.digest()

    def of_many(self, rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
        """The same for a batch, without a method call a row: this is on the path of every stored file."""
        copy, encode = self._keyed.copy, msgspec.msgpack.Encoder().encode
        digests: list[bytes] = []
        append = digests.append
        for values in rows:
            state = copy()
            state.update(encode(values))
            append(state.digest())
        return digests
