"""Policy sets: DEFINE, UPDATE, COPY, DELETE, QUERY, VALIDATE, ACTIVATE, and their default class."""

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
)
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern
from farvault.admin.lookup import select_by
from farvault.admin.output import Answer, Code, Report, of_attribute, row_of
from farvault.admin.policy_columns import CHANGE_COLUMNS, change_values, pending_keys
from farvault.admin.policy_tree import contents, copy_set, delete_set, refuse_active, set_for_change, stamp
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Name
from farvault.model.policy import ACTIVE, Domain, ManagementClass, PolicySet
from farvault.model.storage_pool import StoragePool
from farvault.policy.activation import Findings, validate


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    refuse_active(call["name"])
    with instance.catalog.write() as tx:
        nouns.get(tx, Domain, call["domain"])
        nouns.insert(tx, PolicySet(**defined(PolicySet, call), **stamp(instance, call)))
    yield message("ANR1510I", policy_set=call["name"], domain=call["domain"])


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    values = changed(PolicySet, call)
    with instance.catalog.write() as tx:
        found = set_for_change(tx, call["domain"], call["name"])
        nouns.update(tx, replace(found, **values, **stamp(instance, call)))
    yield message("ANR1512I", policy_set=call["name"], domain=call["domain"])


def _copy(instance: Instance, call: Call) -> Iterator[Answer]:
    refuse_active(call["new_name"])
    with instance.catalog.write() as tx:
        source = nouns.get(tx, PolicySet, call["domain"], call["name"])
        copy_set(tx, source, call["domain"], call["new_name"], stamp(instance, call))
    yield message("ANR1513I", policy_set=call["name"], domain=call["domain"], new_name=call["new_name"])


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        delete_set(tx, set_for_change(tx, call["domain"], call["name"]))
    yield message("ANR1511I", policy_set=call["name"], domain=call["domain"])


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = select_by(r, PolicySet, domain=call["domain"], name=call["name"])
        changed_keys = pending_keys(r)
    columns = [of_attribute(PolicySet, f) for f in ("domain", "name", "default_class", "description")]
    if call.detailed:
        columns += CHANGE_COLUMNS
    rows = [row_of(item, **change_values(item, changed_keys)) for item in found]
    yield Report(columns=columns, rows=rows, detailed=call.detailed)


def _assign(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        found = set_for_change(tx, call["domain"], call["name"])
        nouns.get(tx, ManagementClass, call["domain"], call["name"], call["management_class"])
        nouns.update(tx, replace(found, default_class=call["management_class"], **stamp(instance, call)))
    yield message(
        "ANR1538I", management_class=call["management_class"], policy_set=call["name"], domain=call["domain"]
    )


def _findings(r: Snapshot, policy_set: PolicySet) -> Findings:
    below, active = (contents(r, policy_set.domain, name) for name in (policy_set.name, ACTIVE))
    pools = {pool.name: pool for pool in nouns.select(r, StoragePool)}
    return validate(policy_set, below.classes, below.groups, active.classes, active.groups, pools)


def _validate(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = _findings(r, nouns.get(r, PolicySet, call["domain"], call["name"]))
    yield from (*found.errors, *found.warnings)
    if found.errors:
        yield message("ANR1573E", policy_set=call["name"], domain=call["domain"])
        yield Code(4)
    else:
        yield message("ANR1515I", policy_set=call["name"], domain=call["domain"])


def _activate(instance: Instance, call: Call) -> Iterator[Answer]:
    """ACTIVE is replaced by a deep copy in one transaction: clients see the old set or the new one."""
    stamped = stamp(instance, call)
    with instance.catalog.write() as tx:
        source = set_for_change(tx, call["domain"], call["name"])
        found = _findings(tx, source)
        if not found.errors:
            old = nouns.find(tx, PolicySet, call["domain"], ACTIVE)
            if old is not None:
                delete_set(tx, old)
            copy_set(tx, source, call["domain"], ACTIVE, stamped)
            domain = nouns.get(tx, Domain, call["domain"])
            nouns.update(
                tx,
                replace(
                    domain, activated_set=source.name, activated_time=instance.clock.now_seconds(), **stamped
                ),
            )
    yield from (*found.errors, *found.warnings)
    if found.errors:
        yield message("ANR1574E", policy_set=call["name"], domain=call["domain"])
        yield Code(4)
    else:
        yield message("ANR1514I", policy_set=call["name"], domain=call["domain"])


def _confirm_activate(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR1516W", policy_set=call["name"], domain=call["domain"]))


def _confirm_delete(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR1517W", policy_set=call["name"], domain=call["domain"]))


def _domain(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["domain"]]


_RULE = policy(_domain)
_KEY = key_parameters(PolicySet)

COMMANDS = (
    Command(
        words=("DEFine", "POlicyset"),
        rule=_RULE,
        help="Make a policy set in a domain.",
        parameters=define_parameters(PolicySet),
        run=_define,
    ),
    Command(
        words=("UPDate", "POlicyset"),
        rule=_RULE,
        help="Change a policy set; not the ACTIVE one.",
        parameters=(*_KEY, *update_parameters(PolicySet)),
        run=_update,
    ),
    Command(
        words=("COPy", "POlicyset"),
        rule=_RULE,
        help="Copy a policy set with its classes and copy groups within its domain.",
        parameters=(*_KEY, positional("new_name", Name(30), "name of the copy")),
        run=_copy,
    ),
    Command(
        words=("DELete", "POlicyset"),
        rule=_RULE,
        help="Delete a policy set with its classes and copy groups; not the ACTIVE one.",
        parameters=_KEY,
        run=_delete,
        confirm=_confirm_delete,
    ),
    Command(
        words=("Query", "POlicyset"),
        rule=ANYONE,
        help="Show policy sets.",
        parameters=(
            positional("domain", Pattern(30), "domains", default="*"),
            positional("name", Pattern(30), "sets", default="*"),
            FORMAT,
        ),
        run=_query,
    ),
    Command(
        words=("ASsign", "DEFMGmtclass"),
        rule=_RULE,
        help="Name the class of files that no include statement binds.",
        parameters=(*_KEY, positional("management_class", Name(30), "the default class")),
        run=_assign,
    ),
    Command(
        words=("VALidate", "POlicyset"),
        rule=_RULE,
        help="Check a policy set without activating it.",
        parameters=_KEY,
        run=_validate,
    ),
    Command(
        words=("ACTivate", "POlicyset"),
        rule=_RULE,
        help="Make a copy of this set the domain's ACTIVE one, which clients and expiration use.",
        parameters=_KEY,
        run=_activate,
        confirm=_confirm_activate,
    ),
)
