"""Management classes: DEFINE, UPDATE, COPY, DELETE, QUERY."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, policy
from farvault.admin.command import FORMAT, Call, Command, positional
from farvault.admin.definition import (
    changed,
    define_parameters,
    defined,
    key_parameters,
    replace,
    update_parameters,
    without_effect,
)
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern
from farvault.admin.lookup import select_by
from farvault.admin.output import Answer, Column, Report, of_attribute, row_of, yes_column
from farvault.admin.policy_columns import CHANGE_COLUMNS, change_values, pending_keys
from farvault.admin.policy_tree import (
    delete_class,
    grace_notice,
    refuse_reserved_class,
    set_for_change,
    stamp,
)
from farvault.base.errors import BadInput, StillReferenced
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Name
from farvault.model.policy import ACTIVE, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.storage_pool import StoragePool

_SPACE_MANAGEMENT = (
    "space_management",
    "auto_migrate_days",
    "migration_requires_backup",
    "migration_destination",
)


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    refuse_reserved_class(call["name"])
    with instance.catalog.write() as tx:
        set_for_change(tx, call["domain"], call["policy_set"])
        made = ManagementClass(**defined(ManagementClass, call), **stamp(instance, call))
        _check_destination(tx, made)
        nouns.insert(tx, made)
    yield message("ANR1520I", **_named(call))
    yield from _without_effect(call)


def _without_effect(call: Call) -> Iterator[Answer]:
    reason = "files do not migrate from clients in this version"
    yield from without_effect(ManagementClass, call, _SPACE_MANAGEMENT, call["name"], reason)


def _check_destination(r: Snapshot, made: ManagementClass) -> None:
    pool = nouns.find(r, StoragePool, made.migration_destination)
    if pool is not None and pool.is_copy:
        raise BadInput("ANR1575E", pool=pool.name)


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    values = changed(ManagementClass, call)
    with instance.catalog.write() as tx:
        set_for_change(tx, call["domain"], call["policy_set"])
        found = nouns.get(tx, ManagementClass, call["domain"], call["policy_set"], call["name"])
        new = replace(found, **values, **stamp(instance, call))
        _check_destination(tx, new)
        nouns.update(tx, new)
    yield message("ANR1522I", **_named(call))
    yield from _without_effect(call)


def _copy(instance: Instance, call: Call) -> Iterator[Answer]:
    refuse_reserved_class(call["new_name"])
    stamped = stamp(instance, call)
    with instance.catalog.write() as tx:
        set_for_change(tx, call["domain"], call["policy_set"])
        source = nouns.get(tx, ManagementClass, call["domain"], call["policy_set"], call["name"])
        nouns.insert(tx, replace(source, id=0, name=call["new_name"], **stamped))
        for group in nouns.select(
            tx, CopyGroup, domain=source.domain, policy_set=source.policy_set, management_class=source.name
        ):
            nouns.insert(tx, replace(group, id=0, management_class=call["new_name"], **stamped))
    yield message("ANR1523I", **_named(call), new_name=call["new_name"])


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        policy_set = set_for_change(tx, call["domain"], call["policy_set"])
        found = nouns.get(tx, ManagementClass, call["domain"], call["policy_set"], call["name"])
        if policy_set.default_class == found.name:
            raise StillReferenced("ANR1576E", **_named(call))
        delete_class(tx, found)
        domain = nouns.get(tx, Domain, call["domain"])
        is_used = nouns.find(tx, ManagementClass, call["domain"], ACTIVE, found.name)
    yield message("ANR1521I", **_named(call))
    if is_used:
        yield grace_notice(domain, f"class {found.name}")


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = select_by(
            r, ManagementClass, domain=call["domain"], policy_set=call["policy_set"], name=call["name"]
        )
        changed_keys = pending_keys(r)
        defaults = {(s.domain, s.name): s.default_class for s in nouns.select(r, PolicySet)}
    rows = [
        row_of(
            c, is_default=defaults.get((c.domain, c.policy_set)) == c.name, **change_values(c, changed_keys)
        )
        for c in found
    ]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _columns(detailed: bool) -> list[Column]:
    columns = [
        *(of_attribute(ManagementClass, f) for f in ("domain", "policy_set", "name")),
        yes_column("is_default", "Default Mgmt Class ?"),
        of_attribute(ManagementClass, "description"),
    ]
    if detailed:
        columns += [
            *(of_attribute(ManagementClass, f) for f in _SPACE_MANAGEMENT),
            *CHANGE_COLUMNS,
        ]
    return columns


def _named(call: Call) -> dict[str, str]:
    return {"management_class": call["name"], "policy_set": call["policy_set"], "domain": call["domain"]}


def _confirm_delete(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR1524W", **_named(call)))


def _domain(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["domain"]]


_RULE = policy(_domain)
_KEY = key_parameters(ManagementClass)

COMMANDS = (
    Command(
        words=("DEFine", "MGmtclass"),
        rule=_RULE,
        help="Make a management class. Copy groups say how its files are kept.",
        parameters=define_parameters(ManagementClass),
        run=_define,
    ),
    Command(
        words=("UPDate", "MGmtclass"),
        rule=_RULE,
        help="Change a management class; not in the ACTIVE set.",
        parameters=(*_KEY, *update_parameters(ManagementClass)),
        run=_update,
    ),
    Command(
        words=("COPy", "MGmtclass"),
        rule=_RULE,
        help="Copy a class with its copy groups within its set.",
        parameters=(*_KEY, positional("new_name", Name(30), "name of the copy")),
        run=_copy,
    ),
    Command(
        words=("DELete", "MGmtclass"),
        rule=_RULE,
        help="Delete a class and its copy groups; not the set's default class.",
        parameters=_KEY,
        run=_delete,
        confirm=_confirm_delete,
    ),
    Command(
        words=("Query", "MGmtclass"),
        rule=ANYONE,
        help="Show management classes.",
        parameters=(
            positional("domain", Pattern(30), "domains", default="*"),
            positional("policy_set", Pattern(30), "sets", default="*"),
            positional("name", Pattern(30), "classes", default="*"),
            FORMAT,
        ),
        run=_query,
    ),
)
