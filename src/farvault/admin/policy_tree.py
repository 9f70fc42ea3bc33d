"""A policy set with everything below it: read, copied, deleted as a whole. What COPY, ACTIVATE and DELETE share."""

from __future__ import annotations

from typing import Any, NamedTuple

from farvault.admin.command import Call
from farvault.admin.definition import replace
from farvault.admin.instance import Instance
from farvault.base.errors import BadInput
from farvault.base.messages import Message, message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.policy import ACTIVE, CopyGroup, Domain, ManagementClass, PolicySet

_RESERVED_CLASSES = ("DEFAULT", "GRACE_PERIOD")


class Contents(NamedTuple):
    """What lies below one policy set."""

    classes: list[ManagementClass]
    groups: list[CopyGroup]


def contents(r: Snapshot, domain: str, policy_set: str) -> Contents:
    return Contents(
        nouns.select(r, ManagementClass, domain=domain, policy_set=policy_set),
        nouns.select(r, CopyGroup, domain=domain, policy_set=policy_set),
    )


def stamp(instance: Instance, call: Call) -> dict[str, Any]:
    """Who changed it, and when."""
    return {"updated_time": instance.clock.now_seconds(), "updated_by": call.administrator.name}


def copy_set(tx: Transaction, source: PolicySet, domain: str, name: str, stamped: dict[str, Any]) -> None:
    """Make set `name` in `domain` as a deep copy; `AlreadyExists` where it is there."""
    below = contents(tx, source.domain, source.name)
    nouns.insert(tx, replace(source, id=0, domain=domain, name=name, **stamped))
    for item in (*below.classes, *below.groups):
        nouns.insert(tx, replace(item, id=0, domain=domain, policy_set=name, **stamped))


def delete_set(tx: Transaction, policy_set: PolicySet) -> None:
    """The set and everything below it, from the leaves up."""
    below = contents(tx, policy_set.domain, policy_set.name)
    for item in (*below.groups, *below.classes, policy_set):
        nouns.delete(tx, item)


def delete_class(tx: Transaction, management_class: ManagementClass) -> None:
    """The class and its copy groups."""
    for group in nouns.select(
        tx,
        CopyGroup,
        domain=management_class.domain,
        policy_set=management_class.policy_set,
        management_class=management_class.name,
    ):
        nouns.delete(tx, group)
    nouns.delete(tx, management_class)


def grace_notice(domain: Domain, what: str) -> Message:
    """What becomes of objects bound to something that ACTIVE still has and the set has no more."""
    return message(
        "ANR1563I",
        what=what,
        backup_days=domain.backup_retention_days,
        archive_days=domain.archive_retention_days,
    )


def refuse_active(policy_set: str) -> None:
    """The ACTIVE set is a copy: it changes only by ACTIVATE POLICYSET."""
    if policy_set == ACTIVE:
        raise BadInput("ANR1570E")


def refuse_reserved_class(name: str) -> None:
    if name in _RESERVED_CLASSES:
        raise BadInput("ANR1571E", name=name)


def set_for_change(r: Snapshot, domain: str, policy_set: str) -> PolicySet:
    """The set, which must exist and not be ACTIVE."""
    refuse_active(policy_set)
    return nouns.get(r, PolicySet, domain, policy_set)
