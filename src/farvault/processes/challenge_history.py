"""CHALLENGE SERVER, the part about database backups, plans and exports: each volume of the volume history is as likely as any.

They are few and small beside the pools, so that chosen by their bytes they would hardly ever be asked about, and the most
is lost with them: one question in twenty is theirs. Questions are kept while a volume is written. Where none is left, its
end is fetched, whose digest is known here and which names all records; one of them is fetched, and new questions are kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, NamedTuple

from farvault.base.disk import crash_point
from farvault.base.errors import RecordDamaged
from farvault.catalog import nouns, questions, volume_history
from farvault.media.target_link import TargetLink
from farvault.model.device_class import DeviceClass
from farvault.model.volume_history import HistoryVolume
from farvault.protocol.virtual_volumes import Span
from farvault.seal import probe, volume_end
from farvault.seal.digest import Buffer
from farvault.seal.probe import Kept
from farvault.storage.storage import Storage

SHARE: Final = 1 / 20
"""Of the questions, where pools have volumes there, too."""

_random = random.SystemRandom()


class Asked(NamedTuple):
    """How it went. `kept`: by a question kept before; else a record was fetched. `offset_bytes`: of the record."""

    is_proven: bool
    kept: bool
    offset_bytes: int


def share_of_history(count: int, has_history: bool, has_pools: bool) -> int:
    """How many of so many questions are about the volume history: a twentieth, by chance where that is not whole."""
    if not has_history:
        return 0
    return int(count * SHARE + _random.random()) if has_pools else count


def challenge_history_volume(
    storage: Storage, link: TargetLink, classes: Mapping[str, DeviceClass], number: int
) -> Asked | None:
    """One question about the volume of this entry; None where the entry has gone."""
    with storage.catalog.write() as tx:
        found = nouns.select(tx, HistoryVolume, id=number)
        if not found or found[0].device_class not in classes:
            return None
        row = found[0]
        kept = questions.OF_HISTORY.take(tx, number, _random.randrange(row.stored_bytes))
    at_target = f"{classes[row.device_class].prefix}.{row.volume}"
    if kept is not None:
        return Asked(link.proves(at_target, kept), True, kept.question.offset_bytes)
    return _fetch(storage, link, row, at_target)


def note_missed_challenge(storage: Storage, number: int) -> HistoryVolume | None:
    """What it means here: the volume is shown as not provable, and no incremental backup follows it."""
    crash_point("challenge.missed.before_catalog")
    with storage.catalog.write() as tx:
        return volume_history.note_missed(tx, number, storage.clock.now_seconds())


def _fetch(storage: Storage, link: TargetLink, row: HistoryVolume, at_target: str) -> Asked:
    """The end, and one record it names: good by their digests. What is kept about them is asked the next times."""
    start = row.stored_bytes - row.end_bytes
    end_record = link.record(at_target, Span(start, row.end_bytes), row.digest)
    if end_record is None:
        return Asked(False, False, start)
    kept = [_question(start, end_record)]
    try:
        records = volume_end.parse(end_record, storage.identity.public_key_bytes).records()
    except RecordDamaged:
        records = []  # by another identity of this server: its own digest has proved it
    offset = start
    if records:
        offset, length, digest = _random.choice(records)
        record = link.record(at_target, Span(offset, length), digest)
        if record is None:
            return Asked(False, False, offset)
        kept.append(_question(offset, record))
    with storage.catalog.write() as tx:
        if nouns.select(tx, HistoryVolume, id=row.id):
            questions.OF_HISTORY.keep(tx, row.id, kept)
    return Asked(True, False, offset)


def _question(offset: int, record: Buffer) -> Kept:
    question = probe.ask(offset, memoryview(record).nbytes)
    return Kept(question, probe.answer(question, record))
