"""Gives a node the objects it asked to restore: opened packs of its own data, never another node's bytes.

Records come from `reading.py`, wherever an intact copy lies; a second thread checks and deciphers them ahead of the sender.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

from farvault.base.errors import RecordDamaged
from farvault.base.messages import message
from farvault.base.pipeline import run_ahead
from farvault.catalog import nouns, objects, placements, superseded
from farvault.model.node import Node
from farvault.policy.mount_points import Priority
from farvault.protocol.messages import MapRow
from farvault.seal.compress import RAW, decompress
from farvault.seal.pack import PackBuilder, parse
from farvault.seal.record import CIPHER_NONE, open_checked
from farvault.storage.reading import AggregateReader, Found, Lost
from farvault.storage.storage import Storage

AHEAD = 3
"""Opened packs the second thread is ahead of the sender; each holds a buffer."""


class SentPack(NamedTuple):
    """What goes to the client: a pack and how it is compressed. `packed` is valid until the next one."""

    codec: int
    plain_bytes: int
    packed: memoryview


class ObjectReader:
    """Reads objects for their node: first `maps`, then `packs`, then look at `lost`.

    Numbers that are not the node's own are lost like those whose data is.
    """

    def __init__(self, storage: Storage, node_id: int, object_ids: Sequence[int], who: str = "") -> None:
        """`who`: how QUERY MOUNT names this reader."""
        self._storage, self._node_id = storage, node_id
        self._who = who
        self._asked = object_ids
        self.lost: list[int] = []
        self.reason = ""
        self._unreadable: set[int] = set()
        self._users: dict[int, list[int]] = {}
        self._needed: dict[int, set[bytes]] = {}

    def maps(self) -> Iterator[MapRow]:
        """Which extents make up which object, in file order."""
        with self._storage.catalog.read() as r:
            own = objects.owned(r, self._node_id, self._asked)
            self.lost = sorted(set(self._asked) - set(own))
            for object_id, rows in objects.contents(r, own):
                for _, digest, _, aggregate_id in rows:
                    self._needed.setdefault(aggregate_id, set()).add(digest)
                    users = self._users.setdefault(aggregate_id, [])
                    if not users or users[-1] != object_id:
                        users.append(object_id)
                yield MapRow(object_id, b"".join(row[1] for row in rows), tuple(row[2] for row in rows))
        if self.lost:
            self.reason = "they are not this node's, or do not exist any more"

    def packs(self) -> Generator[SentPack, None, None]:
        """Every extent the maps name, most of them once, in the order they lie on the volumes."""
        with (
            self._storage.buffers.ring(AHEAD) as ring,
            contextlib.closing(run_ahead(self._open_packs(ring), AHEAD, "restore")) as ahead,
        ):
            for pack in ahead:
                if isinstance(pack, Lost):
                    self._lose(pack)
                else:
                    yield pack
        if self._unreadable:
            self.lost = sorted({*self.lost, *self._unreadable})
            self._report()

    def _open_packs(self, ring: list[memoryview]) -> Iterator[SentPack | Lost]:
        """In the second thread: check, decipher, and where others' extents are inside, pack anew.

        What was rebuilt and is not to be had comes from an older record; what was rebuilt meanwhile, from the new one.
        """
        turns = cycle(ring)
        missed: list[Lost] = []
        for one in self._open_each(list(self._needed), turns):
            if isinstance(one, Lost):
                missed.append(one)
            else:
                yield one
        for lost in missed:
            yield from self._open_elsewhere(lost, turns)

    def _open_elsewhere(self, lost: Lost, turns: Iterator[memoryview]) -> Iterator[SentPack | Lost]:
        """What one aggregate should have given, from those that hold its extents now or held them before."""
        needed, users = self._needed[lost.aggregate_id], self._users[lost.aggregate_id]
        with self._storage.catalog.read() as r:
            now = {
                aggregate_id
                for _, rows in objects.contents(r, users)
                for _, digest, _, aggregate_id in rows
                if digest in needed
            }
            older = superseded.predecessors(r, now)
        is_whole = bool(now)
        for aggregate_id in sorted(now):
            candidates = [one for one in (aggregate_id, *older[aggregate_id]) if one != lost.aggregate_id]
            self._needed.update({one: self._needed.get(one, set()) | needed for one in candidates})
            is_whole = (yield from self._open_first(candidates, turns)) and is_whole
        if not is_whole:
            yield lost

    def _open_first(
        self, candidates: Sequence[int], turns: Iterator[memoryview]
    ) -> Generator[SentPack, None, bool]:
        """From the first of these records that is intact; False where none is."""
        for aggregate_id in candidates:
            is_good = True
            for one in self._open_each([aggregate_id], turns):
                if isinstance(one, Lost):
                    is_good = False
                else:
                    yield one
            if is_good:
                return True
        return False

    def _open_each(
        self, aggregate_ids: Sequence[int], turns: Iterator[memoryview]
    ) -> Iterator[SentPack | Lost]:
        with self._storage.catalog.read() as r:
            senders = {one.id: one.node_id for one in placements.aggregates(r, aggregate_ids)}
        worker = self._storage.volumes.mounts.worker(Priority.RESTORE, self._who)
        with contextlib.closing(AggregateReader(self._storage, worker=worker).read(aggregate_ids)) as found:
            for one in found:
                if isinstance(one, Lost):
                    yield one
                    continue
                try:
                    packed = self._packed(one, next(turns))
                    if senders.get(one.aggregate_id) == self._node_id:
                        yield SentPack(one.header.codec, one.header.plain_bytes, packed)
                    else:
                        yield from self._packed_anew(one, packed)
                except (
                    RecordDamaged
                ) as damaged:  # its digest is right: it was sealed wrong, or with a key we lack
                    yield Lost(one.aggregate_id, damaged.message)

    def _packed(self, found: Found, into: memoryview) -> memoryview:
        header = found.header
        packed = open_checked(header, found.record, self._storage.keyring, into)
        if header.cipher == CIPHER_NONE:  # a view of the reader's own buffer
            into[: packed.nbytes] = packed
            packed = into[: packed.nbytes]
        return packed

    def _packed_anew(self, found: Found, packed: memoryview) -> Iterator[SentPack]:
        pack = parse(decompress(found.header.codec, packed, found.header.plain_bytes))
        needed = self._needed[found.aggregate_id]
        builder = PackBuilder("", "", 0, "")
        for index, (digest, length) in enumerate(pack.directory.extents):
            if digest not in needed:
                continue
            if not builder.fits(length):
                yield _raw(builder)
            builder.add_extent(digest, pack.extent(index))
        if not builder.is_empty:
            yield _raw(builder)

    def _lose(self, lost: Lost) -> None:
        self._unreadable.update(self._users[lost.aggregate_id])
        self.reason = str(lost.reason)

    def _report(self) -> None:
        with self._storage.catalog.read() as r:
            node = nouns.by_id(r, Node, self._node_id).name
        said = message("ANR0548W", count=len(self._unreadable), node=node, reason=self.reason)
        self._storage.log.repeat(said, node=node)


def _raw(builder: PackBuilder) -> SentPack:
    plain = memoryview(builder.build())
    builder.reset()
    return SentPack(RAW, plain.nbytes, plain)
