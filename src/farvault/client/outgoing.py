"""Collects what has to go to the server into units, each small enough for one transaction."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from farvault.client.reading import STREAMED_BYTES
from farvault.client.work import Entry, Unit, WorkFolder
from farvault.protocol.messages import AttributesRow


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


class Outgoing:
    """Open units by destination; full ones go to `give(unit, is_large)`."""

    def __init__(self, limits: Limits, give: Callable[[Unit, bool], None]) -> None:
        self._limits = limits
        self._give = give
        self._open: dict[tuple[Destination, str], Unit] = {}
        self._counts: dict[int, int] = {}
        self._numbers = 0

    def send(self, to: Destination, directory: bytes, name: bytes, st: os.stat_result) -> None:
        """One object. A long file gets a unit of its own at once."""
        entry = Entry.of(name, st)
        size = st.st_size if stat.S_ISREG(st.st_mode) else 0
        if size > STREAMED_BYTES:
            unit = self._new(to)
            unit.folders.append(WorkFolder(directory, [entry]))
            unit.size_bytes = size
            self._give(unit, True)
            return
        unit = self._unit(to, "send")
        folders = unit.folders
        if folders and folders[-1].directory == directory:
            folders[-1].entries.append(entry)
        else:
            folders.append(WorkFolder(directory, [entry]))
        unit.size_bytes += size
        self._counted(to, "send", unit)

    def expire(self, to: Destination, object_id: int) -> None:
        unit = self._unit(to, "change")
        unit.expire.append(object_id)
        self._counted(to, "change", unit)

    def update(self, to: Destination, object_id: int, attributes: bytes) -> None:
        unit = self._unit(to, "change")
        unit.updates.append(AttributesRow(object_id, attributes))
        self._counted(to, "change", unit)

    def rebind(self, to: Destination, object_id: int) -> None:
        unit = self._unit(to, "change")
        unit.rebind.append(object_id)
        self._counted(to, "change", unit)

    def flush(self) -> None:
        """Hand out what is left, not large."""
        waiting, self._open = list(self._open.values()), {}
        for unit in waiting:
            self._give(unit, False)

    def _unit(self, to: Destination, what: str) -> Unit:
        unit = self._open.get((to, what))
        if unit is None:
            unit = self._open[to, what] = self._new(to)
            self._counts[unit.number] = 0
        return unit

    def _new(self, to: Destination) -> Unit:
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

    def _counted(self, to: Destination, what: str, unit: Unit) -> None:
        count = self._counts[unit.number] = self._counts[unit.number] + 1
        if count >= self._limits.objects or unit.size_bytes >= self._limits.bytes:
            del self._open[to, what], self._counts[unit.number]
            self._give(unit, True)
