"""A catalog's file as bytes, opened in memory: thousands of spoilt ones cost no disk."""

from __future__ import annotations

import apsw
from tests.unit.catalog.catalog_world import KEY

from farvault.catalog.row_digest import RowDigester
from farvault.catalog.transaction import Snapshot


class Opened:
    """`with Opened(image) as snapshot`; `connection` may spoil it first."""

    def __init__(self, image: bytes) -> None:
        # In memory there is no write-ahead log: the header says so.
        self._image = image[:18] + b"\x01\x01" + image[20:]

    def __enter__(self) -> Snapshot:
        self.connection = apsw.Connection(":memory:")
        self.connection.deserialize("main", self._image)
        self.connection.execute("PRAGMA cell_size_check=ON")
        return Snapshot(self.connection, RowDigester(KEY))

    def __exit__(self, *_: object) -> None:
        self.connection.close()
