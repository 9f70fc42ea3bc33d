"""Owners apart on the volumes of sequential pools, in stores and copies; and accounts that say whose data lies where."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.units import MIB
from farvault.catalog import audit, nouns, owners
from farvault.model.collocation import CollocationGroup, CollocationMember
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.policy.collocation import Owner
from farvault.storage import copying
from farvault.storage.copying import copy_aggregates

NODES = ("ALICE", "BOB", "CAROL", "DAVE")


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    """Four nodes; the volumes of TAPEPOOL and COPYPOOL hold 16 MiB."""
    made = make_depot()
    with made.catalog.write() as tx:
        for name in NODES[2:]:
            nouns.insert(tx, FileSpace(node_id=nouns.insert(tx, Node(name=name)), name="/home", number=1))
    return made


def make_group(depot: Depot, name: str, *members: str) -> None:
    with depot.catalog.write() as tx:
        group_id = nouns.insert(tx, CollocationGroup(name=name))
        for member in members:
            nouns.insert(tx, CollocationMember(group_id=group_id, node_id=nouns.get(tx, Node, member).id))


def send_all(depot: Depot, pool: str = "TAPEPOOL", rounds: int = 2) -> None:
    """Every node in turn, so that without collocation their data would be mixed."""
    for turn in range(rounds):
        for number, node in enumerate(NODES):
            depot.send(some_files(3, start=1000 * turn + 10 * number), node, pool)


def nodes_on(depot: Depot, pool: str) -> list[set[str]]:
    """Of each volume, whose data lies on it: as the placements say."""
    with depot.catalog.read() as r:
        names = {node.id: node.name for node in nouns.select(r, Node)}
    found: dict[int, set[str]] = defaultdict(set)
    for row in depot.placed(pool):
        found[row.volume_id].add(names[row.node_id])
    return [found[number] for number in sorted(found)]


def copy_all(depot: Depot) -> None:
    copy_aggregates(depot.storage, depot.placed("TAPEPOOL"), depot.pool("COPYPOOL"))


def assert_accounts_are_right(depot: Depot) -> None:
    with depot.catalog.read() as r:
        assert [said for said in audit.check_sums(r) if "owner" in said] == []


def test_without_collocation_a_volume_is_filled_by_everybody(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", collocate="NO")
    send_all(depot)
    assert nodes_on(depot, "TAPEPOOL") == [set(NODES)]


def test_nodes_are_kept_apart(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", collocate="NODE")
    send_all(depot)
    assert nodes_on(depot, "TAPEPOOL") == [{name} for name in NODES]
    for node in NODES:
        assert len(depot.restore(node)) == 6


def test_the_nodes_of_a_group_share_volumes_and_others_go_by_themselves(depot: Depot) -> None:
    make_group(depot, "FAMILY", "ALICE", "CAROL")
    depot.change_pool("TAPEPOOL", collocate="GROUP")
    send_all(depot)
    assert nodes_on(depot, "TAPEPOOL") == [{"ALICE", "CAROL"}, {"BOB"}, {"DAVE"}]


def test_file_spaces_are_kept_apart_and_share_with_their_own_node_when_scratch_runs_out(
    depot: Depot,
) -> None:
    depot.change_pool("TAPEPOOL", collocate="FILESPACE", max_scratch=2)
    alice = depot.node()
    with depot.catalog.write() as tx:
        nouns.insert(tx, FileSpace(node_id=alice.id, name="/srv", number=2))
        nouns.insert(tx, FileSpace(node_id=alice.id, name="/opt", number=3))
    depot.send(some_files(1))
    depot.send(some_files(9, start=100), "BOB")
    for name in ("/srv", "/opt"):
        with depot.catalog.read() as r:
            space = nouns.get(r, FileSpace, alice.id, name)
        volumes, pool = depot.storage.volumes, depot.pool("TAPEPOOL")
        output = volumes.acquire_output(
            pool, 4096, key=depot.storage.choice.key_of(pool, Owner(alice.id, space.id))
        )
        assert output.volume.id == depot.volumes()[0].id, "hers, although Bob's is fuller"
        output.abandon()
        depot.storage.volumes.release(output)


def test_when_scratch_runs_out_the_emptiest_volume_is_shared(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", collocate="NODE", max_scratch=2)
    depot.send(some_files(20), "ALICE")
    depot.send(some_files(2, start=100), "BOB")
    depot.send(some_files(1, start=200), "CAROL")
    assert nodes_on(depot, "TAPEPOOL") == [{"ALICE"}, {"BOB", "CAROL"}]


def test_a_node_that_fills_its_volume_goes_on_with_another_of_its_own(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", collocate="NODE")
    depot.send(some_files(1, start=900), "BOB")
    depot.send(some_files(90, 300_000), "ALICE")
    assert nodes_on(depot, "TAPEPOOL") == [{"BOB"}, {"ALICE"}, {"ALICE"}]


def test_a_copy_pool_sorts_what_was_mixed(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "WINDOW_BYTES", 4 * MIB)
    send_all(depot, rounds=4)
    depot.change_pool("COPYPOOL", collocate="NODE")
    copy_all(depot)
    assert nodes_on(depot, "COPYPOOL") == [{name} for name in NODES]
    for volume in depot.volumes("TAPEPOOL"):
        depot.change_volume(volume, access="UNAVAILABLE")
    for node in NODES:
        assert len(depot.restore(node)) == 12


def test_a_copy_interrupted_between_two_owners_goes_on_where_it_was(depot: Depot) -> None:
    send_all(depot)
    depot.change_pool("COPYPOOL", collocate="NODE", max_scratch=2)
    copy_all(depot)
    depot.restart()
    copy_all(depot)
    assert_accounts_are_right(depot)
    assert len(depot.placed("COPYPOOL")) == len(depot.placed("TAPEPOOL"))
    assert len(nodes_on(depot, "COPYPOOL")) == 2, "MAXSCRATCH holds: owners share"


def test_turning_collocation_on_concerns_what_is_written_from_then_on(depot: Depot) -> None:
    send_all(depot, rounds=1)
    depot.change_pool("TAPEPOOL", collocate="NODE")
    depot.send(some_files(3, start=500), "ALICE")
    assert nodes_on(depot, "TAPEPOOL")[0] == set(NODES), "her data lies there, so hers go on there"


def test_an_account_ends_with_the_last_record_of_its_owner(depot: Depot) -> None:
    send_all(depot)
    depot.storage.delete_objects(depot.inventory("ALICE").values())
    (volume,) = depot.volumes()
    with depot.catalog.read() as r:
        left = {row.node_id for row in owners.on_volume(r, volume.id)}
        assert owners.of_node(r, depot.node("ALICE").id) == []
    assert left == {depot.node(name).id for name in NODES[1:]}


_STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "delete", "copy", "drop", "restart"]), st.sampled_from(NODES)),
    min_size=3,
    max_size=12,
)


@settings(max_examples=15, deadline=None)
@given(steps=_STEPS)
def test_accounts_are_at_all_times_what_the_placements_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    depot = Depot(tmp_path_factory.mktemp("depot"))
    try:
        with depot.catalog.write() as tx:
            for name in NODES[2:]:
                nouns.insert(tx, FileSpace(node_id=nouns.insert(tx, Node(name=name)), name="/home", number=1))
        for number, (step, node) in enumerate(steps):
            if step == "send":
                depot.send(some_files(2, 20_000, start=number * 10), node)
            elif step == "delete":
                depot.storage.delete_objects(depot.inventory(node).values())
            elif step == "copy":
                copy_all(depot)
            elif step == "drop":
                with depot.catalog.write() as tx:
                    depot.storage.drop_placements(tx, depot.placed("COPYPOOL")[:1])
            else:
                depot.restart()
            assert_accounts_are_right(depot)
    finally:
        depot.close()
