"""The files that restoring the database reads: BACKUP VOLHISTORY, BACKUP DEVCONFIG."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import SYSTEM
from farvault.admin.command import Call, Command, keyword
from farvault.admin.instance import Instance
from farvault.admin.kinds import Paths
from farvault.admin.output import Answer
from farvault.base.messages import message


def _history(instance: Instance, call: Call) -> Iterator[Answer]:
    for path in instance.protection_files.write_history(call["filenames"] or ()):
        yield message("ANR2462I", path=path)


def _devices(instance: Instance, call: Call) -> Iterator[Answer]:
    for path in instance.protection_files.write_devices(call["filenames"] or ()):
        yield message("ANR2393I", path=path)


_FILES = keyword("Filenames", Paths(), "these files, instead of those that are kept current")

COMMANDS = (
    Command(
        words=("BAckup", "VOLHistory"),
        rule=SYSTEM,
        help="Write the volume history to its files: volhist.out in the instance folder and those of VOLUMEHISTORY in "
        "farvault.toml. They are rewritten at every change by themselves.",
        parameters=(_FILES,),
        run=_history,
    ),
    Command(
        words=("BAckup", "DEVCONFig"),
        rule=SYSTEM,
        help="Write the device configuration to its files: devconfig.out in the instance folder and those of DEVCONFIG in "
        "farvault.toml. They are rewritten at every change by themselves.",
        parameters=(_FILES,),
        run=_devices,
    ),
)
