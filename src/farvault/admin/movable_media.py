"""Movable volumes: of copy pools and of database backups; where each of them is, as QUERY and MOVE DRMEDIA see it.

Virtual volumes are REMOTE and never move. FILE volumes take part where SET DRMFILEPROCESS says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from farvault.admin.command import Call
from farvault.base.wildcard import matches
from farvault.catalog import nouns, offsite_media, placements, volume_history
from farvault.catalog.drm_settings import drm_pools, drm_setting, is_chosen
from farvault.catalog.offsite_media import MOUNTABLE, REMOTE, VAULT, VAULTRETRIEVE, Media
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.model.volume_history import DBSNAPSHOT, SERIES_TYPES, HistoryVolume

_SOURCES: Final = {"DBBACKUP": SERIES_TYPES, "DBSNAPSHOT": (DBSNAPSHOT,), "DBNONE": ()}
_PLACES: Final = {
    "NOTMOUNTABLE": "DRMNOTMOUNTABLENAME",
    "COURIER": "DRMCOURIERNAME",
    "COURIERRETRIEVE": "DRMCOURIERNAME",
    "VAULT": "DRMVAULTNAME",
    "VAULTRETRIEVE": "DRMVAULTNAME",
}


class Movable(NamedTuple):
    """A volume that may leave. Exactly one of `volume` and `entry` is there. `updated_time`: its state's, or when it began."""

    name: str
    state: str
    location: str
    updated_time: int
    kind: str
    pool: str
    device_class: str
    volume: Volume | None
    entry: HistoryVolume | None


def usual_place(r: Snapshot, state: str) -> str:
    """Where volumes of a state are when nobody says more; '' = here."""
    return drm_setting(r, _PLACES[state]) if state in _PLACES else ""


def movable_volumes(r: Snapshot, call: Call, period: tuple[int, int]) -> list[Movable]:
    """Those that match the command and changed their state in the period, by name."""
    begin, end = period
    files = drm_setting(r, "DRMFILEPROCESS") == "YES"
    found = [
        one
        for one in _all(r, call)
        if matches(call["volume"], one.name)
        and call["wherestate"] in ("ALL", one.state)
        and (one.state == REMOTE or files)
        and (not call["wherelocation"] or call["wherelocation"] == one.location)
        and begin <= one.updated_time <= end
    ]
    return sorted(found, key=lambda one: one.name)


def _all(r: Snapshot, call: Call) -> Iterator[Movable]:
    media = offsite_media.all_media(r)
    classes = {one.name: one for one in nouns.select(r, DeviceClass)}
    pools = drm_pools(r, "DRMCOPYSTGPOOL", call["copystgpool"] or ())
    for pool in nouns.select(r, StoragePool):
        if pool.is_copy and is_chosen(pool.name, pools):
            definition = classes[pool.device_class]
            for volume in nouns.select(r, Volume, pool_id=pool.id):
                yield _of_pool(r, volume, pool, definition, media.get(volume.name))
    for row in volume_history.rows(r, _SOURCES[call["source"]]):
        if row.device_class in classes:  # a catalog that was set back knows backups of classes defined later
            yield _of_history(r, row, classes[row.device_class], media.get(row.volume))


def _of_pool(
    r: Snapshot, volume: Volume, pool: StoragePool, definition: DeviceClass, media: Media | None
) -> Movable:
    state, place, since = _where(r, definition, media, "", volume.created_time)
    if state == VAULT and not placements.has_placements(r, volume.id):
        state = VAULTRETRIEVE  # nothing is on it any more
    return Movable(volume.name, state, place, since, "CopyStgPool", pool.name, definition.name, volume, None)


def _of_history(r: Snapshot, row: HistoryVolume, definition: DeviceClass, media: Media | None) -> Movable:
    state, place, since = _where(r, definition, media, row.location, row.time)
    kind = "DBSnapshot" if row.type == DBSNAPSHOT else "DBBackup"
    return Movable(row.volume, state, place, since, kind, "", definition.name, None, row)


def _where(
    r: Snapshot, definition: DeviceClass, media: Media | None, place: str, began: int
) -> tuple[str, str, int]:
    """State, location, since when. `place`: of one that never moved."""
    if definition.device_type == SERVER:
        return REMOTE, definition.server_name, began
    if media is None:
        return MOUNTABLE, place, began
    return media.state, media.location or usual_place(r, media.state), media.updated_time
