"""The volume history: what backups of the database, exports and plan files lie on, and what happened to pool volumes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from farvault.catalog import nouns, offsite_media, pending_deletions
from farvault.catalog.epoch import epoch
from farvault.catalog.sequences import next_value, take_values
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.device_class import DeviceClass
from farvault.model.volume import Volume
from farvault.model.volume_history import OWN_VOLUME, SERIES_TYPES, STGREUSE, HistoryVolume


def next_series(tx: Transaction, type: str) -> int:
    """The number of a new series of this type. Never given twice, also where the operation fails."""
    return next_value(tx, _sequence(type))


def skip_series(tx: Transaction, type: str, highest: int) -> None:
    """Numbers up to this one are taken."""
    row = tx.one("SELECT next_value FROM sequences WHERE name = ?", (_sequence(type),))
    missing = highest + 1 - (int(row[0]) if row else 1)
    if missing > 0:
        take_values(tx, _sequence(type), missing)


def _sequence(type: str) -> str:
    return "series BACKUPFULL" if type in SERIES_TYPES else f"series {type}"


def add_event(tx: Transaction, type: str, device_class: str, volume: str, now: int) -> None:
    """STGNEW, STGREUSE, STGDELETE of a sequential pool volume. One that comes or goes is nowhere else (DRMEDIA)."""
    if type != STGREUSE:
        offsite_media.forget(tx, volume)
    row = HistoryVolume(time=now, type=type, device_class=device_class, volume=volume, epoch=epoch(tx))
    nouns.insert(tx, row)


def rows(
    r: Snapshot,
    types: Sequence[str],
    *,
    from_time: int = 0,
    to_time: int = 1 << 62,
    complete: bool | None = True,
) -> list[HistoryVolume]:
    """Rows of these types and times, in the order in which they came. `complete` None: all."""
    found = [
        row
        for type in types
        for row in nouns.select(r, HistoryVolume, type=type)
        if from_time <= row.time <= to_time and complete in (None, row.complete)
    ]
    return sorted(found, key=lambda row: (row.time, row.id))


def own_volume(r: Snapshot, volume: str) -> HistoryVolume | None:
    """The complete entry that has this volume; the newest one where an older server left several."""
    found = [
        row for row in nouns.select(r, HistoryVolume, volume=volume, complete=True) if row.has_own_volume
    ]
    return max(found, key=lambda row: (row.time, row.id), default=None)


def provable_at(r: Snapshot, server_name: str) -> list[int]:
    """Numbers of the entries whose volume lies at this target and is not known to be lost there."""
    sql = (
        "SELECT h.id FROM volume_history h JOIN device_classes d ON d.name = h.device_class"
        " WHERE d.server_name = ? AND h.complete = 1 AND h.missed_time = 0 AND h.end_bytes > 0"
        f" AND h.type IN ({', '.join('?' * len(OWN_VOLUME))}) ORDER BY h.id"
    )
    return [int(number) for (number,) in r.all(sql, (server_name, *OWN_VOLUME))]


def count_missed_at(r: Snapshot, server_name: str) -> int:
    """How many volumes this target is known to have lost."""
    row = r.one(
        "SELECT COUNT(*) FROM volume_history h JOIN device_classes d ON d.name = h.device_class"
        " WHERE d.server_name = ? AND h.missed_time > 0",
        (server_name,),
    )
    return int(row[0]) if row else 0


def missed_at(r: Snapshot, server_name: str, limit: int = 100) -> list[HistoryVolume]:
    """The first entries whose volume this target is known to have lost."""
    sql = (
        "SELECT h.id FROM volume_history h JOIN device_classes d ON d.name = h.device_class"
        " WHERE d.server_name = ? AND h.missed_time > 0 ORDER BY h.id LIMIT ?"
    )
    return [nouns.by_id(r, HistoryVolume, number) for (number,) in r.all(sql, (server_name, limit))]


def note_missed(tx: Transaction, number: int, now: int) -> HistoryVolume | None:
    """Its target does not have it as it signed. The entry as it is then; None where it has gone meanwhile."""
    found = nouns.select(tx, HistoryVolume, id=number)
    if not found:
        return None
    row = msgspec.structs.replace(found[0], missed_time=found[0].missed_time or now)
    nouns.update(tx, row)
    return row


def note_verified(tx: Transaction, number: int, now: int, *, is_whole: bool = False) -> None:
    """Its target stands by it. `is_whole`: every record was read and proved, so that nothing is missed any more."""
    for row in nouns.select(tx, HistoryVolume, id=number):
        missed = 0 if is_whole else row.missed_time
        nouns.update(tx, msgspec.structs.replace(row, verified_time=now, missed_time=missed))


def newest_series_kept_elsewhere(r: Snapshot, device_class: str) -> HistoryVolume | None:
    """A volume of the newest series of database backups that the server behind this class does not keep.

    None where it keeps all of them, or where the class keeps its volumes here.
    """
    servers = {one.name: one.server_name for one in nouns.select(r, DeviceClass)}
    keeper = servers.get(device_class, "")
    found = rows(r, SERIES_TYPES)
    newest = max((row.series for row in found), default=0)
    others = (row for row in found if row.series == newest and servers.get(row.device_class, "") != keeper)
    return next(others, None) if keeper else None


def newest_series_hurt(r: Snapshot) -> HistoryVolume | None:
    """A volume of the newest series of database backups that its target is known to have lost; None where there is none."""
    found = rows(r, SERIES_TYPES)
    newest = max((row.series for row in found), default=0)
    return next((row for row in found if row.series == newest and row.missed_time), None)


def incomplete(r: Snapshot) -> list[HistoryVolume]:
    """Rows of operations that run, or that never ended."""
    return nouns.select(r, HistoryVolume, complete=False)


def newest_operation(r: Snapshot, types: Sequence[str]) -> list[HistoryVolume]:
    """The volumes, in order, of the last complete operation of these types; empty where there is none.

    The last one is that of the highest series and operation: a clock may have been set back since.
    """
    found = rows(r, types)
    if not found:
        return []
    last = max((row.series, row.operation) for row in found)
    return sorted((row for row in found if (row.series, row.operation) == last), key=lambda row: row.sequence)


def of_class(r: Snapshot, device_class: str) -> list[HistoryVolume]:
    """Rows with a volume of their own in this class, in order of their volumes' names; of one name the newest."""
    found = {
        row.volume: row
        for row in sorted(nouns.select(r, HistoryVolume, device_class=device_class), key=lambda row: row.time)
        if row.has_own_volume
    }
    return [found[name] for name in sorted(found)]


def is_there(r: Snapshot, device_class: str, volume: str) -> bool:
    """Does an entry have this volume of its own in this class?"""
    found = nouns.select(r, HistoryVolume, volume=volume, device_class=device_class)
    return any(row.has_own_volume for row in found)


def with_volume(r: Snapshot, device_class: str, volume: str) -> HistoryVolume | None:
    """The complete entry whose own volume this is."""
    found = nouns.select(r, HistoryVolume, volume=volume, device_class=device_class, complete=True)
    return next((row for row in found if row.has_own_volume), None)


def is_taken(r: Snapshot, volume: str) -> bool:
    """Does a pool volume or an entry with a volume of its own have this name, or is one still to be deleted at a target?"""
    if nouns.select(r, Volume, volume) or pending_deletions.is_waiting(r, volume):
        return True
    return any(row.has_own_volume for row in nouns.select(r, HistoryVolume, volume=volume))
