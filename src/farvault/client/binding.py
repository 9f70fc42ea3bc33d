"""Which management class an object goes to, and whether it is left out: policy and include-exclude list together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from farvault.base.errors import NotAvailable, NotFound
from farvault.client.options import Options
from farvault.model.stored_object import ObjectKind
from farvault.policy.inclexcl import Purpose, Rules
from farvault.protocol.messages import ClassRow, CopyGroupRow, Policy


class Bound(NamedTuple):
    """A class and what its copy group says; `group` None: such objects cannot be stored."""

    name: str
    group: CopyGroupRow | None


class Binding:
    """Answers for one command. `warn(class)` is called once for each class that a list names and policy does not have."""

    def __init__(
        self, policy: Policy, rules: Rules, kind: ObjectKind, options: Options, warn: Callable[[str], None]
    ) -> None:
        self._kind = kind
        self._warn = warn
        self._rules = rules
        self._purpose = Purpose.ARCHIVE if kind is ObjectKind.ARCHIVE else Purpose.BACKUP
        self._classes = {row.name: Bound(row.name, self._group(row)) for row in policy.classes}
        self._warned: set[str] = set()
        self._override = options.archive_class.upper() if kind is ObjectKind.ARCHIVE else ""
        self.default = self._classes.get(policy.default_class, Bound(policy.default_class, None))
        if self._override:  # typed for this command: another class would not be what was asked for
            if self._override not in self._classes:
                raise NotFound("ANS9816E", management_class=self._override, domain=policy.domain)
            self.default = self._classes[self._override]
        takes = [bound for bound in self._classes.values() if bound.group is not None]
        if not takes or (self._override and self.default.group is None):
            raise NotAvailable(
                "ANS9802E", management_class=self.default.name or "(none)", kind=self._purpose.value
            )
        self.of_changes = self.default if self.default.group is not None else takes[0]
        """Under it goes what stores nothing: expiring. Files bound to the default class may have nowhere to go."""
        self.of_folders = self._folder_class(options.directory_class.upper())
        self.has_rules = bool(rules.statements)

    def of_file(self, path: bytes) -> Bound | None:
        """None: the file is excluded. `path` is the full one."""
        decision = self._rules.decide(path, self._purpose)
        if decision.excluded:
            return None
        if not decision.management_class or self._override:
            return self.default
        return self._named(decision.management_class)

    def excludes_folder(self, path: bytes) -> bool:
        return self._rules.excludes_directory(path)

    def excludes_file_space(self, name: bytes) -> bool:
        return self._rules.excludes_file_space(name)

    def _named(self, name: str) -> Bound:
        found = self._classes.get(name)
        if found is not None:
            return found
        if name not in self._warned:
            self._warned.add(name)
            self._warn(name)
        return self.default

    def _group(self, row: ClassRow) -> CopyGroupRow | None:
        return row.archive if self._kind is ObjectKind.ARCHIVE else row.backup

    def _folder_class(self, chosen: str) -> Bound:
        """DIRMC, else the class that keeps the last copy longest, so folders outlive what is in them."""
        if chosen:
            return self._named(chosen)
        if self._kind is ObjectKind.ARCHIVE:
            return self.default
        longest = self.default
        for bound in self._classes.values():
            if bound.group is not None and _keeps(bound) > _keeps(longest):
                longest = bound
        return longest


def _keeps(bound: Bound) -> float:
    """RETONLY in days; no limit is longest."""
    if bound.group is None:
        return -1
    days = bound.group.retain_only_days
    return float("inf") if days is None else days
