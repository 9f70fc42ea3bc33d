"""Connections that read the catalog: as many as are needed at once, some kept for the next ones."""

from __future__ import annotations

import contextlib
import threading

import apsw

from farvault.base.errors import MediaFailed
from farvault.base.units import MIB
from farvault.catalog.file_edges import set_up, translated

CACHE_BYTES = 4 * MIB
IDLE_MOST = 8


class Readers:
    """Thread safe. A connection belongs to whoever has taken it until it is given back."""

    def __init__(self, path: str, vfs: str | None) -> None:
        self._path, self._vfs = path, vfs
        self._idle: list[apsw.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self.copy_log = True
        """May the last connection bring what the write-ahead log holds into the database? Not after an error of the disk."""

    def take(self) -> apsw.Connection:
        with self._lock:
            if self._closed:
                raise MediaFailed("ANR0138E")
            if self._idle:
                return self._idle.pop()
        with translated(self._path):
            connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs)
            set_up(connection, CACHE_BYTES)
            connection.execute("PRAGMA query_only=ON")
            connection.wal_autocheckpoint(0)
        return connection

    def give(self, connection: apsw.Connection) -> None:
        """Its snapshot ends."""
        with contextlib.suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and not connection.in_transaction and len(self._idle) < IDLE_MOST:
                self._idle.append(connection)
                return
        self.disconnect(connection)

    def close(self) -> None:
        """Nobody gets one any more; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            self.disconnect(connection)

    def disconnect(self, connection: apsw.Connection) -> None:
        """Close any connection of this database. The last one copies and deletes the log by itself where it may."""
        if not self.copy_log:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close()
