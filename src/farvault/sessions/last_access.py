"""When nodes and administrators were last here and we at other servers, and how much moved: kept in memory and written with the next batch.

A sign-on must not cost a catalog transaction: many clients are one short command. Whoever writes anyway (the activity
log, for the line that says a session started) takes these notes along.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from farvault.catalog import nouns
from farvault.catalog.transaction import Transaction
from farvault.model.administrator import Administrator
from farvault.model.node import Node
from farvault.model.server import Server

PLATFORM_LONGEST = 64


@dataclass(slots=True)
class _Note:
    time_seconds: int = 0
    platform: str = ""
    bytes_received: int = 0
    bytes_sent: int = 0


_Key = tuple[type[Node] | type[Administrator] | type[Server], str]


class LastAccess:
    """Notes by name. Thread safe; `write` empties them into a transaction."""

    def __init__(self) -> None:
        self._notes: dict[_Key, _Note] = {}
        self._written: dict[_Key, _Note] = {}
        """Those in a transaction of which nobody knows yet whether it will be durable."""
        self._lock = threading.Lock()

    def node_came(self, name: str, platform: str, now: int) -> None:
        with self._lock:
            note = self._notes.setdefault((Node, name), _Note())
            note.time_seconds, note.platform = now, platform[:PLATFORM_LONGEST]

    def node_left(self, name: str, bytes_received: int, bytes_sent: int) -> None:
        with self._lock:
            note = self._notes.setdefault((Node, name), _Note())
            note.bytes_received += bytes_received
            note.bytes_sent += bytes_sent

    def administrator_came(self, name: str, now: int) -> None:
        with self._lock:
            self._notes.setdefault((Administrator, name), _Note()).time_seconds = now

    def server_reached(self, name: str, now: int) -> None:
        with self._lock:
            self._notes.setdefault((Server, name), _Note()).time_seconds = now

    def write(self, tx: Transaction) -> None:
        """Those who were removed meanwhile are passed over."""
        with self._lock:
            self._take_back()
            notes, self._notes = self._notes, {}
            self._written = notes
        tx.after_commit.append(self._written_durably)
        change: dict[type, Callable[[Transaction, str, _Note], None]] = {
            Node: _write_node,
            Administrator: _write_administrator,
            Server: _write_server,
        }
        for (noun, name), note in notes.items():
            change[noun](tx, name, note)

    def _written_durably(self) -> None:
        with self._lock:
            self._written = {}

    def _take_back(self) -> None:
        """What was written by a transaction that was undone."""
        for key, old in self._written.items():
            new = self._notes.setdefault(key, old)
            if new is not old:
                new.time_seconds = new.time_seconds or old.time_seconds
                new.platform = new.platform or old.platform
                new.bytes_received += old.bytes_received
                new.bytes_sent += old.bytes_sent
        self._written = {}


def _write_node(tx: Transaction, name: str, note: _Note) -> None:
    node = nouns.find(tx, Node, name)
    if node is not None:
        nouns.update(
            tx,
            msgspec.structs.replace(
                node,
                last_access_time=note.time_seconds or node.last_access_time,
                platform=note.platform or node.platform,
                total_bytes_received=node.total_bytes_received + note.bytes_received,
                total_bytes_sent=node.total_bytes_sent + note.bytes_sent,
            ),
        )


def _write_administrator(tx: Transaction, name: str, note: _Note) -> None:
    administrator = nouns.find(tx, Administrator, name)
    if administrator is not None:
        nouns.update(tx, msgspec.structs.replace(administrator, last_access_time=note.time_seconds))


def _write_server(tx: Transaction, name: str, note: _Note) -> None:
    server = nouns.find(tx, Server, name)
    if server is not None:
        nouns.update(tx, msgspec.structs.replace(server, last_access_time=note.time_seconds))
