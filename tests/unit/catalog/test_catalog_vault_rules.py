"""Target side: rules of sources, floors of lowered locks, what holds a segment, and a vault that is put back."""

from __future__ import annotations

from tests.unit.catalog.catalog_world import World
from tests.unit.catalog.segments import DAY, VOLUME, check, send, spans

from farvault.catalog import epoch, holds, nouns, pending_deletions, vault, vault_rules
from farvault.catalog.vault_rules import VaultLock
from farvault.model.device_class import DeviceClass
from farvault.model.node import Node
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.vault_rules import VaultRules
from farvault.policy.clock_guard import ClockState, Moment
from farvault.policy.vault_lock import Lock


def test_a_node_without_rules_has_those_of_the_reference(world: World) -> None:
    with world.catalog.read() as r:
        rules = vault_rules.of_node(r, world.node)
    assert rules == VaultRules(node_id=world.node)
    assert (rules.min_retention_days, rules.min_grace_days, rules.force_sync) == (0, 0, "ALLOW")
    assert rules.read_only_sessions and rules.max_vault_bytes is None


def test_rules_are_changed_one_by_one_and_go_with_the_node(world: World) -> None:
    with world.catalog.write() as tx:
        vault_rules.change(tx, world.node, min_grace_days=7)
        vault_rules.change(tx, world.node, max_vault_bytes=5)
        stored = vault_rules.of_node(tx, world.node)
        assert (stored.min_grace_days, stored.max_vault_bytes) == (7, 5)
        node_id = nouns.insert(tx, Node(name="GONE", type="SERVER"))
        vault_rules.change_lock(tx, node_id, 5, min_grace_days=9)
        vault_rules.change_lock(tx, node_id, 6, min_grace_days=0)
        nouns.delete(tx, nouns.get(tx, Node, "GONE"))
        assert nouns.count(tx, VaultRules) == 1
    check(world)


def test_lowering_a_lock_counts_only_for_what_comes_later(world: World) -> None:
    first = send(world, [b"one"], volume="A")
    with world.catalog.write() as tx:
        vault_rules.change_lock(tx, world.node, 10, min_retention_days=30, min_grace_days=7)
        vault_rules.change_lock(tx, world.node, 20, min_retention_days=1, min_grace_days=9)
        vault_rules.change_lock(tx, world.node, 20, min_retention_days=0, min_grace_days=0)
    with world.catalog.read() as r:
        lock, row = VaultLock(r, world.node), vault.segment(r, first)
        assert lock.of(row) == lock.of(row._replace(received_running=20)) == Lock(30, 9)
        assert lock.of(row._replace(received_running=21)) == Lock(0, 0)
        later = row._replace(received_time=100, marked_time=100, delete_time=100 + 2 * DAY)
        assert lock.seconds_left(later, Moment(100, 0)) == 30 * DAY
        assert lock.seconds_left(later._replace(received_running=21), Moment(100, 21)) == 2 * DAY
    check(world)


def test_a_locked_segment_is_held_whether_or_not_it_is_marked(world: World) -> None:
    locked = send(world, [b"one"], volume="A", now=100)
    others = send(world, [b"two"], volume="B", now=100, node=world.other_node)
    with world.catalog.write() as tx:
        assert holds.held(tx, [locked, others]) == {} and not holds.any_rules(tx)
        vault_rules.change_lock(tx, world.node, 0, min_retention_days=3)
        vault_rules.set_clock(tx, ClockState(100 + 2 * DAY, 2 * DAY, 0))
        (names,) = holds.held(tx, [locked, others]).values()
        assert names[0].startswith("vault lock of ")
        vault.mark(tx, world.node, "A", 100 + DAY, 0, DAY)
        assert list(holds.held(tx, [locked, others])) == [locked]
        vault_rules.set_clock(tx, ClockState(100 + 3 * DAY, 3 * DAY, 0))
        assert holds.held(tx, [locked, others]) == {}


def test_figures_count_volumes_bytes_and_what_was_marked_lately(world: World) -> None:
    send(world, [b"one", b"two!"], volume="A")
    send(world, [b"three"], offset=0x1000, volume="A")
    send(world, [b"four"], volume="B")
    send(world, [b"five"], volume="C", node=world.other_node)
    with world.catalog.write() as tx:
        assert vault_rules.count_volumes(tx, world.node) == 2
        assert vault_rules.count_bytes(tx, world.node) == len(b"onetwo!threefour")
        assert vault_rules.active_lengths(tx, world.node) == [("A", 0x1000 + 5), ("B", 4)]
        assert vault.mark(tx, world.node, "A", 500, 5, running=90) == 2
        assert vault_rules.count_marked(tx, world.node, 89) == 1
        assert vault_rules.count_marked(tx, world.node, 90) == 0
        assert vault_rules.active_lengths(tx, world.node) == [("B", 4)]
        vault.unmark(tx, world.node, "A")
        assert vault_rules.count_marked(tx, world.node, 0) == 0


def test_due_segments_come_page_by_page_and_a_changed_one_is_not_withdrawn(world: World) -> None:
    one, two = send(world, [b"one"], volume="A"), send(world, [b"two"], volume="B")
    with world.catalog.write() as tx:
        vault.mark(tx, world.node, "A", 10, 0)
        vault.mark(tx, world.node, "B", 10, 0)
        (first,) = vault.due(tx, 10, limit=1)
        (second,) = vault.due(tx, 10, limit=1, after=(first.delete_time, first.object_id))
        assert (first.object_id, second.object_id) == (one, two)
        vault.unmark(tx, world.node, "A")
        assert vault.withdraw(tx, [first, second]) == [two]


def test_a_vault_is_put_back_to_what_it_was(world: World) -> None:
    """Overwritten in the middle, deleted, and new: the old volume stands again, the new ones are marked."""
    send(world, [b"one!", b"two!", b"six!"], now=100)
    send(world, [b"gone"], volume="DELETED", now=100)
    send(world, [b"before"], volume="OLD MARK", now=100)
    with world.catalog.write() as tx:
        vault.mark(tx, world.node, "OLD MARK", 150, 50)
    send(world, [b"evil"], offset=4, now=300)
    send(world, [b"new"], volume="NEW", now=300)
    with world.catalog.write() as tx:
        vault.mark(tx, world.node, "DELETED", 300, 5)
    assert spans(world, (0, 4), (4, 4), (8, 4)) != [None, None, None]
    with world.catalog.write() as tx:
        done = [
            vault.revert(tx, world.node, name, 200, 400, 5, 40) for name in vault.volume_names(tx, world.node)
        ]
        assert sum(revived for revived, _ in done) == 2
        assert vault_rules.active_lengths(tx, world.node) == [(VOLUME, 12), ("DELETED", 4)]
        again = [vault.revert(tx, world.node, name, 200, 400, 5, 40) for name in (VOLUME, "DELETED", "NEW")]
        assert again == [(0, 0)] * 3
    with world.catalog.read() as r:
        found = vault.spans(r, world.node, VOLUME, [(0, 4), (4, 4), (8, 4)])
        contents = [row[2] for row in vault.volume_records(r, world.node, VOLUME)][:3]
        assert [one and one[0] for one in found] == contents
    check(world)


def test_the_epoch_moves_and_two_restores_of_one_backup_differ(world: World) -> None:
    with world.catalog.write() as tx:
        assert epoch.epoch(tx) == 1
        assert epoch.raise_epoch(tx, 500) == 500
        assert epoch.raise_epoch(tx, 400) == 501
        assert epoch.epoch(tx) == 501


def test_a_deletion_waits_once_and_says_why(world: World) -> None:
    with world.catalog.write() as tx:
        nouns.insert(tx, DeviceClass(name="TARGETCLASS", device_type="SERVER", server_name="TOKYO"))
        one = pending_deletions.add(tx, "TARGETCLASS", "DELHI.BFS.1", 5)
        assert pending_deletions.add(tx, "TARGETCLASS", "DELHI.BFS.1", 9) == one
        two = pending_deletions.add(tx, "TARGETCLASS", "DELHI.BFS.2", 7)
        pending_deletions.failed(tx, one, "away", 8)
        assert [row.volume for row in pending_deletions.waiting(tx)] == ["DELHI.BFS.2", "DELHI.BFS.1"]
        assert pending_deletions.of_server(tx, "TOKYO") == (2, 5, "away")
        assert pending_deletions.of_server(tx, "OSAKA") == (0, 0, "")
        pending_deletions.told(tx, two)
        pending_deletions.failed(tx, two, "told already", 9)
        (left,) = pending_deletions.waiting(tx)
        assert (left.tries, left.last_error) == (1, "away")
        assert isinstance(left, PendingDeletion)
    check(world)
