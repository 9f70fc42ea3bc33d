"""Collects what has to go to the server into units, each small enough for one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, NamedTuple

from farvault.client.mounts import join_path
from farvault.client.reading import STREAMED_BYTES
from farvault.client.work import Entry, Unit, WorkFolder
from farvault.protocol.messages import AttributesRow

_TYPE_MASK, _FILE, _LINK = 0o170000, 0o100000, 0o120000

CHANGE_BYTES: Final = 16 << 20
"""Changed attributes in one transaction: a quarter of what the server takes."""


class Limits(NamedTuple):
    """Of one transaction: TXNGROUPMAX and TXNBYTELIMIT."""

    objects: int
    bytes: int


class Destination(NamedTuple):
    """What all objects of a unit share."""

    root: bytes
    file_space: str
    kind: int
    management_class: str
    serialization: str
    description: str
    may_be_known: bool
    follow_links: bool


class Lane:
    """The open units of one destination: one of files to send, one of changes to what the server has."""

    def __init__(self, outgoing: Outgoing, to: Destination) -> None:
        self._outgoing = outgoing
        self._to = to
        self._limits = outgoing.limits
        self._files: Unit | None = None
        self._changes: Unit | None = None
        self._count = self._change_count = self._change_bytes = 0
        self._directory: bytes | None = None
        self._entries: list[Entry] = []

    def send(self, directory: bytes, name: bytes, st: os.stat_result) -> None:
        """One object. A long file gets a unit of its own at once."""
        entry = Entry.of(name, st)
        kind = entry.mode & _TYPE_MASK
        size = entry.size_bytes if kind == _FILE else 0
        if kind == _LINK and self._to.follow_links:
            size = _size_behind(join_path(self._to.root, directory, name))
        if size > STREAMED_BYTES:
            self._send_alone(directory, entry, size)
            return
        unit = self._files
        if unit is None:
            unit = self._files = self._outgoing.new_unit(self._to)
            self._directory = None
        if directory != self._directory:
            self._directory, self._entries = directory, []
            unit.folders.append(WorkFolder(directory, self._entries))
        self._entries.append(entry)
        unit.size_bytes += size
        unit.largest_bytes = max(unit.largest_bytes, size)
        self._count += 1
        if self._count >= self._limits.objects or unit.size_bytes >= self._limits.bytes:
            self._files, self._count = None, 0
            self._outgoing.give(unit, True)

    def _send_alone(self, directory: bytes, entry: Entry, size_bytes: int) -> None:
        unit = self._outgoing.new_unit(self._to)
        unit.folders.append(WorkFolder(directory, [entry]))
        unit.size_bytes = unit.largest_bytes = size_bytes
        self._outgoing.give(unit, True)

    def expire(self, object_id: int) -> None:
        self._change().expire.append(object_id)
        self._changed()

    def update(self, object_id: int, attributes: bytes) -> None:
        self._change().updates.append(AttributesRow(object_id, attributes))
        self._changed(len(attributes))

    def rebind(self, object_id: int) -> None:
        self._change().rebind.append(object_id)
        self._changed()

    def _change(self) -> Unit:
        if self._changes is None:
            self._changes = self._outgoing.new_unit(self._to)
        return self._changes

    def _changed(self, attribute_bytes: int = 0) -> None:
        self._change_count += 1
        self._change_bytes += attribute_bytes
        if self._change_count >= self._limits.objects or self._change_bytes >= CHANGE_BYTES:
            unit, self._changes, self._change_count, self._change_bytes = self._changes, None, 0, 0
            assert unit is not None
            self._outgoing.give(unit, True)

    def flush(self) -> None:
        """Hand out what is left, as no large job."""
        left = [unit for unit in (self._files, self._changes) if unit is not None]
        self._files = self._changes = None
        self._count = self._change_count = self._change_bytes = 0
        for unit in left:
            self._outgoing.give(unit, False)


class Outgoing:
    """All lanes of a command; full units go to `give(unit, is_large)`."""

    def __init__(self, limits: Limits, give: Callable[[Unit, bool], None]) -> None:
        self.limits = limits
        self.give = give
        self._lanes: list[Lane] = []
        self._numbers = 0

    def lane(self, to: Destination) -> Lane:
        """A new lane; keep it for everything that goes there."""
        lane = Lane(self, to)
        self._lanes.append(lane)
        return lane

    def flush(self) -> None:
        for lane in self._lanes:
            lane.flush()

    def new_unit(self, to: Destination) -> Unit:
        self._numbers += 1
        return Unit(
            number=self._numbers,
            root=to.root,
            file_space=to.file_space,
            kind=to.kind,
            management_class=to.management_class,
            serialization=to.serialization,
            description=to.description,
            may_be_known=to.may_be_known,
            follow_links=to.follow_links,
            folders=[],
            expire=[],
            updates=[],
            rebind=[],
        )


def _size_behind(path: bytes) -> int:
    """Of the file that a link points to; 0 where it points to none."""
    try:
        st = os.stat(path)
    except OSError:
        return 0
    return st.st_size if st.st_mode & _TYPE_MASK == _FILE else 0
