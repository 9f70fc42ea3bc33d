"""What becomes of the objects of one file space: policy's decisions with holds laid over them.

EXPIRE INVENTORY asks what is due; QUERY RETENTION asks about each object. Both get the same answers, because both ask
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from farvault.catalog import expiration, holds, nouns, versions
from farvault.catalog.expiration import ExaminedRow
from farvault.catalog.transaction import Snapshot
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind, ObjectState, ObjectType
from farvault.policy.holding import path_of
from farvault.policy.retention import ArchiveRule, BackupRule, Grace, Retention
from farvault.policy.versions import AT_ONCE, Decision, Version, Why, decide_archive, decide_versions

_name = itemgetter(0, 1)
_BACKUP, _ARCHIVE = int(ObjectKind.BACKUP), int(ObjectKind.ARCHIVE)
_ACTIVE, _INACTIVE, _EXPIRED = int(ObjectState.ACTIVE), int(ObjectState.INACTIVE), int(ObjectState.EXPIRED)
_DIRECTORY, _VIRTUAL_VOLUME = int(ObjectType.DIRECTORY), int(ObjectType.VIRTUAL_VOLUME)


class Due(NamedTuple):
    """Rows that are to go, in their order, each with its reason. `held`: how many would go but for a hold."""

    rows: list[tuple[ExaminedRow, Why]]
    held: int


class Judge:
    """For one node's file space, from one snapshot. `is_current` says in a later one whether it may still be believed."""

    def __init__(self, r: Snapshot, node: Node, file_space_id: int) -> None:
        self.node = node
        self.retention: Retention = versions.retention(r, node.domain)
        self._believed = self._basis(r)
        self._holding = holds.holding(r, node.id, file_space_id)
        self._classes = expiration.class_names(r)
        self.backup_rules: dict[int, BackupRule | Grace | None] = {}
        """Rules that were used so far, by number of the class."""
        self.archive_rules: dict[int, ArchiveRule | Grace | None] = {}

    def is_current(self, r: Snapshot) -> bool:
        """Are node, active policy and holds what they were?"""
        return self._basis(r) == self._believed

    def _basis(self, r: Snapshot) -> tuple[object, ...]:
        """An ACTIVE set is made anew at each activation, so its number tells; a domain's grace periods may change too."""
        node = nouns.by_id(r, Node, self.node.id)
        return (node.domain, versions.policy_identity(r, node.domain), holds.rules_of(r, self.node.id))

    def class_name(self, class_id: int) -> str:
        return self._classes.get(class_id, "")

    def due(
        self, r: Snapshot, rows: Sequence[ExaminedRow], now: int, *, skip_directories: bool = False
    ) -> Due:
        """What has to go of these rows, which hold every version of each name."""
        found: list[tuple[ExaminedRow, Why]] = []
        archives: list[ExaminedRow] = []
        for _, group in groupby(rows, _name):
            of_name = list(group)
            first = of_name[0]
            if len(of_name) == 1 and first[5] == _ACTIVE and first[3] == _BACKUP:
                continue  # most names: one active version
            archives += [row for row in of_name if row[3] == _ARCHIVE]
            for row, decision in self._backups(of_name):
                if decision.is_due(now):
                    found.append((row, decision.why))
        found += [
            (row, decision.why) for row, decision in self._archives(r, archives) if decision.is_due(now)
        ]
        if skip_directories:
            found = [item for item in found if item[0][4] != _DIRECTORY]
        found.sort(key=lambda item: item[0][:3])
        return self._without_held(r, found)

    def decisions(self, r: Snapshot, of_name: Sequence[ExaminedRow], directory: bytes) -> list[Decision]:
        """One for each row; these are all versions of one name."""
        judged = {row[2]: decision for row, decision in self._backups(of_name)}
        judged.update(
            (row[2], decision)
            for row, decision in self._archives(r, [row for row in of_name if row[3] == _ARCHIVE])
        )
        answer = [judged.get(row[2], Decision(None, Why.SOURCE)) for row in of_name]
        if not self._holding:
            return answer
        path = path_of(directory, of_name[0][1])
        return [
            Decision(None, Why.HELD, ", ".join(names))
            if row[5] != _EXPIRED and (names := self._holding.by(path, row[3], row[7]))
            else decision
            for row, decision in zip(of_name, answer, strict=True)
        ]

    def _backups(self, of_name: Sequence[ExaminedRow]) -> list[tuple[ExaminedRow, Decision]]:
        """Backup versions of one name; what has expired already counts no more."""
        gone = [(row, Decision(AT_ONCE, Why.EXPIRED)) for row in of_name if row[5] == _EXPIRED]
        shown = [row for row in of_name if row[3] == _BACKUP and row[5] in (_ACTIVE, _INACTIVE)]
        shown.sort(key=lambda row: (row[5] == _ACTIVE, row[2]), reverse=True)
        asked = [Version(row[5] == _ACTIVE, row[8], self._backup_rule(row[6])) for row in shown]
        return [*zip(shown, decide_versions(asked), strict=True), *gone]

    def _archives(self, r: Snapshot, rows: Sequence[ExaminedRow]) -> Iterable[tuple[ExaminedRow, Decision]]:
        copies = [row for row in rows if row[4] != _VIRTUAL_VOLUME and row[5] == _ACTIVE]
        rules = [self._archive_rule(row[6]) for row in copies]
        waiting = [
            row[2]
            for row, rule in zip(copies, rules, strict=True)
            if isinstance(rule, ArchiveRule) and rule.by_event
        ]
        events = expiration.events(r, waiting) if waiting else {}
        return [
            (row, decide_archive(row[7], events.get(row[2]), rule))
            for row, rule in zip(copies, rules, strict=True)
        ]

    def _without_held(self, r: Snapshot, found: list[tuple[ExaminedRow, Why]]) -> Due:
        if not self._holding or not found:
            return Due(found, 0)
        paths = expiration.directory_paths(r, {row[0] for row, _ in found})
        free = [
            (row, why)
            for row, why in found
            if why is Why.EXPIRED
            or not self._holding.by(path_of(paths.get(row[0], b""), row[1]), row[3], row[7])
        ]
        return Due(free, len(found) - len(free))

    def _backup_rule(self, class_id: int) -> BackupRule | Grace | None:
        if class_id not in self.backup_rules:
            self.backup_rules[class_id] = self.retention.backup(self.class_name(class_id))
        return self.backup_rules[class_id]

    def _archive_rule(self, class_id: int) -> ArchiveRule | Grace | None:
        if class_id not in self.archive_rules:
            self.archive_rules[class_id] = self.retention.archive(self.class_name(class_id))
        return self.archive_rules[class_id]
