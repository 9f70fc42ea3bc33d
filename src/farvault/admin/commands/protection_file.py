"""The files that restoring the database reads: BACKUP VOLHISTORY, BACKUP DEVCONFIG, and SETOPT for where copies are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from farvault.admin.authority import SYSTEM
from farvault.admin.command import Call, Command, keyword, positional
from farvault.admin.device_configuration import HEADING as DEVICES_HEADING
from farvault.admin.instance import Instance
from farvault.admin.kinds import Paths
from farvault.admin.output import Answer
from farvault.admin.volume_history_file import HEADING as HISTORY_HEADING
from farvault.base.errors import BadInput
from farvault.base.messages import message
from farvault.catalog.protection_file_settings import (
    DEVCONFIG,
    VOLUMEHISTORY,
    set_protection_file_paths,
)

NONE = "NONE"
_MOST_FILES = 16
_OTHER_FILE = "another file is there, which would be lost"


class _Kind(NamedTuple):
    """One of the two. `written`: the message that tells of a file."""

    option: str
    backup: str
    setopt: str
    what: str
    usual: str
    heading: str
    written: str


_KINDS = (
    _Kind(
        VOLUMEHISTORY,
        "VOLHistory",
        "VOLUMEHistory",
        "the volume history",
        "volhist.out",
        HISTORY_HEADING,
        "ANR2462I",
    ),
    _Kind(
        DEVCONFIG,
        "DEVCONFig",
        "DEVCONFig",
        "the device configuration",
        "devconfig.out",
        DEVICES_HEADING,
        "ANR2393I",
    ),
)


def _commands(kind: _Kind) -> tuple[Command, Command]:
    """BACKUP and SETOPT of one kind."""

    def write(instance: Instance, call: Call) -> Iterator[Answer]:
        named = call["filenames"] or ()
        for path in named:
            _refuse_other_file(path, os.path.join(instance.folder, path), kind.heading)
        for path in instance.protection_files.write(kind.option, named):
            yield message(kind.written, path=path)

    def keep(instance: Instance, call: Call) -> Iterator[Answer]:
        files = instance.protection_files
        others = [path for one in _KINDS if one is not kind for path in files.paths(one.option)]
        paths = _checked(call["files"], kind.heading, others)
        if paths:
            files.write(kind.option, paths)
        with instance.catalog.write() as tx:  # after they were written: what is stored is known to work
            set_protection_file_paths(tx, kind.option, paths)
        yield message("ANR6701I", option=kind.option, files=", ".join(paths) or NONE)

    return (
        Command(
            words=("BAckup", kind.backup),
            rule=SYSTEM,
            help=f"Write {kind.what} to its files: {kind.usual} in the instance folder and those of {kind.option} in "
            "farvault.toml and SETOPT. They are rewritten at every change by themselves.",
            parameters=(_FILES,),
            run=write,
        ),
        Command(
            words=("SETOPT", kind.setopt),
            rule=SYSTEM,
            help=f"Keep {kind.what} in these files too, besides {kind.usual} in the instance folder and those of "
            "farvault.toml: on other disks. They replace those set before and are written at once. NONE: no more of them.",
            parameters=(_KEPT,),
            run=keep,
        ),
    )


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


def _refuse_other_file(typed: str, path: str, heading: str) -> None:
    if os.path.lexists(path) and not _begins_with(path, heading):
        raise BadInput("ANR6702E", path=typed, reason=_OTHER_FILE)


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
        return _OTHER_FILE
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

COMMANDS = tuple(command for kind in _KINDS for command in _commands(kind))
