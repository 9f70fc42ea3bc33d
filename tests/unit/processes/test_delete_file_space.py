"""A file space goes with all it holds, or with one kind of it; others' objects and their shared data stay."""

from __future__ import annotations

import pytest
from tests.unit.processes.depot_work import back_up, define_random_volume, killed_at, run, said
from tests.unit.storage.depot import Depot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import NotFound
from farvault.catalog import nouns, objects, placements
from farvault.model.file_space import FileSpace
from farvault.model.stored_object import ObjectKind
from farvault.processes import delete_file_space as deleting
from farvault.processes.delete_file_space import delete_file_space
from farvault.processes.process import Process, State

FILES = some_files(20, 300_000)


def delete(depot: Depot, node: str = "ALICE", *, kind: int | None = None) -> Process:
    return run(depot, lambda p: delete_file_space(depot.storage, p, node, "/home", kind=kind))


def exists(depot: Depot, node: str = "ALICE") -> bool:
    with depot.catalog.read() as r:
        return nouns.find(r, FileSpace, depot.node(node).id, "/home") is not None


def count(depot: Depot, kind: ObjectKind) -> int:
    with depot.catalog.read() as r:
        space = depot.file_space(depot.node()).id
        return len(list(objects.inventory(r, space, kind, active_only=False)))


def test_everything_goes_with_all_copies_and_the_volumes_with_it(depot: Depot) -> None:
    depot.send(FILES)
    depot.send({"file0001": b"newer"})
    depot.send(FILES, kind=ObjectKind.ARCHIVE)
    back_up(depot)
    process = delete(depot)
    assert (process.state, process.objects) == (State.SUCCESS, 41)
    assert not exists(depot)
    assert depot.volumes("TAPEPOOL") == depot.volumes("COPYPOOL") == []
    assert "41 objects were deleted" in said(depot, "ANR0806I").text
    assert "ANR0807I" in depot.messages()


def test_of_a_random_access_pool_the_space_comes_back(depot: Depot) -> None:
    volume = define_random_volume(depot)
    free = depot.storage.spaces.of(volume).free_bytes
    depot.send(FILES, pool="BACKUPPOOL")
    assert depot.storage.spaces.of(volume).free_bytes < free
    delete(depot)
    assert depot.storage.spaces.of(volume).free_bytes == free


def test_what_another_node_shares_stays(depot: Depot) -> None:
    depot.send(FILES)
    depot.send(FILES, "BOB")
    delete(depot)
    assert depot.restore("BOB") == FILES
    assert exists(depot, "BOB")


@pytest.mark.parametrize("kind", [ObjectKind.BACKUP, ObjectKind.ARCHIVE])
def test_one_kind_goes_and_the_other_keeps_the_file_space(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, kind: ObjectKind
) -> None:
    monkeypatch.setattr(deleting, "BATCH", 3)
    depot.send(FILES)
    depot.send(FILES, kind=ObjectKind.ARCHIVE)
    process = delete(depot, kind=kind)
    assert process.objects == 20
    other = ObjectKind.ARCHIVE if kind is ObjectKind.BACKUP else ObjectKind.BACKUP
    assert (count(depot, kind), count(depot, other)) == (0, 20)
    assert exists(depot) and "ANR0807I" not in depot.messages()
    delete(depot, kind=other)
    assert not exists(depot)


def test_of_an_empty_kind_nothing_goes(depot: Depot) -> None:
    depot.send(FILES)
    process = delete(depot, kind=ObjectKind.SPACE_MANAGED)
    assert (process.state, process.objects) == (State.SUCCESS, 0)
    assert depot.restore() == FILES


def test_an_unknown_file_space_is_not_found(depot: Depot) -> None:
    process = run(depot, lambda p: delete_file_space(depot.storage, p, "ALICE", "/nowhere"))
    assert process.error is not None and process.error.id == "ANR0852E"


def test_who_stores_into_it_meanwhile_is_refused_or_keeps_it(depot: Depot) -> None:
    depot.send(FILES)
    late, early = depot.begin(), some_files(1, start=90)

    def store(label: str) -> None:
        if label == "file_space.delete.before_row":
            observe_crash_points(None)
            depot.send(early)

    observe_crash_points(store)
    assert delete(depot).state is State.SUCCESS
    assert exists(depot) and depot.restore() == early
    delete(depot)
    assert not exists(depot)
    late.expire([1])
    late.abort()
    with depot.catalog.write() as tx, pytest.raises(NotFound):
        objects.store_objects(tx, node_id=1, file_space_id=1, kind=1, management_class="X", objects=[], now=1)


def test_cancelled_it_leaves_whole_objects_and_a_second_run_goes_on(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "BATCH", 5)
    depot.send(FILES)

    def work(process: Process) -> None:
        observe_crash_points(lambda label: process.cancel_event.set() if process.objects else None)
        delete_file_space(depot.storage, process, "ALICE", "/home")

    process = run(depot, work)
    observe_crash_points(None)
    assert (process.state, process.objects) == (State.CANCELLED, 5)
    assert len(depot.restore()) == 15
    assert delete(depot).objects == 15
    assert not exists(depot)


@pytest.mark.parametrize(
    ("label", "nth"), [("file_space.delete.before_objects", 2), ("file_space.delete.before_row", 1)]
)
def test_killed_between_two_steps_a_second_run_completes(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, label: str, nth: int
) -> None:
    monkeypatch.setattr(deleting, "BATCH", 5)
    depot.send(FILES)
    killed_at(depot, label, lambda p: delete_file_space(depot.storage, p, "ALICE", "/home"), nth)
    assert depot.restore().keys() == depot.inventory().keys()
    assert delete(depot).state is State.SUCCESS
    assert not exists(depot)
    with depot.catalog.read() as r:
        assert not any(placements.has_placements(r, volume.id) for volume in depot.volumes())
