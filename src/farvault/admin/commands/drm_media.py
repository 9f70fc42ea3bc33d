"""Movable volumes: QUERY DRMEDIA, MOVE DRMEDIA. Volumes of copy pools and of database backups that leave this site.

Virtual volumes are shown as REMOTE and never move. FILE volumes take part where SET DRMFILEPROCESS says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from farvault.admin.authority import ANYONE, OPERATOR
from farvault.admin.command import Call, Command, keyword, positional
from farvault.admin.grammar import matches
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern, Patterns
from farvault.admin.output import Answer, Code, Column, Report, Text, time_column
from farvault.base.disk import aligned_buffer, write_file
from farvault.base.errors import FarvaultError, MediaFailed, NotFound
from farvault.base.messages import message
from farvault.catalog import nouns, offsite_media, placements, volume_history
from farvault.catalog.drm_settings import drm_pools, drm_setting, is_chosen
from farvault.catalog.offsite_media import (
    COURIERRETRIEVE,
    MOUNTABLE,
    ONSITERETRIEVE,
    REMOTE,
    VAULTRETRIEVE,
    Media,
)
from farvault.catalog.transaction import Snapshot
from farvault.media.interface import Span
from farvault.model.attribute import Choice
from farvault.model.attribute import Text as TextKind
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFSITE, READWRITE, Volume
from farvault.model.volume_history import DBSNAPSHOT, SERIES_TYPES, HistoryVolume
from farvault.policy.drm_media import OUT, destination
from farvault.seal import label
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.history_volumes import delete_volume


class Movable(NamedTuple):
    """A volume that may leave. Exactly one of `volume` and `entry` is there."""

    name: str
    state: str
    location: str
    updated_time: int
    kind: str
    pool: str
    device_class: str
    volume: Volume | None
    entry: HistoryVolume | None


_SHOWN = {
    "NOTMOUNTABLE": "DRMNOTMOUNTABLENAME",
    "COURIER": "DRMCOURIERNAME",
    "COURIERRETRIEVE": "DRMCOURIERNAME",
    "VAULT": "DRMVAULTNAME",
    "VAULTRETRIEVE": "DRMVAULTNAME",
}


def _movable(r: Snapshot, call: Call) -> list[Movable]:
    """Those that match the command, by name."""
    classes = {one.name: one for one in nouns.select(r, DeviceClass)}
    media = offsite_media.all_media(r)
    files = drm_setting(r, "DRMFILEPROCESS") == "YES"
    pools = drm_pools(r, "DRMCOPYSTGPOOL", call["copystgpool"] or ())
    found: list[Movable] = []
    for pool in nouns.select(r, StoragePool):
        if pool.is_copy and is_chosen(pool.name, pools):
            for volume in nouns.select(r, Volume, pool_id=pool.id):
                found.append(
                    _one(
                        r,
                        media,
                        classes,
                        volume.name,
                        "CopyStgPool",
                        pool.name,
                        pool.device_class,
                        volume,
                        None,
                    )
                )
    types = {"DBBACKUP": SERIES_TYPES, "DBSNAPSHOT": (DBSNAPSHOT,), "DBNONE": ()}[call["source"]]
    for row in volume_history.rows(r, types):
        kind = "DBSnapshot" if row.type == DBSNAPSHOT else "DBBackup"
        found.append(_one(r, media, classes, row.volume, kind, "", row.device_class, None, row))
    pattern = call["volume"]
    state = call["wherestate"]
    return sorted(
        (
            one
            for one in found
            if matches(pattern, one.name)
            and state in ("ALL", one.state)
            and (one.state == REMOTE or files)
            and (not call["wherelocation"] or call["wherelocation"] == one.location)
        ),
        key=lambda one: one.name,
    )


def _one(
    r: Snapshot,
    media: dict[str, Media],
    classes: dict[str, DeviceClass],
    name: str,
    kind: str,
    pool: str,
    class_name: str,
    volume: Volume | None,
    entry: HistoryVolume | None,
) -> Movable:
    found = media.get(name)
    definition = classes[class_name]
    if definition.device_type == SERVER:
        return Movable(name, REMOTE, definition.server_name, 0, kind, pool, class_name, volume, entry)
    state = found.state if found else MOUNTABLE
    if volume is not None and state == "VAULT" and not placements.has_placements(r, volume.id):
        state = VAULTRETRIEVE  # nothing is on it any more
    place = (found.location if found else "") or (drm_setting(r, _SHOWN[state]) if state in _SHOWN else "")
    return Movable(
        name, state, place, found.updated_time if found else 0, kind, pool, class_name, volume, entry
    )


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = _movable(r, call)
        command_file = call["cmdfilename"] or drm_setting(r, "DRMCMDFILENAME")
    if call["format"] != "CMD":
        rows = [one._asdict() for one in found]
        yield Report(columns=_DETAILED if call.detailed else _STANDARD, rows=rows, detailed=call.detailed)
        return
    lines = [
        (call["cmd"] or "&vol").replace("&vol", one.name).replace("&loc", one.location).replace("&nl", "\n")
        for one in found
    ]
    if not found:
        raise NotFound("ANR2034E", command=call.command.name)
    if not command_file:
        yield Text("\n".join(lines))
        return
    try:
        write_file(command_file, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise MediaFailed("ANR6689E", path=command_file, reason=error.strerror or error) from error


def _chosen(r: Snapshot, call: Call) -> list[Movable]:
    return [one for one in _movable(r, call) if one.state != REMOTE]


def _move(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = _chosen(r, call)
        check = drm_setting(r, "DRMCHECKLABEL") == "YES"
    if not found:
        raise NotFound("ANR2034E", command=call.command.name)
    moved, refused = 0, False
    for one in found:
        after = destination(one.state, call["tostate"] or "")
        if not after:
            if call["tostate"] or len(found) == 1:
                yield message(
                    "ANR6685E", volume=one.name, before=one.state, after=call["tostate"] or "any state"
                )
                refused = True
            continue
        if check and one.state == MOUNTABLE and (reason := _label_problem(instance, one)):
            yield message("ANR6688W", volume=one.name, reason=reason)
            refused = True
            continue
        _move_one(instance, one, after, call["tolocation"])
        moved += 1
        yield message("ANR6683I", volume=one.name, before=one.state, after=after)
        if after == ONSITERETRIEVE:
            yield message("ANR6684I", volume=one.name)
    yield message("ANR6686I", count=moved)
    if refused:
        yield Code(4)


def _label_problem(instance: Instance, one: Movable) -> str:
    """Why it is not what it says it is; '' where it is."""
    try:
        reader = instance.storage.devices.device(one.device_class).open_reader(one.name)
        try:
            found = label.parse(reader.read(Span(0, LABEL_BYTES), aligned_buffer(LABEL_BYTES)))
        finally:
            reader.close()
    except FarvaultError as error:
        return error.message.text
    return "" if found.volume == one.name else f"it says it is {found.volume}"


def _move_one(instance: Instance, one: Movable, after: str, location: str | None) -> None:
    """Its state, and for a copy pool volume its access with it. What is back is a new scratch volume: entries go."""
    storage, now = instance.storage, instance.clock.now_seconds()
    with instance.catalog.write() as tx:
        if after == ONSITERETRIEVE:
            offsite_media.forget(tx, one.name)
        else:
            offsite_media.set_state(tx, one.name, after, location, now)
        if one.volume is not None:
            access = OFFSITE if after in (*OUT[1:], VAULTRETRIEVE, COURIERRETRIEVE) else READWRITE
            volume = nouns.by_id(tx, Volume, one.volume.id)
            nouns.update(
                tx, msgspec.structs.replace(volume, access=access, location=location or one.location)
            )
    if after == ONSITERETRIEVE and one.volume is not None:
        storage.life.came_back(one.volume.id)
    elif after == ONSITERETRIEVE and one.entry is not None:
        delete_volume(storage, one.entry)


def _confirm(instance: Instance, call: Call) -> str:
    with instance.catalog.read() as r:
        count = len(_chosen(r, call))
    return str(message("ANR6687W", count=count)) if count else ""


_STANDARD = (
    Column(key="name", label="Volume Name"),
    Column(key="state", label="State", show=str.capitalize),
    time_column("updated_time", "Last Update Date/Time"),
    Column(key="device_class", label="Device Class Name"),
)
_DETAILED = (
    *_STANDARD,
    Column(key="location", label="Location"),
    Column(key="kind", label="Volume Type"),
    Column(key="pool", label="Copy Storage Pool Name"),
)
_STATE_WORDS = ("MOuntable", "NOTMOuntable", "COUrier", "VAult", "VAULTRetrieve", "COURIERRetrieve")
_WHERE = (
    keyword("COPYstgpool", Patterns(30), "copy pools; default: SET DRMCOPYSTGPOOL"),
    keyword(
        "Source", Choice("DBBackup", "DBSnapshot", "DBNOne"), "which database backups", default="DBBACKUP"
    ),
    keyword("WHERELOcation", TextKind(255), "only volumes of this location"),
)

COMMANDS = (
    Command(
        words=("Query", "DRMedia"),
        rule=ANYONE,
        help="Show where volumes of copy pools and database backups are. FORMAT=CMD writes a line for each, for a program "
        "of yours: nothing runs it here.",
        parameters=(
            positional("volume", PathPattern(), "volumes", default="*"),
            keyword(
                "WHERESTate", Choice("All", *_STATE_WORDS, "REmote"), "only of this state", default="ALL"
            ),
            *_WHERE,
            keyword(
                "Format", Choice("Standard", "Detailed", "Cmd"), "table, list, or lines", default="STANDARD"
            ),
            keyword("CMd", TextKind(255), "the line of FORMAT=CMD: &vol, &loc, &nl are filled in"),
            keyword("CMDFilename", TextKind(250), "file for the lines"),
        ),
        run=_query,
    ),
    Command(
        words=("MOVe", "DRMedia"),
        rule=OPERATOR,
        help="Note that volumes have moved: to the vault, or back from there. Without TOSTATE one step.",
        parameters=(
            positional("volume", PathPattern(), "volumes"),
            keyword("WHERESTate", Choice("All", *_STATE_WORDS), "only of this state", default="ALL"),
            *_WHERE,
            keyword("TOSTate", Choice(*_STATE_WORDS[1:], "ONSITERetrieve"), "to this state"),
            keyword("TOLOcation", TextKind(255), "where they are then"),
        ),
        run=_move,
        confirm=_confirm,
    ),
)
