"""DELETE VOLUME: take a volume out of its pool; with DISCARDDATA=YES what lies on it is given up first.

What lies on a primary volume goes for good: every object that needs one of its records, with all of its copies. With
deduplication these may be objects most of which lies elsewhere; their number is told. Of a copy volume only the copies
go: the next BACKUP STGPOOL makes them again.

The catalog comes first, piece by piece, then the media, then the volume's row: a crash in between leaves space nobody
needs, never an object whose data is gone. A second run goes on where the first one ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farvault.base.disk import crash_point
from farvault.base.errors import StillReferenced
from farvault.base.units import show_size
from farvault.catalog import content, holds, nouns, placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, OFFSITE, PENDING, Volume
from farvault.processes.process import Process
from farvault.storage.storage import Storage

PAGE = 200
"""Records given up between two looks at a cancel."""


@dataclass(slots=True)
class _Discarded:
    objects: int = 0
    shared: int = 0
    """Of these, the ones that also need records on other volumes."""
    live_bytes: int = 0
    copies: int = 0
    last_copies: int = 0
    """Of these, the ones beside which no good copy is known."""


def delete_volume(storage: Storage, process: Process, volume_name: str, *, discard: bool = False) -> None:
    """`StillReferenced` where it holds data and `discard` is not given; `InUse` while somebody writes or audits it."""
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, volume_name)
    with storage.use.hold(volume):
        with storage.catalog.read() as r:
            volume = nouns.get(r, Volume, volume_name)
            pool = nouns.by_id(r, StoragePool, volume.pool_id)
            has_data = placements.has_placements(r, volume.id)
        if has_data and not discard:
            raise StillReferenced("ANR2406E", volume=volume.name)
        if has_data:
            _refuse_held(storage, process, volume, pool)
            process.say("ANR2222I", volume=volume.name, number=process.number)
            _tell(process, volume, _discard(storage, process, volume, pool))
        crash_point("discard.volume.before_media")
        _remove(storage, process, volume, pool)


def _discard(storage: Storage, process: Process, volume: Volume, pool: StoragePool) -> _Discarded:
    """Nobody writes it meanwhile, so every page leaves less."""
    done = _Discarded()
    while True:
        process.raise_if_cancelled()
        with storage.catalog.read() as r:
            rows = placements.on_volume(r, volume.id, limit=PAGE)
            places = superseded.places_of_data(r, [row.aggregate_id for row in rows])
            last = [id for id, several in places.items() if not _stands_elsewhere(several, volume, pool)]
            users = content.users_of_aggregates(r, last)
            shared = content.reaching_elsewhere(r, volume.id, users)
        if not rows:
            return done
        crash_point("discard.page.before_catalog")
        objects, live_bytes, held = storage.delete_unheld(users, process.raise_if_cancelled)
        if held:
            raise _held_error(volume, held)
        process.advance(objects, live_bytes)
        done.objects += objects
        done.live_bytes += live_bytes
        done.shared += shared
        _drop_copies(storage, process, volume, pool, rows, done)


def _refuse_held(storage: Storage, process: Process, volume: Volume, pool: StoragePool) -> None:
    """`StillReferenced` where a hold keeps objects whose only data lies here; nothing is discarded then."""
    after = -1
    held: dict[int, tuple[str, ...]] = {}
    with storage.catalog.read() as r:
        while holds.any_rules(r):
            process.raise_if_cancelled()
            rows = placements.on_volume(r, volume.id, after, PAGE)
            if not rows:
                break
            places = superseded.places_of_data(r, [row.aggregate_id for row in rows])
            last = [id for id, several in places.items() if not _stands_elsewhere(several, volume, pool)]
            held.update(holds.held(r, content.users_of_aggregates(r, last)))
            after = rows[-1].offset_bytes
    if held:
        raise _held_error(volume, held)


def _held_error(volume: Volume, held: Mapping[int, tuple[str, ...]]) -> StillReferenced:
    names = sorted({name for several in held.values() for name in several})
    return StillReferenced("ANR4409E", volume=volume.name, objects=f"{len(held):,}", holds=", ".join(names))


def _drop_copies(
    storage: Storage,
    process: Process,
    volume: Volume,
    pool: StoragePool,
    rows: Sequence[PlacementRow],
    done: _Discarded,
) -> None:
    """Of these rows, what also stands elsewhere, and what no object needs."""
    with storage.catalog.write() as tx:
        dropped: list[PlacementRow] = []
        for number, several in superseded.places_of_data(tx, [row.aggregate_id for row in rows]).items():
            elsewhere = _stands_elsewhere(several, volume, pool)
            for row in several:
                if (row.volume_id, row.aggregate_id) == (volume.id, number) and (
                    elsewhere or not content.users_of_aggregates(tx, [number])
                ):
                    dropped.append(row)
                    done.last_copies += elsewhere and not any(_is_good(one) for one in several if one != row)
        storage.drop_placements(tx, dropped)
    done.copies += len(dropped)
    process.advance(len(dropped), sum(row.stored_bytes for row in dropped))


def _stands_elsewhere(places: Sequence[PlacementRow], volume: Volume, pool: StoragePool) -> bool:
    """What lies on a copy volume is a copy unless it is the very last; on a primary volume, where a good primary is left."""
    others = [one for one in places if one.volume_id != volume.id]
    return bool(others) if pool.is_copy else any(not one.is_copy and _is_good(one) for one in others)


def _is_good(place: PlacementRow) -> bool:
    """As far as the catalog knows, also where it cannot be reached just now."""
    return not place.damaged and place.volume_access != DESTROYED


def _tell(process: Process, volume: Volume, done: _Discarded) -> None:
    process.say(
        "ANR2223I",
        volume=volume.name,
        objects=f"{done.objects:,}",
        size=show_size(done.live_bytes),
        shared=f"{done.shared:,}",
        copies=f"{done.copies:,}",
    )
    if done.last_copies:
        process.say("ANR2224W", volume=volume.name, records=f"{done.last_copies:,}")


def _remove(storage: Storage, process: Process, volume: Volume, pool: StoragePool) -> None:
    """REUSEDELAY keeps the bytes for an older catalog that may be brought back; a second DELETE VOLUME does not wait."""
    bytes_are_here = volume.written_bytes and volume.access not in (DESTROYED, OFFSITE)
    if pool.reuse_delay_days and bytes_are_here and volume.status != PENDING:
        storage.life.empty(volume.id)
        process.say("ANR2225I", volume=volume.name, days=pool.reuse_delay_days)
        return
    storage.life.delete(volume)
    process.say("ANR2208I", volume=volume.name)
