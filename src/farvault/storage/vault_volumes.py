"""Target side: reading, verifying and collecting virtual volumes. Blind: no key is needed for any of it.

A record is read from its best placement and, where that is damaged or away, from another one; damage is marked. What a
source has given up for good, or deleted and whose grace is over, is collected here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple, TypeVar

from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import FarvaultError, RecordDamaged
from farvault.base.units import MIB
from farvault.catalog import nouns, placements
from farvault.catalog import vault as rows
from farvault.catalog.placements import PlacementRow
from farvault.media.interface import Span, VolumeReader
from farvault.model.storage_pool import StoragePool
from farvault.protocol import messages
from farvault.protocol.messages import VerifyAnswer
from farvault.seal import record as records
from farvault.storage.storage import Storage

PROGRESS_BYTES: Final = 64 * MIB
SPANS_AT_ONCE: Final = 256
DAMAGED_AT_ONCE: Final = 10_000


_Item = TypeVar("_Item")


class _Wanted(NamedTuple):
    """One record asked for, and where it lies: best place first."""

    digest: bytes
    stored_bytes: int
    aggregate_id: int
    places: Sequence[PlacementRow]


class VaultVolumes:
    """The virtual volumes of one node, for one session. A volume stays open between two reads until `rest`."""

    def __init__(self, storage: Storage, node_id: int) -> None:
        self._storage, self._node_id = storage, node_id
        self._open = contextlib.ExitStack()
        self._open_volume = 0
        self._reader: VolumeReader | None = None
        self._spare: memoryview | None = None

    def read(self, volume: str, wanted: Iterable[tuple[int, int]]) -> Iterator[memoryview | None]:
        """The records at these (offset, length), in order; None where there is none or it cannot be read.

        Each view is valid until the next step.
        """
        for found in _chunks(wanted, SPANS_AT_ONCE):
            for _, record in self._read_found(self._find(volume, found)):
                yield record

    def verify(self, volume: str, wanted: Sequence[tuple[int, int, bytes]]) -> Iterator[VerifyAnswer]:
        """Read the records at these (offset, length) and check that they are the ones with these digests.

        Nothing wanted: all that is here. Yields progress, and a last answer.
        """
        count = size = since = 0
        damaged: list[messages.Span] = []
        for asked in _chunks(wanted or self._all_of(volume), SPANS_AT_ONCE):
            found = self._find(volume, [(offset, length) for offset, length, _ in asked])
            for (offset, length, digest), (place, record) in zip(asked, self._read_found(found), strict=True):
                if place is None or record is None or place.digest != digest or not _is(record, digest):
                    damaged.append(messages.Span(offset, length))
                count, size, since = count + 1, size + length, since + length
                if since >= PROGRESS_BYTES or len(damaged) >= DAMAGED_AT_ONCE:
                    yield VerifyAnswer(records=count, stored_bytes=size, damaged=tuple(damaged), last=False)
                    since, damaged = 0, []
        self.rest()
        yield VerifyAnswer(records=count, stored_bytes=size, damaged=tuple(damaged), last=True)

    def rest(self) -> None:
        """Let go of the volume that is open."""
        self._reader, self._open_volume = None, 0
        self._open.close()

    # --- finding ---------------------------------------------------------------------------------------------------

    def _all_of(self, volume: str) -> list[tuple[int, int, bytes]]:
        with self._storage.catalog.read() as r:
            return [
                (offset, length, digest)
                for offset, length, digest, _ in rows.volume_records(r, self._node_id, volume)
            ]

    def _find(self, volume: str, wanted: list[tuple[int, int]]) -> list[_Wanted | None]:
        with self._storage.catalog.read() as r:
            found = rows.spans(r, self._node_id, volume, wanted)
            places = placements.of_aggregates(r, {one[1] for one in found if one is not None})
        return [None if one is None else _Wanted(one[0], one[2], one[1], places[one[1]]) for one in found]

    # --- reading ---------------------------------------------------------------------------------------------------

    def _read_found(self, wanted: list[_Wanted | None]) -> Iterator[tuple[_Wanted | None, memoryview | None]]:
        """Runs of records whose best place is on one volume are read as one stream."""
        for volume_id, run in groupby(wanted, key=_best_volume):
            batch = list(run)
            if volume_id == 0:
                yield from ((one, None) for one in batch)
                continue
            present = [one for one in batch if one is not None]
            for one, record in zip(present, self._read_run(present), strict=True):
                yield one, self._unwrapped(one, record) if record is not None else self._read_elsewhere(one)

    def _read_run(self, run: list[_Wanted]) -> Iterator[memoryview | None]:
        """From the best place of each, all on one volume. What cannot be read is None and marked."""
        first = run[0].places[0]
        spans = [Span(one.places[0].offset_bytes, one.places[0].stored_bytes) for one in run]
        done = 0
        try:
            for view in self._reader_of(first).read_many(spans):
                one = run[done]
                record = view if view is not None and _is(view, one.places[0].digest) else None
                if record is None:
                    self._mark(one.places[0])
                done += 1
                yield record
        except FarvaultError as error:  # the whole volume: each of the rest is tried elsewhere
            self._storage.log.repeat(error.message)
            self.rest()
            for _ in run[done:]:
                yield None

    def _read_elsewhere(self, one: _Wanted) -> memoryview | None:
        """From another place; beside the reader that is open, which may be in the middle of a stream."""
        into = self._spare = self._spare or aligned_buffer(records.STORED_MAX_BYTES)
        for place in one.places[1:]:
            if not place.is_readable:
                continue
            try:
                with self._opened(place) as reader:
                    view = reader.read(Span(place.offset_bytes, place.stored_bytes), into)
            except FarvaultError as error:
                self._storage.log.repeat(error.message)
                continue
            if _is(view, place.digest):
                return self._unwrapped(one, view)
            self._mark(place)
        return None

    def _unwrapped(self, one: _Wanted, wrapped: memoryview) -> memoryview | None:
        """The source's record inside ours; it is the only extent, so it is the end of the body."""
        try:
            header = records.read_header(wrapped)
            body = records.open_checked(header, wrapped, None)
        except RecordDamaged:
            return None
        return body[len(body) - one.stored_bytes :]

    def _reader_of(self, place: PlacementRow) -> VolumeReader:
        if self._reader is None or self._open_volume != place.volume_id:
            self.rest()
            self._reader = self._open.enter_context(self._opened(place))
            self._open_volume = place.volume_id
        return self._reader

    def _opened(self, place: PlacementRow) -> contextlib.AbstractContextManager[VolumeReader]:
        with self._storage.catalog.read() as r:
            pool = nouns.by_id(r, StoragePool, place.pool_id)
        return self._storage.volumes.open_reader(pool.device_class, place.volume_name)

    def _mark(self, place: PlacementRow) -> None:
        self._storage.log.say("ANR4859W", volume=place.volume_name, offset=place.offset_bytes)
        with self._storage.catalog.write() as tx:
            placements.mark_damaged(tx, place.aggregate_id, place.volume_id, True)


def collect_unfinished(storage: Storage, older_than_seconds: int) -> int:
    """Delete segments that were given up longer ago than that; returns how many. To be called now and then."""
    before = storage.clock.now_seconds() - older_than_seconds
    collected = 0
    while True:
        with storage.catalog.read() as r:
            found = rows.abandoned(r, before)
        if not found:
            return collected
        crash_point("vault.collect.before_delete")
        storage.delete_objects([row.object_id for row in found])
        collected += len(found)


def collect_deleted(storage: Storage) -> int:
    """Delete marked segments whose grace is over; returns how many. Part of expiration."""
    collected = 0
    while True:
        with storage.catalog.read() as r:
            found = rows.due(r, storage.clock.now_seconds())
        if not found:
            return collected
        storage.delete_objects([row.object_id for row in found])
        collected += len(found)


def give_up_unclosed(storage: Storage) -> int:
    """At start: nobody goes on with segments that were open when the server stopped; their records stay known."""
    with storage.catalog.read() as r:
        found = rows.unclosed(r)
    if found:
        with storage.catalog.write() as tx:
            for row in found:
                rows.abort_segment(tx, row.object_id, storage.clock.now_seconds())
    return len(found)


def _best_volume(one: _Wanted | None) -> int:
    """The volume of the best place; 0 where nothing can be read."""
    if one is None or not one.places or not one.places[0].is_readable:
        return 0
    return one.places[0].volume_id


def _is(record: memoryview, digest: bytes) -> bool:
    try:
        return records.check(record).digest == digest
    except RecordDamaged:
        return False


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
