"""Copy groups: DEFINE, UPDATE, DELETE, QUERY. A class has at most one for backup and one for archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_values

from farvault.admin.authority import ANYONE, policy
from farvault.admin.command import FORMAT, Call, Command, Parameter, keyword, positional
from farvault.admin.definition import changed, define_parameters, defined, replace, update_parameters
from farvault.admin.instance import Instance
from farvault.admin.kinds import Frequency, Pattern
from farvault.admin.lookup import select_by
from farvault.admin.output import Answer, Column, Report, of_attribute, row_of
from farvault.admin.policy_columns import CHANGE_COLUMNS, change_values, pending_keys
from farvault.admin.policy_tree import grace_notice, set_for_change, stamp
from farvault.base.errors import BadInput, NotAvailable
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Name, Text
from farvault.model.policy import ACTIVE, ARCHIVE, BACKUP, CopyGroup, Domain, ManagementClass
from farvault.model.storage_pool import StoragePool


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    call = _without_cmd(call)
    with instance.catalog.write() as tx:
        set_for_change(tx, call["domain"], call["policy_set"])
        nouns.get(tx, ManagementClass, call["domain"], call["policy_set"], call["management_class"])
        group = CopyGroup(**defined(CopyGroup, call, call["type"]), **stamp(instance, call))
        is_there = _check(tx, call, group)
        nouns.insert(tx, group)
    yield message("ANR1530I", **_named(call))
    if not is_there:
        yield message("ANR1562W", pool=group.destination)


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    call = _without_cmd(call)
    values = changed(CopyGroup, call, call["type"])
    with instance.catalog.write() as tx:
        set_for_change(tx, call["domain"], call["policy_set"])
        found = nouns.get(
            tx, CopyGroup, call["domain"], call["policy_set"], call["management_class"], call["type"]
        )
        group = replace(found, **values, **stamp(instance, call))
        is_there = _check(tx, call, group)
        nouns.update(tx, group)
    yield message("ANR1532I", **_named(call))
    if not is_there:
        yield message("ANR1562W", pool=group.destination)


def _without_cmd(call: Call) -> Call:
    """FREQUENCY=CMD says of an archive copy group what is so anyway; a backup copy group needs days.

    There are no tables of contents: `NotAvailable` for a pool of them, see decision 15.
    """
    if call["tocdestination"]:
        raise NotAvailable(
            "ANR2991E",
            command=call.command.name,
            parameter="TOCDESTINATION",
            value=call["tocdestination"],
            only="backups of files of its clients, not of NAS file servers",
        )
    if call[_FREQUENCY] != Frequency.CMD:
        return call
    if call["type"] == BACKUP:
        raise BadInput(
            "ANR2020E",
            command=call.command.name,
            parameter="FREQUENCY",
            value=Frequency.CMD,
            right="a number from 0 to 9999",
        )
    return with_values(call, given=call.given - {_FREQUENCY})


def _check(r: Snapshot, call: Call, group: CopyGroup) -> bool:
    """`BadInput` for what cannot work; False where the destination is not defined (yet)."""
    if group.type == ARCHIVE and group.mode != "ABSOLUTE":
        raise BadInput("ANR1577E", mode=group.mode)
    if "retain_min_days" in call.given and group.retain_init != "EVENT":
        raise BadInput("ANR1578E")
    pool = nouns.find(r, StoragePool, group.destination)
    if pool is not None and pool.is_copy:
        raise BadInput("ANR1575E", pool=pool.name)
    return pool is not None


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        set_for_change(tx, call["domain"], call["policy_set"])
        nouns.delete(
            tx,
            nouns.get(
                tx, CopyGroup, call["domain"], call["policy_set"], call["management_class"], call["type"]
            ),
        )
        domain = nouns.get(tx, Domain, call["domain"])
        is_used = nouns.find(tx, CopyGroup, call["domain"], ACTIVE, call["management_class"], call["type"])
    yield message("ANR1531I", **_named(call))
    if is_used:
        yield grace_notice(
            domain, f"the {call['type'].lower()} copy group of class {call['management_class']}"
        )


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = select_by(
            r,
            CopyGroup,
            domain=call["domain"],
            policy_set=call["policy_set"],
            management_class=call["management_class"],
            type=call["type"],
        )
        changed_keys = pending_keys(r)
    rows = [
        row_of(group, group.type, **_FIXED[group.type], **change_values(group, changed_keys))
        for group in found
    ]
    yield Report(columns=_columns(call["type"], call.detailed), rows=rows, detailed=call.detailed)


_FREQUENCY = "frequency_days"
_RETENTION = {
    BACKUP: ("versions_exist", "versions_deleted", "retain_extra_days", "retain_only_days"),
    ARCHIVE: ("retain_version_days",),
}
_FIXED: dict[str, dict[str, str]] = {BACKUP: {"toc_destination": ""}, ARCHIVE: {"frequency": "Cmd"}}
"""An archive copy is made by command only; there are no tables of contents, see decision 15."""
_SHOWN_SERIALIZATION = {
    "SHRSTATIC": "Shared Static",
    "STATIC": "Static",
    "SHRDYNAMIC": "Shared Dynamic",
    "DYNAMIC": "Dynamic",
}
_MODE = of_attribute(CopyGroup, "mode")
_SERIALIZATION = Column(
    key="serialization", label="Copy Serialization", show=_SHOWN_SERIALIZATION.__getitem__
)
_DESTINATION = of_attribute(CopyGroup, "destination")
_DETAILS = {
    BACKUP: (
        _MODE,
        _SERIALIZATION,
        of_attribute(CopyGroup, "frequency_days"),
        _DESTINATION,
        Column(key="toc_destination", label="Table of Contents (TOC) Destination"),
    ),
    ARCHIVE: (
        of_attribute(CopyGroup, "retain_init"),
        of_attribute(CopyGroup, "retain_min_days"),
        _MODE,
        _SERIALIZATION,
        Column(key="frequency", label="Copy Frequency"),
        _DESTINATION,
    ),
}


def _columns(kind: str, detailed: bool) -> list[Column]:
    head = [
        *(of_attribute(CopyGroup, f) for f in ("domain", "policy_set", "management_class")),
        Column(key="name", label="Copy Group Name"),
    ]
    if not detailed:
        return [*head, *(of_attribute(CopyGroup, f) for f in _RETENTION[kind])]
    return [
        *head,
        *(of_attribute(CopyGroup, f) for f in ("type", *_RETENTION[kind])),
        *_DETAILS[kind],
        *CHANGE_COLUMNS,
    ]


def _named(call: Call) -> dict[str, str]:
    return {
        "kind": call["type"].lower(),
        "management_class": call["management_class"],
        "policy_set": call["policy_set"],
        "domain": call["domain"],
    }


def _with_cmd(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """FREQUENCY also takes CMD; TOCDESTINATION is known and can only be empty."""
    return (
        *(with_values(p, kind=Frequency()) if p.name == _FREQUENCY else p for p in parameters),
        keyword(
            "TOCDestination", Text(30), "pool for tables of contents of NAS backups: none here", default=""
        ),
    )


def _domain(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["domain"]]


_RULE = policy(_domain)
_NAME = positional("name", Choice("STANDARD"), "always STANDARD", default="STANDARD")
_TYPE = keyword("Type", Choice("Backup", "Archive"), "backup or archive", default=BACKUP)
_KEY = (
    positional("domain", Name(30), "its domain"),
    positional("policy_set", Name(30), "its set"),
    positional("management_class", Name(30), "its class"),
    _NAME,
    _TYPE,
)

COMMANDS = (
    Command(
        words=("DEFine", "COpygroup"),
        rule=_RULE,
        help="Say where and how long a class keeps backup versions or archive copies.",
        parameters=_with_cmd(define_parameters(CopyGroup)),
        run=_define,
    ),
    Command(
        words=("UPDate", "COpygroup"),
        rule=_RULE,
        help="Change a copy group; not in the ACTIVE set.",
        parameters=_with_cmd((*_KEY, *update_parameters(CopyGroup))),
        run=_update,
    ),
    Command(
        words=("DELete", "COpygroup"),
        rule=_RULE,
        help="Delete a copy group; not in the ACTIVE set.",
        parameters=_KEY,
        run=_delete,
    ),
    Command(
        words=("Query", "COpygroup"),
        rule=ANYONE,
        help="Show copy groups of one type.",
        parameters=(
            positional("domain", Pattern(30), "domains", default="*"),
            positional("policy_set", Pattern(30), "sets", default="*"),
            positional("management_class", Pattern(30), "classes", default="*"),
            _NAME,
            _TYPE,
            FORMAT,
        ),
        run=_query,
    ),
)
