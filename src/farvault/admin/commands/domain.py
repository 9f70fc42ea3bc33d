"""Policy domains: DEFINE, UPDATE, COPY, DELETE, QUERY."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM, policy
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
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
from farvault.admin.lookup import default_class, select
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    count_column,
    days_column,
    of_attribute,
    row_of,
    time_column,
)
from farvault.admin.policy_columns import CHANGE_COLUMNS, change_values, pending_keys
from farvault.admin.policy_tree import copy_set, delete_set, stamp
from farvault.base.errors import NotAvailable, StillReferenced
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.model.attribute import Name, Text
from farvault.model.node import Node
from farvault.model.policy import ACTIVE, Domain, PolicySet


def _refuse_active_pools(call: Call) -> None:
    """`NotAvailable`: there are no pools of active versions only, see decision 15."""
    if call["activedestination"]:
        raise NotAvailable(
            "ANR2991E",
            command=call.command.name,
            parameter="ACTIVEDESTINATION",
            value=call["activedestination"],
            only="an empty list: it has no active-data pools",
        )


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    _refuse_active_pools(call)
    with instance.catalog.write() as tx:
        nouns.insert(tx, Domain(**defined(Domain, call), **stamp(instance, call)))
    yield message("ANR1500I", domain=call["name"])


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    _refuse_active_pools(call)
    values = changed(Domain, call)
    with instance.catalog.write() as tx:
        nouns.update(tx, replace(nouns.get(tx, Domain, call["name"]), **values, **stamp(instance, call)))
    yield message("ANR1502I", domain=call["name"])


def _copy(instance: Instance, call: Call) -> Iterator[Answer]:
    """Everything but the ACTIVE set: the copy must be activated before clients can use it."""
    stamped = stamp(instance, call)
    with instance.catalog.write() as tx:
        source = nouns.get(tx, Domain, call["name"])
        copied = replace(
            source, id=0, name=call["new_name"], activated_set="", activated_time=None, **stamped
        )
        nouns.insert(tx, copied)
        for policy_set in nouns.select(tx, PolicySet, domain=source.name):
            if policy_set.name != ACTIVE:
                copy_set(tx, policy_set, call["new_name"], policy_set.name, stamped)
    yield message("ANR1503I", domain=call["name"], new_name=call["new_name"])


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        domain = nouns.get(tx, Domain, call["name"])
        if number := nouns.count(tx, Node, domain=domain.name):
            raise StillReferenced("ANR1572E", domain=domain.name, number=number)
        for policy_set in nouns.select(tx, PolicySet, domain=domain.name):
            delete_set(tx, policy_set)
        nouns.delete(tx, domain)
    yield message("ANR1501I", domain=call["name"])


def _confirm_delete(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR1504W", domain=call["name"]))


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        changed_keys = pending_keys(r)
        rows = [
            row_of(
                domain,
                **change_values(domain, changed_keys),
                active_default=default_class(r, domain.name, ACTIVE),
                nodes=nouns.count(r, Node, domain=domain.name),
                activated_days=domain.activated_time,
            )
            for domain in select(r, Domain, [call["name"]])
        ]
    columns = _columns(instance.clock.now_seconds(), call.detailed)
    yield Report(columns=columns, rows=rows, detailed=call.detailed)


def _columns(now: int, detailed: bool) -> list[Column]:
    name, activated = of_attribute(Domain, "name"), of_attribute(Domain, "activated_set")
    default = Column(key="active_default", label="Activated Default Mgmt Class")
    number = count_column("nodes", "Number of Registered Nodes")
    description = of_attribute(Domain, "description")
    if not detailed:
        return [name, activated, default, number, description]
    return [
        name,
        activated,
        time_column("activated_time", "Activation Date/Time"),
        days_column("activated_days", "Days Since Activation", now),
        default,
        number,
        description,
        of_attribute(Domain, "backup_retention_days"),
        of_attribute(Domain, "archive_retention_days"),
        *CHANGE_COLUMNS,
    ]


def _domain(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["name"]]


_ACTIVE_POOLS = keyword("ACTIVEDESTination", Text(), "pools of active versions: none here", default="")

COMMANDS = (
    Command(
        words=("DEFine", "DOmain"),
        rule=SYSTEM,
        help="Make a policy domain. Clients can use it when a policy set has been activated in it.",
        parameters=(*define_parameters(Domain), _ACTIVE_POOLS),
        run=_define,
    ),
    Command(
        words=("UPDate", "DOmain"),
        rule=policy(_domain),
        help="Change a policy domain.",
        parameters=(*key_parameters(Domain), *update_parameters(Domain), _ACTIVE_POOLS),
        run=_update,
    ),
    Command(
        words=("COPy", "DOmain"),
        rule=SYSTEM,
        help="Copy a domain with its policy sets, classes and copy groups, but not its ACTIVE set.",
        parameters=(
            positional("name", Name(30), "domain to copy"),
            positional("new_name", Name(30), "name of the copy"),
        ),
        run=_copy,
    ),
    Command(
        words=("DELete", "DOmain"),
        rule=SYSTEM,
        help="Delete a domain and its policy. No node may be registered in it.",
        parameters=key_parameters(Domain),
        run=_delete,
        confirm=_confirm_delete,
    ),
    Command(
        words=("Query", "DOmain"),
        rule=ANYONE,
        help="Show policy domains.",
        parameters=(positional("name", Pattern(30), "which", default="*"), FORMAT),
        run=_query,
    ),
)
