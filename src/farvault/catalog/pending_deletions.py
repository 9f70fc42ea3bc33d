"""Source side: deletions that a target has still to be told. A row comes in the transaction that forgets the volume."""

from __future__ import annotations

import msgspec

from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.device_class import DeviceClass
from farvault.model.pending_deletion import PendingDeletion


def add(tx: Transaction, device_class: str, volume: str, now: int) -> PendingDeletion:
    """The volume is gone here; its target will be told. Once, however often it is asked for."""
    found = nouns.find(tx, PendingDeletion, device_class, volume)
    if found is not None:
        return found
    server_name = nouns.get(tx, DeviceClass, device_class).server_name
    row = PendingDeletion(server_name=server_name, device_class=device_class, volume=volume, since_time=now)
    return msgspec.structs.replace(row, id=nouns.insert(tx, row))


def is_waiting(r: Snapshot, volume: str) -> bool:
    """Is a volume of this name still to be deleted? A new one would be hit by it."""
    return r.one("SELECT 1 FROM pending_deletions WHERE volume = ?", (volume,)) is not None


def waits(r: Snapshot, row: PendingDeletion) -> bool:
    """Is its target still to be told of this one?"""
    return bool(nouns.select(r, PendingDeletion, id=row.id))


def waiting(r: Snapshot, limit: int = 1000) -> list[PendingDeletion]:
    """Those that wait: what was tried longest ago first, of these the oldest."""
    rows = r.all("SELECT id FROM pending_deletions ORDER BY last_try_time, id LIMIT ?", (limit,))
    return [nouns.by_id(r, PendingDeletion, number) for (number,) in rows]


def of_server(r: Snapshot, server_name: str) -> tuple[int, int, str]:
    """(how many wait for a target, since when the oldest does, why the last one that was tried did not get there)."""
    row = r.one(
        "SELECT COUNT(*), COALESCE(MIN(since_time), 0) FROM pending_deletions WHERE server_name = ?",
        (server_name,),
    )
    last = r.one(
        "SELECT last_error FROM pending_deletions WHERE server_name = ? ORDER BY last_try_time DESC, id DESC LIMIT 1",
        (server_name,),
    )
    assert row is not None
    return int(row[0]), int(row[1]), "" if last is None else str(last[0])


def told(tx: Transaction, row: PendingDeletion) -> None:
    """The target knows."""
    nouns.delete(tx, row)


def failed(tx: Transaction, row: PendingDeletion, error: str, now: int) -> None:
    """It could not be told."""
    found = nouns.find(tx, PendingDeletion, row.device_class, row.volume)
    if found is not None:
        nouns.update(
            tx,
            msgspec.structs.replace(found, tries=found.tries + 1, last_try_time=now, last_error=error[:500]),
        )
