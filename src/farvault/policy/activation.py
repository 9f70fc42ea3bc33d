"""Is a policy set fit to be activated? VALIDATE POLICYSET and ACTIVATE POLICYSET (TSM reference, admin 4.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from farvault.base.messages import Message, message
from farvault.model.policy import ARCHIVE, BACKUP, CopyGroup, ManagementClass, PolicySet
from farvault.model.storage_pool import StoragePool


class Findings(NamedTuple):
    """`errors` keep the set from being activated, `warnings` do not."""

    errors: list[Message]
    warnings: list[Message]


def validate(
    policy_set: PolicySet,
    classes: Sequence[ManagementClass],
    groups: Sequence[CopyGroup],
    active_classes: Iterable[ManagementClass],
    active_groups: Iterable[CopyGroup],
    pools: Mapping[str, StoragePool],
) -> Findings:
    """Judge a set by its classes and copy groups, those of the domain's ACTIVE set, and the pools by name."""
    found = [
        *_default_class(policy_set, classes, groups),
        *_destinations(policy_set, classes, groups, pools),
        *_lost(policy_set, classes, groups, active_classes, active_groups),
        *_space_management(policy_set, classes, groups),
    ]
    return Findings([m for m in found if m.severity == "E"], [m for m in found if m.severity != "E"])


def _default_class(
    policy_set: PolicySet, classes: Sequence[ManagementClass], groups: Sequence[CopyGroup]
) -> Iterator[Message]:
    default = policy_set.default_class
    if default not in {each.name for each in classes}:
        yield message("ANR1554E", domain=policy_set.domain, policy_set=policy_set.name)
        return
    has = {group.type for group in groups if group.management_class == default}
    for kind, id_ in ((BACKUP, "ANR1555W"), (ARCHIVE, "ANR1556W")):
        if kind not in has:
            yield message(id_, domain=policy_set.domain, policy_set=policy_set.name, management_class=default)


def _destinations(
    policy_set: PolicySet,
    classes: Sequence[ManagementClass],
    groups: Sequence[CopyGroup],
    pools: Mapping[str, StoragePool],
) -> Iterator[Message]:
    """A pool that is missing may still be defined in time; a copy pool can never take a client's data."""
    named = [(each.management_class, each.type.lower(), each.destination) for each in groups]
    named += [(each.name, "migration", each.migration_destination) for each in classes]
    migrating = {each.name for each in classes if each.space_management != "NONE"}
    for management_class, use, pool_name in named:
        pool = pools.get(pool_name)
        if pool is None and use == "migration" and management_class not in migrating:
            continue  # SPACEMGPOOL is what every class names
        if pool is None or pool.is_copy:
            yield message(
                "ANR1557W" if pool is None else "ANR1558E",
                domain=policy_set.domain,
                policy_set=policy_set.name,
                management_class=management_class,
                use=use,
                pool=pool_name,
            )


def _lost(
    policy_set: PolicySet,
    classes: Sequence[ManagementClass],
    groups: Sequence[CopyGroup],
    active_classes: Iterable[ManagementClass],
    active_groups: Iterable[CopyGroup],
) -> Iterator[Message]:
    """What is ACTIVE now and would be gone: its files fall to the default class or to the grace periods."""
    kept = {each.name for each in classes}
    for name in sorted({each.name for each in active_classes} - kept):
        yield message("ANR1559W", domain=policy_set.domain, policy_set=policy_set.name, management_class=name)
    kept_groups = {(each.management_class, each.type) for each in groups}
    for name, kind in sorted({(each.management_class, each.type) for each in active_groups} - kept_groups):
        if name in kept:
            yield message(
                "ANR1560W",
                domain=policy_set.domain,
                policy_set=policy_set.name,
                management_class=name,
                use=kind.lower(),
            )


def _space_management(
    policy_set: PolicySet, classes: Sequence[ManagementClass], groups: Sequence[CopyGroup]
) -> Iterator[Message]:
    backed_up = {group.management_class for group in groups if group.type == BACKUP}
    for each in classes:
        if each.space_management != "NONE" and each.migration_requires_backup and each.name not in backed_up:
            yield message(
                "ANR1561W", domain=policy_set.domain, policy_set=policy_set.name, management_class=each.name
            )
