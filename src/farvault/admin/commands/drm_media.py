"""Movable volumes: QUERY DRMEDIA, MOVE DRMEDIA. Volumes of copy pools and of database backups that leave this site."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from farvault.admin.authority import ANYONE, OPERATOR, require_system
from farvault.admin.command import WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern, Patterns
from farvault.admin.movable_media import Movable, movable_volumes, usual_place
from farvault.admin.output import Answer, Code, Column, Report, Text, time_column
from farvault.admin.period import PERIOD, period
from farvault.base.disk import aligned_buffer, write_file
from farvault.base.errors import FarvaultError, MediaFailed, NotFound
from farvault.base.messages import message
from farvault.catalog import nouns, offsite_media
from farvault.catalog.command_files import is_command_file, note_command_file
from farvault.catalog.drm_settings import drm_setting
from farvault.catalog.offsite_media import COURIERRETRIEVE, MOUNTABLE, ONSITERETRIEVE, REMOTE, VAULTRETRIEVE
from farvault.catalog.transaction import Snapshot
from farvault.media.interface import Span
from farvault.model.attribute import Choice, YesNo
from farvault.model.attribute import Text as TextKind
from farvault.model.volume import OFFSITE, READWRITE, Volume
from farvault.model.volume_history import HistoryVolume
from farvault.policy.drm_media import OUT, destination
from farvault.seal import label
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.history_volumes import delete_volume

_LINES_MOST_BYTES: Final = 16 << 20
"""Of a file that APPEND=YES goes on with."""

_FILLED_IN: Final = re.compile("&(vol|loc|nl)")


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    when = period(call, instance.clock.now_seconds())
    with instance.catalog.read() as r:
        found = movable_volumes(r, call, when)
    if call["format"] != "CMD":
        rows = [one._asdict() for one in found]
        yield Report(columns=_DETAILED if call.detailed else _STANDARD, rows=rows, detailed=call.detailed)
        return
    if not found:
        raise NotFound("ANR2034E", command=call.command.name)
    yield from _lines(call, _command_file(instance, call), [(one.name, one.location) for one in found])


def _command_file(instance: Instance, call: Call) -> str:
    """Where the lines go; '' = into the answer. Who has files written at the server needs system privilege.

    Nobody's other file is replaced or appended to: the server may write many that it must not lose.
    """
    with instance.catalog.read() as r:
        typed = call["cmdfilename"] or drm_setting(r, "DRMCMDFILENAME")
        path = os.path.normpath(os.path.join(instance.folder, typed))
        is_known = is_command_file(r, path)
    if not typed:
        return ""
    require_system(call, "CMDFILENAME")
    if reason := _why_not(path, is_known=is_known):
        raise MediaFailed("ANR6689E", path=path, reason=reason)
    if not is_known:
        with instance.catalog.write() as tx:  # before it is there: a file that is not known is never replaced
            note_command_file(tx, path)
    return path


def _why_not(path: str, *, is_known: bool) -> str:
    """`is_known`: such a command has written it."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return f"folder {folder} does not exist"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the server may not write in folder {folder}"
    if os.path.isdir(path):
        return "it is a folder"
    if not is_known and os.path.lexists(path) and (not os.path.isfile(path) or os.path.getsize(path)):
        return "a file that no such command has written is there; remove it or name another one"
    return ""


def _fill_in(command: str, values: dict[str, str]) -> str:
    return _FILLED_IN.sub(lambda found: values[found[1]], command)


def _lines(call: Call, path: str, volumes: Sequence[tuple[str, str]]) -> Iterator[Answer]:
    """CMD for each volume and its location, in which nothing is filled in again. Nothing runs it here."""
    command = call["cmd"] or "&vol"
    lines = [_fill_in(command, {"vol": name, "loc": location, "nl": "\n"}) for name, location in volumes]
    if not path:
        yield Text("\n".join(lines))
        return
    try:
        before = _so_far(path) if call["append"] else b""
        write_file(path, before + ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise MediaFailed("ANR6689E", path=path, reason=error.strerror or error) from error


def _so_far(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            found = file.read(_LINES_MOST_BYTES + 1)
    except FileNotFoundError:
        return b""
    if len(found) > _LINES_MOST_BYTES:
        raise MediaFailed("ANR6689E", path=path, reason="it is too large to append to")
    return found


def _chosen(instance: Instance, r: Snapshot, call: Call) -> list[Movable]:
    when = period(call, instance.clock.now_seconds())
    return [one for one in movable_volumes(r, call, when) if one.state != REMOTE]


def _move(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = _chosen(instance, r, call)
        check = drm_setting(r, "DRMCHECKLABEL") == "YES"
    if not found:
        raise NotFound("ANR2034E", command=call.command.name)
    path = _command_file(instance, call) if call["cmd"] else ""
    moved, refused = list[tuple[str, str]](), False
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
        moved.append((one.name, _move_one(instance, one, after, call["tolocation"] or "")))
        yield message("ANR6683I", volume=one.name, before=one.state, after=after)
        if after == ONSITERETRIEVE:
            yield message("ANR6684I", volume=one.name)
    yield message("ANR6686I", count=len(moved))
    if call["cmd"] and moved:
        yield from _lines(call, path, moved)
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


def _move_one(instance: Instance, one: Movable, after: str, location: str) -> str:
    """Its state, and for a copy pool volume its access with it; returns where it is then.

    What is back is a new scratch volume: entries go.
    """
    storage, now = instance.storage, instance.clock.now_seconds()
    with instance.catalog.write() as tx:
        place = location or usual_place(tx, after)
        if after == ONSITERETRIEVE:
            offsite_media.forget(tx, one.name)
        else:
            offsite_media.set_state(tx, one.name, after, location, now)
        if one.volume is not None:
            access = OFFSITE if after in (*OUT[1:], VAULTRETRIEVE, COURIERRETRIEVE) else READWRITE
            volume = nouns.by_id(tx, Volume, one.volume.id)
            nouns.update(tx, msgspec.structs.replace(volume, access=access, location=place))
        elif one.entry is not None:
            entry = nouns.by_id(tx, HistoryVolume, one.entry.id)
            nouns.update(tx, msgspec.structs.replace(entry, location=place))
    if after == ONSITERETRIEVE and one.volume is not None:
        storage.emptied.came_back(one.volume.id)
    elif after == ONSITERETRIEVE and one.entry is not None:
        delete_volume(storage, one.entry)
    return place


def _confirm(instance: Instance, call: Call) -> str:
    with instance.catalog.read() as r:
        count = len(_chosen(instance, r, call))
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
    *PERIOD,
)
_COMMAND_LINES = (
    keyword("CMd", TextKind(255), "a line for each volume: &vol, &loc, &nl are filled in"),
    keyword(
        "CMDFilename",
        TextKind(250),
        "file for the lines, new or written by such a command before; default: SET DRMCMDFILENAME, else the answer",
    ),
    keyword("APPend", YesNo(), "behind what is in that file, instead of replacing it", default=False),
)

COMMANDS = (
    Command(
        words=("Query", "DRMedia"),
        rule=ANYONE,
        help="Show where volumes of copy pools and database backups are, and since when. FORMAT=CMD writes a line for each, "
        "for a program of yours: nothing runs it here. A period chooses by the time of the last change of state.",
        parameters=(
            positional("volume", PathPattern(), "volumes", default="*"),
            keyword(
                "WHERESTate", Choice("All", *_STATE_WORDS, "REmote"), "only of this state", default="ALL"
            ),
            *_WHERE,
            keyword(
                "Format", Choice("Standard", "Detailed", "Cmd"), "table, list, or lines", default="STANDARD"
            ),
            *_COMMAND_LINES,
        ),
        run=_query,
    ),
    Command(
        words=("MOVe", "DRMedia"),
        rule=OPERATOR,
        help="Note that volumes have moved: to the vault, or back from there. Without TOSTATE one step. It is done when "
        "the command answers.",
        parameters=(
            positional("volume", PathPattern(), "volumes"),
            keyword("WHERESTate", Choice("All", *_STATE_WORDS), "only of this state", default="ALL"),
            *_WHERE,
            keyword("TOSTate", Choice(*_STATE_WORDS[1:], "ONSITERetrieve"), "to this state"),
            keyword("TOLOcation", TextKind(255), "where they are then"),
            keyword(
                "REMove",
                Choice("No", "Yes", "Bulk", "Untileefull"),
                "how a library gives them out; no volume here lies in one",
                default="YES",
            ),
            *_COMMAND_LINES,
            WAIT,
        ),
        run=_move,
        confirm=_confirm,
    ),
)
