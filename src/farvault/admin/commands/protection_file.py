"""The files that restoring the database reads: BACKUP VOLHISTORY, BACKUP DEVCONFIG, and SETOPT for where copies are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator

from farvault.admin.authority import SYSTEM
from farvault.admin.command import Call, Command, keyword, positional
from farvault.admin.device_configuration import HEADING as DEVICES_HEADING
from farvault.admin.instance import Instance
from farvault.admin.kinds import Paths
from farvault.admin.output import Answer
from farvault.admin.volume_history_file import HEADING as HISTORY_HEADING
from farvault.base.errors import BadInput
from farvault.base.messages import Message, message
from farvault.catalog.protection_file_settings import (
    DEVCONFIG,
    VOLUMEHISTORY,
    set_protection_file_paths,
)

NONE = "NONE"
_MOST_FILES = 16


def _history(instance: Instance, call: Call) -> Iterator[Answer]:
    for path in instance.protection_files.write_history(call["filenames"] or ()):
        yield message("ANR2462I", path=path)


def _devices(instance: Instance, call: Call) -> Iterator[Answer]:
    for path in instance.protection_files.write_devices(call["filenames"] or ()):
        yield message("ANR2393I", path=path)


def _set_history_files(instance: Instance, call: Call) -> Iterator[Answer]:
    files = instance.protection_files
    paths = _checked(call["files"], HISTORY_HEADING, files.device_paths())
    if paths:
        files.write_history(paths)
    yield _store(instance, VOLUMEHISTORY, paths)


def _set_device_files(instance: Instance, call: Call) -> Iterator[Answer]:
    files = instance.protection_files
    paths = _checked(call["files"], DEVICES_HEADING, files.history_paths())
    if paths:
        files.write_devices(paths)
    yield _store(instance, DEVCONFIG, paths)


def _store(instance: Instance, option: str, paths: list[str]) -> Message:
    """After they were written: what is stored is known to work."""
    with instance.catalog.write() as tx:
        set_protection_file_paths(tx, option, paths)
    return message("ANR6701I", option=option, files=", ".join(paths) or NONE)


def _checked(typed: tuple[str, ...], heading: str, others: list[str]) -> list[str]:
    """Each once; `BadInput` names the first that cannot be. `others`: where files of the other kind are kept."""
    if [one.upper() for one in typed] == [NONE]:
        return []
    if len(typed) > _MOST_FILES:
        raise BadInput("ANR6702E", path=typed[_MOST_FILES], reason=f"more than {_MOST_FILES} files are named")
    paths = list(dict.fromkeys(map(os.path.normpath, typed)))
    for path in paths:
        reason = _why_not(path, heading)
        if path in others:
            reason = "a file of the other kind is kept there"
        if reason:
            raise BadInput("ANR6702E", path=path, reason=reason)
    return paths


def _why_not(path: str, heading: str) -> str:
    folder = os.path.dirname(path)
    if not os.path.isabs(path):
        return "it does not begin with /"
    if not os.path.isdir(folder):
        return f"folder {folder} does not exist"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the server may not write in folder {folder}"
    if os.path.isdir(path):
        return "it is a folder"
    if os.path.lexists(path) and not _begins_with(path, heading):
        return "another file is there, which would be lost"
    return ""


def _begins_with(path: str, heading: str) -> bool:
    """So does a file of ours; an empty one holds nothing to lose."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(heading)) in (b"", heading.encode())
    except OSError:
        return False


_FILES = keyword("Filenames", Paths(), "these files, instead of those that are kept current")
_KEPT = positional("files", Paths(), "paths from / on, in folders that exist, or NONE")

COMMANDS = (
    Command(
        words=("BAckup", "VOLHistory"),
        rule=SYSTEM,
        help="Write the volume history to its files: volhist.out in the instance folder and those of VOLUMEHISTORY in "
        "farvault.toml and SETOPT. They are rewritten at every change by themselves.",
        parameters=(_FILES,),
        run=_history,
    ),
    Command(
        words=("BAckup", "DEVCONFig"),
        rule=SYSTEM,
        help="Write the device configuration to its files: devconfig.out in the instance folder and those of DEVCONFIG in "
        "farvault.toml and SETOPT. They are rewritten at every change by themselves.",
        parameters=(_FILES,),
        run=_devices,
    ),
    Command(
        words=("SETOPT", "VOLUMEHistory"),
        rule=SYSTEM,
        help="Keep the volume history in these files too, besides volhist.out in the instance folder and those of "
        "farvault.toml: on other disks. They replace those set before and are written at once. NONE: no more of them.",
        parameters=(_KEPT,),
        run=_set_history_files,
    ),
    Command(
        words=("SETOPT", "DEVCONFig"),
        rule=SYSTEM,
        help="Keep the device configuration in these files too, besides devconfig.out in the instance folder and those of "
        "farvault.toml: on other disks. They replace those set before and are written at once. NONE: no more of them.",
        parameters=(_KEPT,),
        run=_set_device_files,
    ),
)
