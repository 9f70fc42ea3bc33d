"""Target side: reading, verifying and collecting virtual volumes. Blind: no key is needed for any of it.

A record is read from its best placement and, where that is damaged or away, from another one; damage is marked. What a
source has given up for good, or deleted and whose grace is over, is collected here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from farvault.base.disk import crash_point
from farvault.base.errors import NotAvailable, RecordDamaged
from farvault.base.units import MIB
from farvault.catalog import vault as rows
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.catalog.vault import SegmentRow
from farvault.catalog.vault_rules import VaultLock, of_node
from farvault.policy.clock_guard import Moment
from farvault.protocol import virtual_volumes
from farvault.protocol.virtual_volumes import VerifyAnswer
from farvault.seal import record as records
from farvault.storage.reading import AggregateReader, Found, Lost
from farvault.storage.storage import Storage

PROGRESS_BYTES: Final = 64 * MIB
SPANS_AT_ONCE: Final = 256
DAMAGED_AT_ONCE: Final = 10_000
PAGE: Final = 1000
UNFINISHED_KEPT_HOURS: Final = 24
"""Where UNFINISHEDRETENTION is not set: a source that lost its link comes back within this time and only names what it had sent."""
REVERTED_AT_ONCE: Final = 100
"""Volumes in one transaction."""


_Item = TypeVar("_Item")


class _Wanted(NamedTuple):
    """One record of a volume, as the catalog has it."""

    digest: bytes
    aggregate_id: int
    stored_bytes: int


class VaultVolumes:
    """The virtual volumes of one node."""

    def __init__(self, storage: Storage, node_id: int) -> None:
        self._storage, self._node_id = storage, node_id

    def read(
        self, volume: str, wanted: Iterable[tuple[int, int]]
    ) -> Generator[memoryview | None, None, None]:
        """The records at these (offset, length), in order; None where there is none or it is damaged.

        `NotAvailable` where one lies at a place that is out of reach just now. Each view is valid until the next step.
        """
        for spans in _chunks(wanted, SPANS_AT_ONCE):
            for _, record in self._read_found(volume, self._find(volume, spans)):
                yield record

    def verify(self, volume: str, wanted: Sequence[tuple[int, int, bytes]]) -> Iterator[VerifyAnswer]:
        """Read the records at these (offset, length) and check that they are the ones with these digests.

        Nothing wanted: all that is here. Yields progress, and a last answer. `NotAvailable` as of `read`.
        """
        count = size = since = 0
        damaged: list[virtual_volumes.Span] = []
        for asked in _chunks(wanted or self._all_of(volume), SPANS_AT_ONCE):
            found = self._find(volume, [(offset, length) for offset, length, _ in asked])
            for (offset, length, digest), (one, record) in zip(
                asked, self._read_found(volume, found), strict=True
            ):
                if one is None or record is None or one.digest != digest or not _is(record, digest):
                    damaged.append(virtual_volumes.Span(offset, length))
                count, size, since = count + 1, size + length, since + length
                if since >= PROGRESS_BYTES or len(damaged) >= DAMAGED_AT_ONCE:
                    yield VerifyAnswer(records=count, stored_bytes=size, damaged=tuple(damaged), last=False)
                    since, damaged = 0, []
        yield VerifyAnswer(records=count, stored_bytes=size, damaged=tuple(damaged), last=True)

    def _all_of(self, volume: str) -> list[tuple[int, int, bytes]]:
        with self._storage.catalog.read() as r:
            return [
                (offset, length, digest)
                for offset, length, digest, _ in rows.volume_records(r, self._node_id, volume)
            ]

    def _find(self, volume: str, wanted: list[tuple[int, int]]) -> list[_Wanted | None]:
        with self._storage.catalog.read() as r:
            found = rows.spans(r, self._node_id, volume, wanted)
        return [None if one is None else _Wanted(*one) for one in found]

    def _read_found(
        self, volume: str, wanted: list[_Wanted | None]
    ) -> Generator[tuple[_Wanted | None, memoryview | None], None, None]:
        for batch in _without_repeats(wanted):
            ids = [one.aggregate_id for one in batch if one is not None]
            with contextlib.closing(AggregateReader(self._storage).read(ids, in_order=True)) as found:
                for one in batch:
                    if one is None:
                        yield None, None
                        continue
                    got = next(found)
                    if isinstance(got, Lost) and got.is_away:
                        raise NotAvailable("ANR4843E", volume=volume, reason=got.reason)
                    yield one, _unwrapped(got, one.stored_bytes) if isinstance(got, Found) else None


def unfinished_kept_hours(r: Snapshot) -> int:
    """SETOPT UNFINISHEDRETENTION."""
    return int(get_setting(r, "UNFINISHEDRETENTION") or UNFINISHED_KEPT_HOURS)


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
    """Delete marked segments that neither grace nor lock keeps; returns how many. Part of expiration.

    Nothing where the clock is not believed (`policy/clock_guard.py`).
    """
    return sum(_collect(storage, may_go) for may_go in _pages_that_may_go(storage))


def count_deleted(storage: Storage) -> int:
    """How many `collect_deleted` would delete now."""
    return sum(map(len, _pages_that_may_go(storage)))


def _pages_that_may_go(storage: Storage) -> Iterator[list[SegmentRow]]:
    with storage.catalog.write() as tx:
        seen = storage.vault_clock.look(tx)
    after = (0, -1)
    while not seen.frozen_time:
        with storage.catalog.read() as r:
            found = rows.due(r, seen.wall, PAGE, after)
            may_go = _that_may_go(r, found, seen.moment)
        if not found:
            return
        after = (found[-1].delete_time, found[-1].object_id)
        if may_go:
            yield may_go


def _collect(storage: Storage, found: Sequence[SegmentRow]) -> int:
    """Looked at again in the transaction: the lock may have become stronger since."""
    with storage.catalog.write() as tx:
        seen = storage.vault_clock.look(tx)
        may_go = [] if seen.frozen_time else _that_may_go(tx, found, seen.moment)
        gone = rows.withdraw(tx, may_go)
    crash_point("vault.collect.before_delete")
    storage.delete_objects(gone)
    return len(gone)


def _that_may_go(r: Snapshot, found: Sequence[SegmentRow], now: Moment) -> list[SegmentRow]:
    locks = {node_id: VaultLock(r, node_id) for node_id in {row.node_id for row in found}}
    return [row for row in found if not locks[row.node_id].seconds_left(row, now)]


def revert_vault(storage: Storage, node_id: int, moment: int) -> tuple[int, int]:
    """Make all volumes of a source what they were then; returns (revived, set aside) segments. May be done again."""
    revived = aside = 0
    after = ""
    while True:
        with storage.catalog.read() as r:
            names = rows.volume_names(r, node_id, after)
            days = max(of_node(r, node_id).min_grace_days, rows.SUPERSEDED_DAYS)
        if not names:
            return revived, aside
        for start in range(0, len(names), REVERTED_AT_ONCE):
            crash_point("vault.revert.before_batch")
            with storage.catalog.write() as tx:
                now = storage.vault_clock.look(tx)
                for name in names[start : start + REVERTED_AT_ONCE]:
                    done = rows.revert(tx, node_id, name, moment, now.wall, days, now.running)
                    revived, aside = revived + done[0], aside + done[1]
        after = names[-1]


def give_up_unclosed(storage: Storage) -> int:
    """At start: nobody goes on with segments that were open when the server stopped; their records stay known."""
    with storage.catalog.read() as r:
        found = rows.unclosed(r)
    if found:
        with storage.catalog.write() as tx:
            for row in found:
                rows.abort_segment(tx, row.object_id, storage.clock.now_seconds())
    return len(found)


def _unwrapped(found: Found, stored_bytes: int) -> memoryview:
    """The source's record inside ours; it is the only extent, so it is the end of the body."""
    body = records.open_checked(found.header, found.record, None)
    return body[len(body) - stored_bytes :]


def _without_repeats(wanted: Iterable[_Wanted | None]) -> Iterator[list[_Wanted | None]]:
    """Cut where a record comes a second time: a reader gives each aggregate once."""
    batch: list[_Wanted | None] = []
    seen: set[int] = set()
    for one in wanted:
        if one is not None and one.aggregate_id in seen:
            yield batch
            batch, seen = [], set()
        batch.append(one)
        if one is not None:
            seen.add(one.aggregate_id)
    if batch:
        yield batch


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
