"""Expiration beside everything else: killed at any step, policy and holds that change under it, objects of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.processes.depot_work import killed_at, said
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.units import MIB
from farvault.catalog import freeing, nouns
from farvault.catalog.transaction import Transaction
from farvault.model.hold import Hold, HoldRule
from farvault.model.policy import ACTIVE, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.processes import expire_inventory as module
from farvault.processes.expire_inventory import DESCRIPTION, Options, expire_inventory
from farvault.processes.process import Process, Processes, State

DAY = 86_400


def set_policy(tx: Transaction, **values: Any) -> None:
    """The ACTIVE set anew, as ACTIVATE POLICYSET makes it."""
    old = nouns.find(tx, PolicySet, "STANDARD", ACTIVE)
    if old is None:
        nouns.insert(tx, Domain(name="STANDARD"))
    else:
        for noun in (CopyGroup, ManagementClass, PolicySet):
            for each in nouns.select(tx, noun, domain="STANDARD"):
                nouns.delete(tx, each)
    place = {"domain": "STANDARD", "policy_set": ACTIVE}
    nouns.insert(tx, PolicySet(domain="STANDARD", name=ACTIVE, default_class="STANDARD"))
    nouns.insert(tx, ManagementClass(**place, name="STANDARD"))
    nouns.insert(tx, CopyGroup(**place, management_class="STANDARD", destination="TAPEPOOL", **values))


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    """Ten files, each with an inactive version whose days are over."""
    made = make_depot()
    with made.catalog.write() as tx:
        set_policy(tx)
    made.send(some_files(10, 3000))
    made.send(some_files(10, 4000))
    made.clock.advance(31 * DAY)
    return made


def work_of(depot: Depot, **options: Any) -> Callable[[Process], None]:
    return lambda process: expire_inventory(depot.storage, process, Options(resources=1, **options))


def run(depot: Depot, **options: Any) -> Process:
    return Processes(depot.log, depot.clock).start(DESCRIPTION, work_of(depot, **options), wait=True)


def rows(depot: Depot, table: str = "objects") -> int:
    with depot.catalog.read() as r:
        return int(r.all(f"SELECT COUNT(*) FROM {table}")[0][0])


def once_before_deleting(action: Callable[[], None]) -> None:
    pending = [action]

    def observe(passed: str) -> None:
        if passed == "inventory.expire.before_delete" and pending:
            pending.pop()()

    observe_crash_points(observe)


@pytest.mark.parametrize("label", ["inventory.expire.before_delete", "inventory.expire.after_delete"])
@pytest.mark.parametrize("nth", [1, 3])
def test_killed_at_any_step_the_next_run_completes_it(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, label: str, nth: int
) -> None:
    monkeypatch.setattr(module, "FEWEST", 2)
    monkeypatch.setattr(module, "MOST", 2)
    killed_at(depot, label, work_of(depot), nth)
    assert depot.restore() == some_files(10, 4000)
    assert run(depot).state is State.SUCCESS
    assert rows(depot) == 10 and depot.restore() == some_files(10, 4000)


def test_the_space_of_what_expired_comes_back(depot: Depot) -> None:
    before = len(depot.placed("TAPEPOOL"))
    run(depot)
    assert len(depot.placed("TAPEPOOL")) < before


def test_what_is_held_while_it_runs_stays(depot: Depot) -> None:
    def hold() -> None:
        with depot.catalog.write() as tx:
            hold_id = nouns.insert(tx, Hold(name="TRIAL"))
            nouns.insert(tx, HoldRule(hold_id=hold_id, node_id=depot.node().id, pattern="*file0003"))

    once_before_deleting(hold)
    run(depot)
    assert rows(depot) == 11
    assert "1 held objects stay" in said(depot, "ANR0812I").text


def test_what_is_activated_while_it_runs_counts(depot: Depot) -> None:
    def activate() -> None:
        with depot.catalog.write() as tx:
            set_policy(tx, retain_extra_days=100)

    once_before_deleting(activate)
    run(depot)
    assert rows(depot) == 20


def test_what_is_rebound_while_it_runs_is_left_to_the_next_run(depot: Depot) -> None:
    def rebind() -> None:
        with depot.catalog.write() as tx:
            tx.run("INSERT INTO class_names VALUES (99, 'OTHER')")
            (row,) = tx.all("SELECT id FROM objects WHERE state = 2 ORDER BY id LIMIT 1")
            module.freeing.object_rows.replace_rows(
                tx, [one._replace(class_id=99) for one in module.freeing.object_rows.fetch(tx, row)]
            )

    once_before_deleting(rebind)
    run(depot)
    assert rows(depot) == 11
    run(depot)
    assert rows(depot) == 10


def test_an_object_of_more_extents_than_a_transaction_takes_goes_in_pieces(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.send({"large": bytes(3 * MIB)[:-3] + b"abc", "small": b"x"})
    depot.send({"large": b"y", "small": b"z"})
    depot.clock.advance(31 * DAY)
    monkeypatch.setattr(module, "FEWEST", 1)
    monkeypatch.setattr(module, "MOST", 1)
    assert run(depot).state is State.SUCCESS
    assert rows(depot) == 12 and rows(depot, "deletions") == 0
    assert "deleting 12 backup objects" in said(depot, "ANR0812I").text


def test_names_are_never_cut_in_two(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    with depot.catalog.write() as tx:
        set_policy(tx, versions_exist=None)
    for number in range(7):
        depot.send({"often": b"%d" % number})
    monkeypatch.setattr(module, "PIECE_OBJECTS", 3)
    assert run(depot).state is State.SUCCESS
    assert rows(depot) == 17, "RETEXTRA is not over for what came today"


def test_a_run_takes_the_file_spaces_that_waited_longest_first(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.send(some_files(1), "BOB")
    order: list[str] = []
    real = module._Run._expire_file_space

    def note(run: Any, node: Any, space: Any, place: Any) -> None:
        order.append(node.name)
        real(run, node, space, place)

    monkeypatch.setattr(module._Run, "_expire_file_space", note)
    run(depot, nodes=[depot.node("ALICE")])
    depot.clock.advance(10)
    run(depot)
    assert order == ["ALICE", "BOB", "ALICE"]


def test_cancelled_it_says_how_far_it_came_and_the_next_goes_on(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE_OBJECTS", 4)
    processes = Processes(depot.log, depot.clock)
    passed: list[str] = []

    def cancel(label: str) -> None:
        passed.append(label)
        if passed.count("inventory.expire.after_delete") == 2:
            processes.list()[0].cancel_event.set()

    observe_crash_points(cancel)
    work = work_of(depot)
    process = processes.start(DESCRIPTION, work, wait=True)
    observe_crash_points(None)
    assert process.state is State.CANCELLED
    assert "(cancelled)" in said(depot, "ANR0813I").text
    with depot.catalog.read() as r:
        assert r.all("SELECT object_id > 0 FROM expirations") == [(1,)]
    run(depot)
    assert rows(depot) == 10


def test_a_deleted_node_does_not_stop_the_others(depot: Depot) -> None:
    depot.send(some_files(2, 3000), "BOB")
    depot.send(some_files(2, 4000), "BOB")
    depot.clock.advance(31 * DAY)

    def lose() -> None:
        with depot.catalog.write() as tx:
            left = [row[0] for row in tx.all("SELECT id FROM objects WHERE file_space_id = 1")]
            while left:
                left = freeing.delete_objects(tx, left).left
            tx.run("DELETE FROM directories WHERE file_space_id = 1")
            tx.run("DELETE FROM file_spaces WHERE id = 1")
            tx.run("DELETE FROM nodes WHERE name = 'ALICE'")

    once_before_deleting(lose)
    assert run(depot).state is State.SUCCESS
    assert rows(depot) == 2


@pytest.mark.parametrize(
    ("size", "seconds", "following"),
    [(128, 0.0, 256), (8192, 0.0, 8192), (1000, 0.03, 1000), (1000, 0.3, 128), (1000, 0.06, 500)],
)
def test_transactions_grow_and_shrink_with_the_time_they_take(
    size: int, seconds: float, following: int
) -> None:
    assert module._next_size(size, seconds) == following
