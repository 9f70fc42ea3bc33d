"""What holds hold: the rules of a file space, and which of some objects must not go. Costs one look where there is none.

The vault lock of a source is a hold too, of its segments: nobody removes them before their time, in whatever way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from farvault.catalog import nouns, vault_rules
from farvault.catalog.transaction import Snapshot
from farvault.model.hold import Hold, HoldRule
from farvault.policy.holding import Holding, path_of


def holding(r: Snapshot, node_id: int, file_space_id: int) -> Holding:
    """The rules that concern this file space; false where there is none."""
    rules = nouns.select(r, HoldRule, node_id=node_id)
    return Holding(_names(r) if rules else {}, rules, file_space_id)


def rules_of(r: Snapshot, node_id: int) -> tuple[tuple[int, int], ...]:
    """What changes whenever a hold of this node changes: for those who decide first and act a moment later."""
    rows = r.all("SELECT id, holds FROM hold_rules WHERE node_id = ? ORDER BY id", (node_id,))
    return tuple((row[0], row[1]) for row in rows)


def any_rules(r: Snapshot) -> bool:
    """Is there any hold, or vault lock, that could hold anything?"""
    return r.one("SELECT 1 FROM hold_rules LIMIT 1") is not None or vault_rules.any_lock(r)


def held(r: Snapshot, ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Those of these objects that are held, with the names of the holds. Expired versions are not: they are gone."""
    if not any_rules(r):
        return {}
    ids = list(ids)
    known: dict[int, Holding] = {}
    found: dict[int, tuple[str, ...]] = {
        object_id: (f"vault lock of {node}",) for object_id, node in vault_rules.locked(r, ids)
    }
    for object_id, node_id, space_id, directory, name, kind, inserted_time in r.each(
        "SELECT o.id, f.node_id, f.id, d.path, o.name, o.kind, o.inserted_time FROM objects o"
        " JOIN file_spaces f ON f.id = o.file_space_id JOIN directories d ON d.id = o.directory_id"
        " WHERE o.id = ? AND o.state NOT IN (0, 4)",
        [(one,) for one in ids],
    ):
        if space_id not in known:
            known[space_id] = holding(r, node_id, space_id)
        if names := known[space_id].by(path_of(directory, name), kind, inserted_time):
            found[object_id] = (*names, *found.get(object_id, ()))
    return found


class Held(NamedTuple):
    """What a hold keeps at this moment."""

    objects: int
    bytes: int


def count(r: Snapshot, hold: Hold) -> Held:
    """Objects the hold holds and their sizes. Reads the file spaces its rules name, nothing else."""
    rules = nouns.select(r, HoldRule, hold_id=hold.id)
    nodes = {rule.node_id for rule in rules if rule.holds}
    objects = size = 0
    for space_id, node_id in r.all("SELECT id, node_id FROM file_spaces ORDER BY id"):
        if node_id not in nodes:
            continue
        asked = Holding({hold.id: hold.name}, [rule for rule in rules if rule.node_id == node_id], space_id)
        if not asked:
            continue
        for directory, name, kind, inserted_time, size_bytes in r.rows(
            "SELECT d.path, o.name, o.kind, o.inserted_time, o.size_bytes FROM objects o"
            " JOIN directories d ON d.id = o.directory_id WHERE o.file_space_id = ? AND o.state NOT IN (0, 4)",
            (space_id,),
        ):
            if asked.by(path_of(directory, name), kind, inserted_time):
                objects, size = objects + 1, size + size_bytes
    return Held(objects, size)


def _names(r: Snapshot) -> dict[int, str]:
    return {hold.id: hold.name for hold in nouns.select(r, Hold)}
