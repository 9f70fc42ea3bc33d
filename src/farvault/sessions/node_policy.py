"""The policy of a node: the set ACTIVE of its domain, as the client gets it and as storing needs it."""

from __future__ import annotations

from farvault.base.errors import NotFound
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.node import Node
from farvault.model.policy import ACTIVE, ARCHIVE, BACKUP, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.stored_object import ObjectKind
from farvault.protocol.messages import ClassRow, CopyGroupRow, Policy

_GROUP_TYPE = {ObjectKind.BACKUP: BACKUP, ObjectKind.ARCHIVE: ARCHIVE}


def active_policy(r: Snapshot, node: Node) -> Policy:
    """Everything the client decides by. `NotFound` (ANR0562W) where the domain has no active set."""
    active = _active_set(r, node)
    domain = nouns.get(r, Domain, node.domain)
    groups = {
        (group.management_class, group.type): group
        for group in nouns.select(r, CopyGroup, domain=node.domain, policy_set=ACTIVE)
    }
    classes = tuple(
        ClassRow(
            one.name,
            one.description,
            _row(groups.get((one.name, BACKUP))),
            _row(groups.get((one.name, ARCHIVE))),
        )
        for one in nouns.select(r, ManagementClass, domain=node.domain, policy_set=ACTIVE)
    )
    return Policy(
        domain=node.domain,
        policy_set=domain.activated_set or ACTIVE,
        default_class=active.default_class,
        classes=classes,
        compression=node.compression,
        backup_delete=node.backup_delete,
        archive_delete=node.archive_delete,
        activated_time=domain.activated_time or 0,
        backup_grace_days=domain.backup_retention_days,
        archive_grace_days=domain.archive_retention_days,
    )


def copy_group(r: Snapshot, node: Node, management_class: str, kind: int) -> CopyGroup:
    """The copy group that says where objects of this class and kind go; an empty name is the default class.

    `NotFound`: ANR0562W no active set, ANR0561W no such class, ANR0560W no copy group of that type.
    """
    active = _active_set(r, node)
    name = management_class or active.default_class
    if nouns.find(r, ManagementClass, node.domain, ACTIVE, name) is None:
        raise NotFound("ANR0561W", management_class=name, domain=node.domain)
    group_type = _GROUP_TYPE.get(ObjectKind(kind), "") if kind in set(ObjectKind) else ""
    group = nouns.find(r, CopyGroup, node.domain, ACTIVE, name, group_type) if group_type else None
    if group is None:
        raise NotFound(
            "ANR0560W", management_class=name, domain=node.domain, kind=group_type or f"kind {kind}"
        )
    return group


def _active_set(r: Snapshot, node: Node) -> PolicySet:
    active = nouns.find(r, PolicySet, node.domain, ACTIVE)
    if active is None:
        raise NotFound("ANR0562W", domain=node.domain, node=node.name)
    return active


def _row(group: CopyGroup | None) -> CopyGroupRow | None:
    if group is None:
        return None
    return CopyGroupRow(
        group.destination,
        group.frequency_days,
        group.mode,
        group.serialization,
        group.versions_exist,
        group.versions_deleted,
        group.retain_extra_days,
        group.retain_only_days,
        group.retain_version_days,
        group.retain_init,
        group.retain_min_days,
    )
