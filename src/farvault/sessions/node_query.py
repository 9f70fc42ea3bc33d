"""What a node asks about itself: its policy, its file spaces, its inventory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from farvault.base.errors import BadInput
from farvault.base.units import has_control_characters
from farvault.catalog import nouns, objects
from farvault.model.file_space import FileSpace
from farvault.protocol.messages import (
    FileSpaceAnswer,
    FileSpaceRow,
    FileSpaces,
    ObjectRow,
    Objects,
    QueryFileSpaces,
    QueryObjects,
    QueryPolicy,
    RegisterFileSpace,
)
from farvault.sessions.node_policy import active_policy
from farvault.sessions.node_session import Handlers, NodeSession
from farvault.transport.connection import Incoming

BATCH_ROWS = 4000
BATCH_BYTES = 1536 * 1024
"""A frame of an inventory closes when either is reached; the verb's limit is far above."""
_ROW_BYTES = 48
FILE_SPACE_NAME_LONGEST = 1024
FILE_SPACES_MOST = 10_000


def query_policy(session: NodeSession, incoming: Incoming) -> None:
    with session.catalog.read() as r:
        answer = active_policy(r, session.node(r))
    session.connection.send(answer, request=incoming.request)


def query_file_spaces(session: NodeSession, incoming: Incoming) -> None:
    with session.catalog.read() as r:
        found = nouns.select(r, FileSpace, node_id=session.node_id)
    rows = tuple(_row(file_space) for file_space in sorted(found, key=lambda one: one.number))
    session.connection.send(FileSpaces(rows=rows), request=incoming.request)


def register_file_space(session: NodeSession, incoming: Incoming) -> None:
    """Nothing is written where nothing changed: an unchanged backup then costs no transaction here."""
    asked = incoming.body
    assert isinstance(asked, RegisterFileSpace)
    if not 0 < len(asked.name) <= FILE_SPACE_NAME_LONGEST or has_control_characters(asked.name):
        raise BadInput("ANR0565E", longest=FILE_SPACE_NAME_LONGEST)
    with session.catalog.read() as r:
        stored = nouns.find(r, FileSpace, session.node_id, asked.name)
    wanted = _refreshed(stored, asked, session) if stored else None
    if stored is None or wanted != stored:
        stored = _store(session, asked)
    assert stored is not None
    with session.catalog.read() as r:
        has_objects = objects.has_objects(r, stored.id)
    session.connection.send(
        FileSpaceAnswer(file_space=_row(stored), has_objects=has_objects), request=incoming.request
    )


def _store(session: NodeSession, asked: RegisterFileSpace) -> FileSpace:
    with session.catalog.write() as tx:
        stored = nouns.find(tx, FileSpace, session.node_id, asked.name)
        if stored is not None:
            wanted = _refreshed(stored, asked, session)
            nouns.update(tx, wanted)
            return wanted
        numbers = [one.number for one in nouns.select(tx, FileSpace, node_id=session.node_id)]
        if len(numbers) >= FILE_SPACES_MOST:
            raise BadInput("ANR0566E", node=session.node_name, most=FILE_SPACES_MOST)
        new = FileSpace(node_id=session.node_id, name=asked.name, number=max(numbers, default=0) + 1)
        new = _refreshed(new, asked, session)
        return msgspec.structs.replace(new, id=nouns.insert(tx, new))


def _refreshed(stored: FileSpace, asked: RegisterFileSpace, session: NodeSession) -> FileSpace:
    """What the client told; a field it left empty stays."""
    changed: dict[str, Any] = {
        field: value
        for field in ("type", "platform", "capacity_bytes", "occupied_bytes")
        if (value := getattr(asked, field))
    }
    now = session.clock.now_seconds()
    if asked.backup_started:
        changed["backup_start_time"] = now
    if asked.backup_ended:
        changed["backup_end_time"] = now
    return msgspec.structs.replace(stored, **changed)


def _row(file_space: FileSpace) -> FileSpaceRow:
    return FileSpaceRow(
        file_space.number,
        file_space.name,
        file_space.type,
        file_space.capacity_bytes,
        file_space.occupied_bytes,
        file_space.backup_start_time,
        file_space.backup_end_time,
    )


def query_objects(session: NodeSession, incoming: Incoming) -> None:
    """One snapshot for the whole stream: the client compares against a single moment."""
    asked = incoming.body
    assert isinstance(asked, QueryObjects)
    with session.catalog.read() as r:
        file_space = session.file_space(r, asked.file_space)
        found = objects.inventory(
            r,
            file_space.id,
            asked.kind,
            directory=asked.directory,
            below=asked.below,
            name_pattern=asked.name_pattern,
            active_only=asked.active_only,
        )
        for batch in _batches(found, asked.with_attributes):
            session.connection.send(batch, request=incoming.request)


def _batches(found: Iterable[objects.InventoryRow], with_attributes: bool) -> Iterator[Objects]:
    """Rows as they are fetched, cut into frames; the last frame says so and may be empty."""
    batch = _Batch()
    for row in found:
        if batch.is_full:
            yield batch.done(last=False)
            batch = _Batch()
        batch.add(row, with_attributes)
    yield batch.done(last=True)


class _Batch:
    """One frame being filled: directories and class names are written once and referred to by number."""

    def __init__(self) -> None:
        self._rows: list[ObjectRow] = []
        self._directories: list[bytes] = []
        self._classes: dict[str, int] = {}
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self._rows) >= BATCH_ROWS or self._bytes >= BATCH_BYTES

    def add(self, row: objects.InventoryRow, with_attributes: bool) -> None:
        directories = self._directories
        if (
            not directories or directories[-1] != row.directory
        ):  # ordered by directory: only the last can match
            directories.append(row.directory)
            self._bytes += len(row.directory)
        attributes = row.attributes if with_attributes else b""
        self._rows.append(
            ObjectRow(
                row.id,
                len(directories) - 1,
                row.name,
                row.type,
                row.state,
                row.size_bytes,
                row.inserted_time,
                row.deactivated_time,
                self._classes.setdefault(row.management_class, len(self._classes)),
                attributes,
                row.description,
            )
        )
        self._bytes += _ROW_BYTES + len(row.name) + len(attributes) + len(row.description)

    def done(self, *, last: bool) -> Objects:
        return Objects(
            directories=tuple(self._directories),
            classes=tuple(self._classes),
            rows=tuple(self._rows),
            last=last,
        )


HANDLERS: Handlers = {
    QueryPolicy: query_policy,
    QueryFileSpaces: query_file_spaces,
    RegisterFileSpace: register_file_space,
    QueryObjects: query_objects,
}
