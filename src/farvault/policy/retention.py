"""Which rule a class name leads to: its own copy group, the default class's, or the domain's grace period.

Retention is by reference: an object keeps only the name of its class, and the ACTIVE set of its node's domain says
what that means today (TSM reference, admin 4.8). A set that is not there at all gives no rule: nothing goes then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from farvault.model.policy import ARCHIVE, CopyGroup, Domain, ManagementClass, PolicySet


class BackupRule(NamedTuple):
    """A backup copy group. `management_class`: whose it is. None stands for NOLIMIT."""

    management_class: str
    versions_exist: int | None
    versions_deleted: int | None
    retain_extra_days: int | None
    retain_only_days: int | None


class ArchiveRule(NamedTuple):
    """An archive copy group. `by_event`: RETINIT=EVENT."""

    management_class: str
    retain_days: int | None
    by_event: bool
    retain_min_days: int


class Grace(NamedTuple):
    """Neither the class nor the default class says anything: BACKRETENTION or ARCHRETENTION of the domain."""

    days: int


class Retention:
    """The ACTIVE set of one domain, as expiration reads it."""

    def __init__(
        self,
        domain: Domain | None,
        policy_set: PolicySet | None,
        classes: Iterable[ManagementClass] = (),
        groups: Iterable[CopyGroup] = (),
    ) -> None:
        self.is_active = domain is not None and policy_set is not None
        self._domain = domain
        self._default = policy_set.default_class if policy_set is not None else ""
        known = {each.name for each in classes}
        self._groups = {
            (each.management_class, each.type): each for each in groups if each.management_class in known
        }
        self._backup: dict[str, BackupRule | Grace | None] = {}
        self._archive: dict[str, ArchiveRule | Grace | None] = {}

    def backup(self, management_class: str) -> BackupRule | Grace | None:
        """What keeps backup versions bound to this class; None where the domain has no ACTIVE set."""
        if management_class not in self._backup:
            self._backup[management_class] = self._find_backup(management_class)
        return self._backup[management_class]

    def archive(self, management_class: str) -> ArchiveRule | Grace | None:
        """What keeps archive copies bound to this class; None where the domain has no ACTIVE set."""
        if management_class not in self._archive:
            self._archive[management_class] = self._find_archive(management_class)
        return self._archive[management_class]

    def _find_backup(self, name: str) -> BackupRule | Grace | None:
        if self._domain is None or not self.is_active:
            return None
        group = self._group(name, "BACKUP")
        if group is None:
            return Grace(self._domain.backup_retention_days)
        return BackupRule(
            group.management_class,
            group.versions_exist,
            group.versions_deleted,
            group.retain_extra_days,
            group.retain_only_days,
        )

    def _find_archive(self, name: str) -> ArchiveRule | Grace | None:
        if self._domain is None or not self.is_active:
            return None
        group = self._group(name, ARCHIVE)
        if group is None:
            return Grace(self._domain.archive_retention_days)
        return ArchiveRule(
            group.management_class,
            group.retain_version_days,
            group.retain_init == "EVENT",
            group.retain_min_days,
        )

    def _group(self, name: str, kind: str) -> CopyGroup | None:
        return self._groups.get((name, kind)) or self._groups.get((self._default, kind))
