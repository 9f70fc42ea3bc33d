"""Commands of the reference that this version understands but does not do: parsed in full, then refused with one message.

When a function arrives its rows move to a file of its own; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import SYSTEM, Rule
from farvault.admin.command import Call, Command, Parameter, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, Paths, Patterns, TimeOfDay
from farvault.admin.output import Answer
from farvault.base.errors import NotAvailable
from farvault.model.attribute import Choice, Name, Text, YesNo


def _refuse(instance: Instance, call: Call) -> Iterator[Answer]:
    del instance
    raise NotAvailable("ANR2990E", command=call.command.name)


def _later(words: str, help: str, *parameters: Parameter, rule: Rule = SYSTEM) -> Command:
    return Command(
        words=tuple(words.split()),
        rule=rule,
        help=help + " Later version.",
        parameters=parameters,
        run=_refuse,
    )


def _class(*, required: bool = False, word: str = "DEVclass") -> Parameter:
    return keyword(word, Name(30), "device class", required=required)


_PREVIEW = keyword("Preview", YesNo(), "only say what would be done", default=False)
_SCRATCH = keyword("Scratch", YesNo(), "scratch volumes may be used", default=True)
_VOLUMES = keyword("VOLumenames", Paths(), "volumes, in order")
_FILE_DATA = keyword(
    "FILEData",
    Choice("None", "ALl", "ARchive", "Backup", "BACKUPActive", "ALLActive", "SPacemanaged"),
    "which files go along",
    default="NONE",
)
_REPLACE = keyword("Replacedefs", YesNo(), "replace definitions that exist", default=False)
_MERGE = keyword("MERGEfilespaces", YesNo(), "add to file spaces that exist", default=False)
_DATES = keyword("Dates", Choice("Absolute", "Relative"), "keep dates, or shift them", default="ABSOLUTE")
_DOMAINS = keyword("DOmains", Patterns(30), "only nodes of these domains")
_FILE_SPACES = keyword("FILESpace", Paths(), "only these file spaces")

_EXPORT = (
    _PREVIEW,
    _class(),
    _SCRATCH,
    _VOLUMES,
    keyword("USEDVolumelist", Text(1024), "file that gets the names of the volumes used"),
    keyword("ENCRYPTIONSTrength", Choice("AES", "DES"), "cipher of passwords", default="AES"),
    keyword("TOServer", Name(64), "send straight to this server"),
    keyword("PREVIEWImport", YesNo(), "the other server only reports", default=False),
    _REPLACE,
)
_FROM_TO = (
    keyword("FROMDate", Day(), "only what came since"),
    keyword("FROMTime", TimeOfDay(), "time on that day"),
    keyword("TODate", Day(), "only what came until"),
    keyword("TOTime", TimeOfDay(), "time on that day"),
    _MERGE,
    keyword("EXPORTIDentifier", Name(64), "name by which it can be restarted"),
)
_IMPORT = (_PREVIEW, _class(required=True), _VOLUMES, _REPLACE)


def _names(what: str) -> Parameter:
    return positional("names", Patterns(64), what, default=("*",))


COMMANDS = (
    # active-data pools: there are none (`docs/decisions/0015`)
    _later("Set DRMACTIVEDatastgpool", "Set the active-data pools of a recovery plan.", _names("pools")),
    # export and import
    _later("EXPort Admin", "Export administrators.", _names("administrators"), *_EXPORT),
    _later(
        "EXPort Node",
        "Export nodes.",
        _names("nodes"),
        _FILE_SPACES,
        _DOMAINS,
        _FILE_DATA,
        *_FROM_TO,
        *_EXPORT,
    ),
    _later("EXPort Policy", "Export policy domains.", _names("domains"), *_EXPORT),
    _later("EXPort Server", "Export all definitions.", _FILE_DATA, *_FROM_TO, *_EXPORT),
    _later("IMport Admin", "Import administrators.", _names("administrators"), *_IMPORT),
    _later(
        "IMport Node",
        "Import nodes.",
        _names("nodes"),
        _FILE_SPACES,
        _DOMAINS,
        _FILE_DATA,
        _DATES,
        _MERGE,
        *_IMPORT,
    ),
    _later("IMport Policy", "Import policy domains.", _names("domains"), *_IMPORT),
    _later("IMport Server", "Import what an export holds.", _FILE_DATA, _DATES, _MERGE, *_IMPORT),
)
