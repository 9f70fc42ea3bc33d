"""Versions that are one too many go at once: when a new one is stored, and when a file is found gone.

They are marked here, in the transaction that makes them superfluous, and removed by EXPIRE INVENTORY. Days are judged
only there: nothing comes or goes at the moment a day is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from farvault.catalog import holds, nouns, object_rows
from farvault.catalog.object_rows import ObjectColumns
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.policy import ACTIVE, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.stored_object import ObjectState
from farvault.policy.holding import Holding, path_of
from farvault.policy.retention import BackupRule, Grace, Retention
from farvault.policy.versions import is_beyond

Place = tuple[int, bytes]
"""(directory number, name) within a file space."""
_name = itemgetter(1, 2)
_VISIBLE = "state <> 0 AND state < 3"


def retention(r: Snapshot, domain_name: str) -> Retention:
    """What the ACTIVE set of a domain says today."""
    domain = nouns.find(r, Domain, domain_name)
    active = nouns.find(r, PolicySet, domain_name, ACTIVE)
    return Retention(
        domain,
        active,
        nouns.select(r, ManagementClass, domain=domain_name, policy_set=ACTIVE),
        nouns.select(r, CopyGroup, domain=domain_name, policy_set=ACTIVE),
    )


def policy_identity(r: Snapshot, domain_name: str) -> tuple[Domain | None, PolicySet | None]:
    """What differs whenever a domain's retention may: an ACTIVE set is made anew at each activation."""
    return nouns.find(r, Domain, domain_name), nouns.find(r, PolicySet, domain_name, ACTIVE)


def supersede(
    tx: Transaction, node_id: int, file_space_id: int, places: Sequence[Place], class_name: str, now: int
) -> None:
    """New versions of these names are about to be stored, bound to this class: what that does to the older ones.

    They become bound to it too: all versions of a name are of one class.
    """
    judge = _Judge(tx, node_id)
    rule = judge.rule_of(class_name)
    new_class = object_rows.class_id(tx, class_name)
    is_limited = isinstance(rule, BackupRule) and rule.versions_exist is not None
    concerned = _VISIBLE if is_limited else f"(state = 1 OR state = 2 AND class_id <> {new_class:d})"
    rows = _versions(tx, [(file_space_id, *place) for place in places], concerned)
    judge.change(row for versions in rows for row in judge.superseded(versions, new_class, now))


def leave(tx: Transaction, node_id: int, rows: Iterable[ObjectColumns], now: int) -> None:
    """The files of these active versions are gone: they become inactive, and VERDELETED counts."""
    if not (names := sorted({row[:3] for row in rows})):
        return
    judge = _Judge(tx, node_id)
    judge.change(
        row
        for versions in _versions(tx, names, _VISIBLE)
        for row in judge.after(versions, first_place=0, file_is_gone=True, now=now)
    )


def _versions(
    tx: Transaction, names: Iterable[tuple[int, int, bytes]], states: str
) -> Iterator[list[ObjectColumns]]:
    """The versions of each name that are visible (or active), the newest first."""
    sql = (
        f"SELECT {object_rows.COLUMNS} FROM objects"
        f" WHERE file_space_id = ? AND directory_id = ? AND name = ? AND kind = 1 AND {states}"
    )
    rows = map(ObjectColumns._make, tx.each(sql, names))
    return (list(versions)[::-1] for _, versions in groupby(rows, _name))


class _Judge:
    """The policy of a node and the holds of its file spaces, read when they are first needed."""

    def __init__(self, tx: Transaction, node_id: int) -> None:
        self._tx, self._node_id = tx, node_id
        self._retention: Retention | None = None
        self._rules: dict[int, BackupRule | Grace | None] = {}
        self._holdings: dict[int, Holding] = {}
        self._paths: dict[int, bytes] = {}

    def rule_of(self, class_name: str) -> BackupRule | Grace | None:
        if self._retention is None:
            found = self._tx.one("SELECT domain FROM nodes WHERE id = ?", (self._node_id,))
            self._retention = retention(self._tx, str(found[0]) if found else "")
        return self._retention.backup(class_name)

    def after(
        self,
        versions: Sequence[ObjectColumns],
        *,
        first_place: int,
        file_is_gone: bool,
        now: int,
        new_class: int | None = None,
    ) -> Iterator[ObjectColumns]:
        """Those rows that change, as they will be. On the path of every stored file that has older versions."""
        rules = self._rules
        for place, row in enumerate(versions, first_place):
            is_active = row.state == 1
            class_id = row.class_id if new_class is None else new_class
            rule = rules[class_id] if class_id in rules else self._rule(class_id)
            if is_beyond(rule, place, file_is_gone) and not self._is_held(row):
                state = int(ObjectState.EXPIRED)
            elif is_active or class_id != row.class_id:
                state = int(ObjectState.INACTIVE)
            else:
                continue
            since = now if is_active else row.deactivated_time
            yield row._replace(state=state, class_id=class_id, deactivated_time=since)

    def superseded(
        self, versions: Sequence[ObjectColumns], new_class: int, now: int
    ) -> Iterator[ObjectColumns]:
        """As `after`, where a version of this class comes. Nearly always the others are of it already."""
        if all(row.class_id == new_class for row in versions):
            yield from self.after(versions, first_place=1, file_is_gone=False, now=now)
            return
        bound = [row._replace(class_id=new_class) for row in versions]
        changed = {row.id: row for row in self.after(bound, first_place=1, file_is_gone=False, now=now)}
        yield from (changed.get(row.id, row) for row in bound)

    def change(self, rows: Iterable[ObjectColumns]) -> None:
        object_rows.replace_rows(self._tx, list(rows))

    def _rule(self, class_id: int) -> BackupRule | Grace | None:
        if class_id not in self._rules:
            found = self._tx.one("SELECT name FROM class_names WHERE id = ?", (class_id,))
            self._rules[class_id] = self.rule_of(str(found[0]) if found else "")
        return self._rules[class_id]

    def _is_held(self, row: ObjectColumns) -> bool:
        space_id = row.file_space_id
        if space_id not in self._holdings:
            self._holdings[space_id] = holds.holding(self._tx, self._node_id, space_id)
        holding = self._holdings[space_id]
        if not holding:
            return False
        if row.directory_id not in self._paths:
            found = self._tx.one("SELECT path FROM directories WHERE id = ?", (row.directory_id,))
            self._paths[row.directory_id] = bytes(found[0]) if found else b""
        path = path_of(self._paths[row.directory_id], row.name)
        return bool(holding.by(path, row.kind, row.inserted_time))
