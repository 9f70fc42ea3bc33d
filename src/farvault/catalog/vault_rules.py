"""Target side: what each source may do, what a lowered vault lock still promises, and the clock all of it counts on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.catalog.vault import SegmentRow
from farvault.model.vault_floor import VaultFloor
from farvault.model.vault_rules import VaultRules
from farvault.policy.clock_guard import DAY_SECONDS, ClockState, Moment
from farvault.policy.vault_lock import Floor, Lock, Marked, Sleep, is_kept, lock_of, seconds_left

HOUR_SECONDS = 3600


class VaultLock:
    """The lock of one source, as it stands in this snapshot."""

    def __init__(self, r: Snapshot, node_id: int) -> None:
        rules = of_node(r, node_id)
        self._current = lock(rules)
        self._floors = [
            Floor(one.received_running, Lock(one.min_retention_days, one.min_grace_days))
            for one in nouns.select(r, VaultFloor, node_id=node_id)
        ]
        self._sleep = Sleep(Moment(rules.asleep_time, rules.asleep_running), rules.asleep_days)

    def of(self, row: SegmentRow) -> Lock:
        """What holds for a segment."""
        return lock_of(row.received_running, self._current, self._floors)

    def seconds_left(self, row: SegmentRow, now: Moment) -> int:
        """Until a marked segment may go; 0 = now."""
        grace_days = -((row.marked_time - row.delete_time) // DAY_SECONDS)
        marked = Marked(received(row), Moment(row.marked_time, row.marked_running), grace_days)
        return seconds_left(marked, self.of(row), self._sleep, now)

    def keeps(self, row: SegmentRow, now: Moment) -> bool:
        """Does the lock (not only its own grace) keep it?"""
        held = self.of(row)
        if not row.marked_time:
            return is_kept(received(row), held, now)
        return held != Lock() and self.seconds_left(row, now) > 0


def received(row: SegmentRow) -> Moment:
    """When a closed segment came."""
    return Moment(row.received_time, row.received_running)


def lock(rules: VaultRules) -> Lock:
    return Lock(rules.min_retention_days, rules.min_grace_days)


def of_node(r: Snapshot, node_id: int) -> VaultRules:
    """The node's rules; the defaults where none were ever set."""
    return nouns.find(r, VaultRules, node_id) or VaultRules(node_id=node_id)


def change(tx: Transaction, node_id: int, **values: object) -> VaultRules:
    """Store other values for some of them; returns what holds from now on."""
    rules = msgspec.structs.replace(of_node(tx, node_id), **values)
    if rules.id:
        nouns.update(tx, rules)
        return rules
    return msgspec.structs.replace(rules, id=nouns.insert(tx, rules))


def change_lock(tx: Transaction, node_id: int, running: int, **values: object) -> VaultRules:
    """As `change`. Where the lock becomes weaker, what was received until now keeps the old one."""
    old = of_node(tx, node_id)
    new = change(tx, node_id, **values)
    weaker = new.min_retention_days < old.min_retention_days or new.min_grace_days < old.min_grace_days
    if weaker:
        same = nouns.find(tx, VaultFloor, node_id, running)
        floor = VaultFloor(
            node_id=node_id,
            received_running=running,
            min_retention_days=max(old.min_retention_days, same.min_retention_days if same else 0),
            min_grace_days=max(old.min_grace_days, same.min_grace_days if same else 0),
        )
        if same is not None:
            nouns.delete(tx, same)
        nouns.insert(tx, floor)
    return new


def any_lock(r: Snapshot) -> bool:
    """Is there any vault lock at all, or one that was lowered?"""
    locked = "SELECT 1 FROM vault_rules WHERE min_retention_days > 0 OR min_grace_days > 0 LIMIT 1"
    return r.one(locked) is not None or r.one("SELECT 1 FROM vault_floors LIMIT 1") is not None


def locked(r: Snapshot, ids: Iterable[int]) -> list[tuple[int, str]]:
    """(object, node) of those that are segments a lock keeps at the last look at the clock."""
    if not any_lock(r):
        return []
    seen = clock(r) or ClockState()
    locks: dict[int, VaultLock] = {}
    found: list[tuple[int, str]] = []
    for name, *values in r.each(
        f"SELECT n.name, {', '.join(f's.{field}' for field in SegmentRow._fields)} FROM segments s"
        " JOIN nodes n ON n.id = s.node_id WHERE s.object_id = ? AND s.received_time > 0",
        [(one,) for one in ids],
    ):
        row = SegmentRow._make(values)
        if row.node_id not in locks:
            locks[row.node_id] = VaultLock(r, row.node_id)
        if locks[row.node_id].keeps(row, seen.moment):
            found.append((row.object_id, name))
    return found


# --- figures -------------------------------------------------------------------------------------------------------


def has_volumes(r: Snapshot, node_id: int) -> bool:
    """Has anything of this source ever been completed that is still here?"""
    sql = "SELECT 1 FROM segments WHERE node_id = ? AND received_time > 0 LIMIT 1"
    return r.one(sql, (node_id,)) is not None


def count_volumes(r: Snapshot, node_id: int) -> int:
    """Volumes of the source, marked, unfinished and given up ones too."""
    row = r.one("SELECT COUNT(DISTINCT volume) FROM segments WHERE node_id = ?", (node_id,))
    return int(row[0]) if row else 0


def count_bytes(r: Snapshot, node_id: int) -> int:
    """What these volumes hold; a record that several of them share counts for each."""
    row = r.one("SELECT COALESCE(SUM(stored_bytes), 0) FROM segments WHERE node_id = ?", (node_id,))
    return int(row[0]) if row else 0


def count_marked(r: Snapshot, node_id: int, since_running: int) -> int:
    """Volumes of which something was marked since then."""
    row = r.one(
        "SELECT COUNT(DISTINCT volume) FROM segments WHERE node_id = ? AND marked_running > ? AND marked_time > 0",
        (node_id, since_running),
    )
    return int(row[0]) if row else 0


def active_lengths(r: Snapshot, node_id: int) -> list[tuple[str, int]]:
    """(volume, length) of every volume with segments that are complete and not marked, by name."""
    rows = r.all(
        "SELECT volume, MAX(offset_bytes + stored_bytes) FROM segments WHERE node_id = ? AND received_time > 0"
        " AND marked_time = 0 GROUP BY volume ORDER BY volume",
        (node_id,),
    )
    return [(volume, int(length)) for volume, length in rows]


# --- the clock -----------------------------------------------------------------------------------------------------


def clock(r: Snapshot) -> ClockState | None:
    """As it was at the last look; None before the first one."""
    row = r.one("SELECT wall_seconds, running_seconds, frozen_time FROM clock_guard WHERE id = 1")
    return None if row is None else ClockState._make(row)


def set_clock(tx: Transaction, state: ClockState) -> None:
    values = (1, *state)
    tx.run(
        "INSERT INTO clock_guard VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " wall_seconds = excluded.wall_seconds, running_seconds = excluded.running_seconds,"
        " frozen_time = excluded.frozen_time, row_digest = excluded.row_digest",
        (*values, tx.digester.of("clock_guard", values)),
    )
