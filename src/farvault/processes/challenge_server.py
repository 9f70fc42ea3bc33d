"""CHALLENGE SERVER: does the target still have the bytes? Random ranges of random records, a fresh nonce for each.

Where the record also lies here, its range is hashed here. Else a question is used that was kept when the volume was
written: the target cannot know about which records. Where none is left, the record is fetched and checked by its
digest, and a new question is kept about it. Positions are random in the bytes of all readable volumes, so the chance to
notice a loss is the share that is lost: of one percent, 2,850 questions in 30 days miss nothing with 4 in 10**13. The rest of a
hundred a day is about volumes of the volume history, see `challenge_history.py`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, NotAvailable
from farvault.catalog import kept_receipts, nouns, placements, questions, target_truth, volume_history
from farvault.catalog.placements import PlacementRow
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.media.target import Target
from farvault.media.target_link import TargetLink
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import READONLY, READWRITE, UNAVAILABLE, Volume
from farvault.processes.challenge_history import (
    challenge_history_volume,
    note_missed_challenge,
    share_of_history,
)
from farvault.processes.process import Process
from farvault.protocol.virtual_volumes import Span
from farvault.seal import probe
from farvault.seal.probe import Kept
from farvault.storage.reading import AggregateReader, Found
from farvault.storage.storage import Storage

DESCRIPTION: Final = "CHALLENGE SERVER"
A_DAY: Final = 100
"""Questions each target is asked by itself, where CHALLENGES is not set."""

_random = random.SystemRandom()


def challenges_a_day(r: Snapshot) -> int:
    """SETOPT CHALLENGES."""
    typed = get_setting(r, "CHALLENGES")
    return A_DAY if typed is None else int(typed)


@dataclass(slots=True)
class Totals:
    """Questions by where the answer came from, and how many of them were missed."""

    missed: int = 0
    local: int = 0
    kept: int = 0
    fetched: int = 0

    @property
    def asked(self) -> int:
        return self.local + self.kept + self.fetched


class _Chosen(NamedTuple):
    """A record at the target that is asked about."""

    row: PlacementRow
    at_target: str


def challenge_server(
    storage: Storage, process: Process, open_target: Callable[[str], Target], server: str, count: int
) -> Totals:
    """Ask about `count` records. The process fails where one was missed; `NotAvailable` where nothing is kept there."""
    with storage.catalog.read() as r:
        classes = {one.name: one for one in nouns.select(r, DeviceClass, server_name=server)}
    if not classes:
        raise NotAvailable("ANR4898E", server=server)
    with TargetLink(open_target(server)) as link:
        run = _Run(storage, process, link, classes)
        try:
            run.run(count)
        finally:
            run.note()
    return run.totals


def _near_pools(storage: Storage) -> frozenset[int]:
    """Pools whose data do not lie at another server."""
    with storage.catalog.read() as r:
        pools = nouns.select(r, StoragePool)
    return frozenset(
        pool.id for pool in pools if not storage.devices.device(pool.device_class).capabilities.remote
    )


class _Run:
    def __init__(
        self, storage: Storage, process: Process, link: TargetLink, classes: dict[str, DeviceClass]
    ) -> None:
        self._storage, self._process, self._link, self._classes = storage, process, link, classes
        self._server = link.target.name
        self._failed: set[int] = set()
        """Volumes that have missed one, or are out of reach: asking on says nothing new."""
        self._failed_history: set[int] = set()
        """The same of volumes of the volume history, by their entries."""
        self._near = _near_pools(storage)
        self.totals = Totals()

    def run(self, count: int) -> None:
        with self._storage.catalog.read() as r:
            history = volume_history.provable_at(r, self._server)
            has_pools = any(kept_receipts.random_places(r, self._server, [0.0]))
            of_history = share_of_history(count, bool(history), has_pools)
            positions = sorted(_random.random() for _ in range(count - of_history))
            places = list(kept_receipts.random_places(r, self._server, positions))
        if not history and not has_pools:
            self._process.say("ANR4995I", server=self._server)
        for number in _random.choices(history, k=of_history) if of_history else ():
            self._process.raise_if_cancelled()
            if number not in self._failed_history:
                with self._unless_away(self._failed_history, number):
                    self._challenge_history(number)
        for volume_id, at in places:
            self._process.raise_if_cancelled()
            if volume_id not in self._failed and not self._storage.use.is_in_use(volume_id):
                with self._unless_away(self._failed, volume_id):
                    self._challenge(volume_id, at)

    @contextlib.contextmanager
    def _unless_away(self, failed: set[int], number: int) -> Iterator[None]:
        """What the target itself cannot reach just now is neither proven nor missed; the other volumes are asked about."""
        try:
            yield
        except NotAvailable as error:
            failed.add(number)
            self._process.repeat(error.message)
            self._process.count_failed()

    def note(self) -> None:
        """What was asked so far counts, also where the link broke then."""
        totals, now = self.totals, self._storage.clock.now_seconds()
        if not totals.asked:
            return
        with self._storage.catalog.write() as tx:
            before = target_truth.truth(tx, target_truth.server_id(tx, self._server))
            after = before._replace(
                challenge_time=now,
                challenges=before.challenges + totals.asked,
                missed=before.missed + totals.missed,
                missed_time=now if totals.missed else before.missed_time,
            )
            target_truth.write(tx, after)
        self._process.say(
            "ANR4887I", server=self._server, asked=f"{totals.asked:,}", missed=f"{totals.missed:,}",
            proven=f"{totals.asked - totals.missed:,}", local=totals.local, kept=totals.kept, fetched=totals.fetched,
        )  # fmt: skip

    def _challenge(self, volume_id: int, at: int) -> None:
        chosen = self._choose(volume_id, at)
        if chosen is None:
            return
        kept = self._from_here(chosen.row)
        is_local = kept is not None
        if kept is None:
            kept = self._from_before(chosen.row)
        if kept is not None:
            is_proven = self._link.proves(chosen.at_target, kept)
            offset = kept.question.offset_bytes
        else:
            is_proven = self._fetch(chosen)
            offset = chosen.row.offset_bytes
        self._process.advance(1)
        if is_proven or self._missed(chosen, offset):
            self.totals.local += is_local
            self.totals.kept += kept is not None and not is_local
            self.totals.fetched += kept is None

    def _challenge_history(self, number: int) -> None:
        asked = challenge_history_volume(self._storage, self._link, self._classes, number)
        if asked is None:
            return
        self._process.advance(1)
        if asked.is_proven or self._missed_history(number, asked.offset_bytes):
            self.totals.kept += asked.kept
            self.totals.fetched += not asked.kept

    def _missed_history(self, number: int, offset: int) -> bool:
        """The entry is not provable from now on; False where it has gone meanwhile, and the question does not count."""
        row = note_missed_challenge(self._storage, number)
        if row is None:
            return False
        self.totals.missed += 1
        self._failed_history.add(number)
        self._process.count_failed()
        self._process.say(
            "ANR4891E", volume=row.volume, what=row.described, server=self._server, offset=offset
        )
        return True

    def _choose(self, volume_id: int, at: int) -> _Chosen | None:
        """The record at this offset, or the next one that still counts. None where the volume has none or has gone."""
        with self._storage.catalog.read() as r:
            row = placements.nearest(r, volume_id, at)
            if row is None or row.damaged:
                return None
            pool = nouns.by_id(r, StoragePool, row.pool_id)
        prefix = self._classes[pool.device_class].prefix
        return _Chosen(row, f"{prefix}.{row.volume_name}")

    # --- what the answer must be -------------------------------------------------------------------------------------

    def _from_here(self, row: PlacementRow) -> Kept | None:
        """Hashed from a copy that does not lie at another server; None where there is none, or it is damaged."""
        with self._storage.catalog.read() as r:
            places = placements.of_aggregates(r, [row.aggregate_id])[row.aggregate_id]
        near = self._near
        if not any(one.pool_id in near and one.is_readable for one in places):
            return None
        reader = AggregateReader(self._storage, allowed=lambda one: one.pool_id in near)
        with closing(reader.read([row.aggregate_id])) as found:
            for one in found:
                if isinstance(one, Found):
                    question = probe.ask(row.offset_bytes, one.record.nbytes)
                    return Kept(question, probe.answer(question, one.record))
        return None

    def _from_before(self, row: PlacementRow) -> Kept | None:
        """A question kept when the volume was written. It is used up before it is asked: nobody hears it twice."""
        with self._storage.catalog.write() as tx:
            return questions.OF_POOLS.take(tx, row.volume_id, row.offset_bytes)

    # --- asking ------------------------------------------------------------------------------------------------------

    def _fetch(self, chosen: _Chosen) -> bool:
        """The whole record; good by its own digest. New questions about it are kept."""
        row = chosen.row
        got = self._link.record(chosen.at_target, Span(row.offset_bytes, row.stored_bytes), row.digest)
        if got is None:
            return False
        question = probe.ask(row.offset_bytes, row.stored_bytes)
        with self._storage.catalog.write() as tx:
            if kept_receipts.volume_here(tx, row.volume_name) is not None:
                questions.OF_POOLS.keep(tx, row.volume_id, [Kept(question, probe.answer(question, got))])
        return True

    def _missed(self, chosen: _Chosen, offset: int) -> bool:
        """The volume becomes UNAVAILABLE; False where the record is needed no more, and the question does not count."""
        row = chosen.row
        crash_point("challenge.missed.before_catalog")
        with self._storage.catalog.write() as tx:
            volume = nouns.find(tx, Volume, row.volume_name)
            here = placements.nearest(tx, row.volume_id, offset)
            if volume is None or here is None or here.offset_bytes != offset:
                return False
            if volume.access in (READWRITE, READONLY):
                nouns.update(tx, msgspec.structs.replace(volume, access=UNAVAILABLE))
        self.totals.missed += 1
        self._failed.add(row.volume_id)
        self._process.count_failed()
        self._process.say("ANR4888E", volume=row.volume_name, server=self._server, offset=offset)
        return True


def challenge_targets(
    storage: Storage, process: Process, open_target: Callable[[str], Target], servers: list[str], count: int
) -> None:
    """All of them, `count` questions each. One that cannot be asked is said and counted as failed."""
    for server in servers:
        process.raise_if_cancelled()
        try:
            challenge_server(storage, process, open_target, server, count)
        except FarvaultError as error:
            process.raise_if_cancelled()
            process.repeat(error.message)
            process.count_failed()
