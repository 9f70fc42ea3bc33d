"""Which spans of a random-access volume are free: the capacity minus what placements and cached copies cover,
minus what is on its way.

Kept in memory only; made anew from the catalog at start, so it can never disagree with it for long. First fit from
the front keeps the rest in one piece.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable

from farvault.base.disk import BLOCK_BYTES
from farvault.catalog import cached, nouns, placements
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

LABEL_BYTES = BLOCK_BYTES
"""Every volume begins with its label."""


class FreeSpace:
    """Free runs of one volume. A span that was reserved is given back, or becomes a placement and stays taken."""

    def __init__(self, start_bytes: int, end_bytes: int, used: Iterable[tuple[int, int]] = ()) -> None:
        """`used`: (offset, length) of what the catalog has placed, in any order, never overlapping."""
        self._lock = threading.Lock()
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._cached = 0
        position = start_bytes
        end_bytes = end_bytes // BLOCK_BYTES * BLOCK_BYTES
        self.total_bytes = max(end_bytes - start_bytes, 0)
        for offset, length in sorted(used):
            if offset > position:
                self._offsets.append(position)
                self._lengths.append(offset - position)
            position = max(position, offset + length)
        if position < end_bytes:
            self._offsets.append(position)
            self._lengths.append(end_bytes - position)

    @property
    def free_bytes(self) -> int:
        with self._lock:
            return sum(self._lengths)

    @property
    def cached_bytes(self) -> int:
        """Of what is taken, how much cached copies hold: they give way where room is needed."""
        with self._lock:
            return max(self._cached, 0)

    @property
    def placed_bytes(self) -> int:
        """What is neither free nor cached: placements, and what is on its way to become one."""
        with self._lock:
            return max(self.total_bytes - sum(self._lengths) - max(self._cached, 0), 0)

    def count_cached(self, change_bytes: int) -> None:
        """So much more (or less) of what is taken is cached copies."""
        with self._lock:
            self._cached += change_bytes

    @property
    def largest_bytes(self) -> int:
        """The longest record that fits."""
        with self._lock:
            return max(self._lengths, default=0)

    def reserve(self, size_bytes: int) -> int | None:
        """Take a span; returns its offset, or None where nothing is long enough."""
        with self._lock:
            for index, length in enumerate(self._lengths):
                if length >= size_bytes:
                    offset = self._offsets[index]
                    if length == size_bytes:
                        del self._offsets[index], self._lengths[index]
                    else:
                        self._offsets[index] += size_bytes
                        self._lengths[index] -= size_bytes
                    return offset
        return None

    def release(self, offset_bytes: int, size_bytes: int) -> None:
        """Give a span back and join it with its neighbours. Giving back what is free is a defect."""
        end = offset_bytes + size_bytes
        with self._lock:
            index = bisect_left(self._offsets, offset_bytes)
            if index < len(self._offsets) and self._offsets[index] < end:
                raise AssertionError(f"span {offset_bytes}+{size_bytes} is free already")
            if index and (before := self._offsets[index - 1] + self._lengths[index - 1]) > offset_bytes:
                raise AssertionError(f"span {offset_bytes}+{size_bytes} is free already, up to {before}")
            self._offsets.insert(index, offset_bytes)
            self._lengths.insert(index, size_bytes)
            if index + 1 < len(self._offsets) and end == self._offsets[index + 1]:
                self._join(index)
            if index and self._offsets[index - 1] + self._lengths[index - 1] == offset_bytes:
                self._join(index - 1)

    def _join(self, index: int) -> None:
        """Merge a run with the one that follows it."""
        self._lengths[index] += self._lengths[index + 1]
        del self._offsets[index + 1], self._lengths[index + 1]


class FreeSpaces:
    """The maps of all random-access volumes.

    All are made at start, before anybody deletes or writes: a map made later could count a span as free that a
    deletion still on its way gives back a second time.
    """

    def __init__(self) -> None:
        self._maps: dict[int, FreeSpace] = {}

    def load(self, r: Snapshot) -> None:
        """Make every map anew from the catalog."""
        for pool in nouns.select(r, StoragePool):
            if pool.is_random:
                for volume in nouns.select(r, Volume, pool_id=pool.id):
                    kept = cached.spans_of_volume(r, volume.id)
                    used = placements.used_spans(r, volume.id)
                    self.add(volume, [*used, *((one.offset_bytes, one.stored_bytes) for one in kept)])
                    self._maps[volume.id].count_cached(sum(one.stored_bytes for one in kept))

    def add(self, volume: Volume, used: Iterable[tuple[int, int]] = ()) -> None:
        """A volume that joins its pool."""
        self._maps[volume.id] = FreeSpace(LABEL_BYTES, volume.capacity_bytes, used)

    def drop(self, volume_id: int) -> None:
        self._maps.pop(volume_id, None)

    def of(self, volume: Volume) -> FreeSpace:
        return self._maps[volume.id]

    def find(self, volume: Volume) -> FreeSpace | None:
        """None where its row is there and its media are just being made or have just been deleted."""
        return self._maps.get(volume.id)

    def find_by_id(self, volume_id: int) -> FreeSpace | None:
        """None where it is sequential, or gone."""
        return self._maps.get(volume_id)

    def give_back(self, spans: Iterable[FreedSpan]) -> set[int]:
        """Spans that no placement covers since the last commit. Returns the volumes among them that have no map: sequential ones."""
        without: set[int] = set()
        for volume_id, offset, length, was_cached in spans:
            free = self._maps.get(volume_id)
            if free is None:
                without.add(volume_id)
            else:
                if was_cached:
                    free.count_cached(-length)
                free.release(offset, length)
        return without
