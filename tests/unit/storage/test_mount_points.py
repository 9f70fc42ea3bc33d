"""Mount points among real readers, writers and copies: limits hold, the urgent goes first, nothing waits in a circle."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest
from tests.unit.storage.depot import Depot, packs, send_pack, some_files

from farvault.base.cancel import cancelled_by
from farvault.base.errors import FarvaultError, NotAvailable
from farvault.base.units import MIB
from farvault.catalog.placements import PlacementRow
from farvault.media.interface import VolumeReader
from farvault.policy.mount_points import Priority
from farvault.storage.copying import Copied, copy_aggregates
from farvault.storage.intake import Intake
from farvault.storage.mount_points import PROCESS_WAIT_SECONDS, GiveWay, MountPoints, Worker
from farvault.storage.rebuilding import Rebuilt, rebuild_aggregates
from farvault.storage.simultaneous import StoreSession

SECONDS = 60


@pytest.fixture
def patient(depot: Depot) -> Depot:
    """Waits do not run out: the clock stands still."""
    depot.storage.volumes.mounts.wait_seconds = SECONDS
    return depot


def send_many(depot: Depot, records: int = 16, pool: str = "TAPEPOOL") -> dict[str, bytes]:
    """Each transaction makes one record."""
    for number in range(records):
        depot.send(some_files(1, start=number), pool=pool)
    return some_files(records)


def in_thread(work: Callable[[], object], errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def copy(depot: Depot, rows: list[PlacementRow], pool: str, priority: Priority = Priority.COPY) -> Copied:
    return copy_aggregates(depot.storage, rows, depot.pool(pool), priority=priority, who=f"copy into {pool}")


def until_somebody_waits(mounts: MountPoints, who: str) -> None:
    with mounts.changed:
        assert mounts.changed.wait_for(lambda: any(one.who == who for one in mounts.waiting), SECONDS)


# --- copies that want the same points ------------------------------------------------------------------------------


def test_with_one_point_for_both_reading_and_writing_take_turns(patient: Depot) -> None:
    files = send_many(patient, 30)
    patient.change_pool("COPYPOOL", device_class="TAPECLASS")
    patient.change_class("TAPECLASS", mount_limit=1)
    assert copy(patient, patient.placed("TAPEPOOL"), "COPYPOOL").records == 30
    assert patient.messages().count("ANR4760I") == 1
    for volume in patient.volumes("TAPEPOOL"):
        patient.change_volume(volume, access="UNAVAILABLE")
    assert patient.restore() == files


def test_a_move_that_takes_turns_writes_its_copies_along(patient: Depot) -> None:
    send_many(patient, 15)
    patient.change_pool("TARGETPOOL", device_class="TAPECLASS")
    patient.change_class("TAPECLASS", mount_limit=1)
    done = copy_aggregates(
        patient.storage,
        patient.placed("TAPEPOOL"),
        patient.pool("TARGETPOOL"),
        beside=[patient.pool("COPYPOOL")],
    )
    assert done.records == 15 == len(patient.placed("TARGETPOOL")) == len(patient.placed("COPYPOOL"))
    assert "ANR4760I" in patient.messages() and patient.storage.volumes.mounts.kept == {}


def test_two_copies_in_opposite_directions_do_not_wait_for_each_other(
    patient: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its reading point and wants the other's class for writing: neither would ever get it."""
    send_many(patient)
    copy(patient, patient.placed("TAPEPOOL"), "COPYPOOL")
    patient.change_pool("TARGETPOOL", device_class="TAPECLASS")
    patient.change_pool("TARGETCOPYPOOL", device_class="COPYCLASS")
    patient.change_class("TAPECLASS", mount_limit=1)
    patient.change_class("COPYCLASS", mount_limit=1)
    both_read = threading.Barrier(2)
    real = patient.storage.volumes.open_reader
    first = Counter[str]()

    @contextlib.contextmanager
    def open_reader(class_name: str, *rest: object) -> Iterator[VolumeReader]:
        with real(class_name, *rest) as reader:  # type: ignore[arg-type]
            first[class_name] += 1
            if first[class_name] == 1:
                both_read.wait(SECONDS)
            yield reader

    monkeypatch.setattr(patient.storage.volumes, "open_reader", open_reader)
    tapes, copies = patient.pool("TAPEPOOL").id, patient.pool("COPYPOOL").id
    done: list[Copied] = []
    errors: list[BaseException] = []

    def move(source: str, source_id: int, pool: str) -> Callable[[], None]:
        rows = patient.placed(source)
        return lambda: done.append(
            copy_aggregates(
                patient.storage, rows, patient.pool(pool), allowed=lambda row: row.pool_id == source_id
            )
        )

    threads = [
        in_thread(move("TAPEPOOL", tapes, "TARGETCOPYPOOL"), errors),
        in_thread(move("COPYPOOL", copies, "TARGETPOOL"), errors),
    ]
    for thread in threads:
        thread.join(SECONDS)
    assert errors == [] and [one.records for one in done] == [16, 16]
    assert not any(one.lost for one in done)


def test_a_backup_a_migration_a_copy_and_a_restore_all_come_to_their_end_with_one_point_each(
    patient: Depot,
) -> None:
    files = send_many(patient)
    copy(patient, patient.placed("TAPEPOOL"), "COPYPOOL")
    patient.change_pool("TARGETPOOL", device_class="TAPECLASS")
    patient.change_pool("TARGETCOPYPOOL", device_class="TAPECLASS")
    patient.change_class("TAPECLASS", mount_limit=1)
    patient.change_class("COPYCLASS", mount_limit=1)
    rows, copies = patient.placed("TAPEPOOL"), patient.placed("COPYPOOL")
    errors: list[BaseException] = []
    restored: list[dict[str, bytes]] = []
    works: list[Callable[[], object]] = [
        lambda: copy(patient, rows, "TARGETPOOL", Priority.MIGRATION),
        lambda: copy(patient, rows, "TARGETCOPYPOOL"),
        lambda: copy(patient, copies, "TARGETPOOL", Priority.RESTORE_POOL),
        lambda: [patient.send(some_files(1, start=100 + n), "BOB") for n in range(5)],
        lambda: [restored.append(patient.restore()) for _ in range(3)],
    ]
    threads = [in_thread(work, errors) for work in works]
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert errors == [] and restored == [files] * 3
    assert patient.restore("BOB") == some_files(5, start=100)
    assert patient.storage.volumes.mounts.waiting == [] and patient.storage.volumes.mounts.kept == {}


def test_a_copy_lets_a_restore_go_first_and_goes_on_afterwards(patient: Depot) -> None:
    files = send_many(patient, 40)
    patient.change_class("TAPECLASS", mount_limit=1)
    ended: list[str] = []
    errors: list[BaseException] = []
    threads: list[threading.Thread] = []
    placed_then: list[int] = []

    def restore() -> None:
        assert patient.restore() == files
        placed_then.append(len(patient.placed("COPYPOOL")))
        ended.append("restore")

    def progress(_records: int, _bytes: int) -> None:
        if not threads:
            threads.append(in_thread(restore, errors))
            until_somebody_waits(patient.storage.volumes.mounts, "")

    done = copy_aggregates(
        patient.storage, patient.placed("TAPEPOOL"), patient.pool("COPYPOOL"), progress=progress, who="copy"
    )
    ended.append("copy")
    threads[0].join(SECONDS)
    assert errors == [] and ended == ["restore", "copy"] and done.records == 40
    assert placed_then[0] < 40, "what it had done by then was stored"
    assert "ANR4763I" in patient.messages()


def half_dead(depot: Depot, records: int) -> list[int]:
    """Aggregates of TAPEPOOL, each with one of its two files deleted; kept are the others."""
    for number in range(records):
        depot.send(some_files(2, start=2 * number))
    ids = depot.inventory()
    depot.storage.delete_objects([ids[name] for name in some_files(2 * records) if int(name[-1]) % 2])
    return [row.aggregate_id for row in depot.placed("TAPEPOOL")]


def test_making_records_anew_lets_a_restore_go_first_and_goes_on_afterwards(patient: Depot) -> None:
    numbers = half_dead(patient, 12)
    patient.change_class("TAPECLASS", mount_limit=2)
    ended: list[str] = []
    errors: list[BaseException] = []
    threads: list[threading.Thread] = []
    waiting = threading.Event()
    mounts = patient.storage.volumes.mounts

    def restore() -> None:
        assert len(patient.restore()) == 12
        ended.append("restore")

    def look() -> None:
        if not threads and len(patient.storage.use.open_now) == 2:
            threads.append(in_thread(restore, errors))
            until_somebody_waits(mounts, "")
            waiting.set()

    done = rebuild_aggregates(
        patient.storage, numbers, patient.pool("TAPEPOOL"), raise_if_cancelled=look, who="anew"
    )
    ended.append("anew")
    threads[0].join(SECONDS)
    assert errors == [] and waiting.is_set() and ended == ["restore", "anew"]
    assert done.records == 12 and "ANR4763I" in patient.messages()
    assert mounts.kept == {} and mounts.waiting == []


def test_two_that_make_records_anew_do_not_wait_for_each_other(
    patient: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its reading point, and the class has no third one for writing."""
    numbers = half_dead(patient, 8)
    patient.change_class("TAPECLASS", mount_limit=2)
    both_read = threading.Barrier(2)
    real = patient.storage.volumes.open_reader
    opened = itertools.count()

    @contextlib.contextmanager
    def open_reader(*rest: object) -> Iterator[VolumeReader]:
        with real(*rest) as reader:  # type: ignore[arg-type]
            if next(opened) < 2:  # the first volume of each
                both_read.wait(SECONDS)
            yield reader

    monkeypatch.setattr(patient.storage.volumes, "open_reader", open_reader)
    done: list[Rebuilt] = []
    errors: list[BaseException] = []
    threads = [
        in_thread(
            lambda part=part: done.append(
                rebuild_aggregates(patient.storage, part, patient.pool("TAPEPOOL"))
            ),
            errors,
        )
        for part in (numbers[::2], numbers[1::2])
    ]
    for thread in threads:
        thread.join(SECONDS)
    assert errors == [] and [one.records for one in done] == [4, 4]
    assert len(patient.restore()) == 8 and patient.storage.volumes.mounts.kept == {}


def test_a_copy_that_waits_can_be_cancelled(patient: Depot) -> None:
    send_many(patient, 2)
    patient.change_class("COPYCLASS", mount_limit=1)
    mounts = patient.storage.volumes.mounts
    holder = mounts.worker(Priority.STORE, "somebody")
    holder.claim({"COPYCLASS": 1})
    cancelled = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        with cancelled_by(cancelled):
            copy(patient, patient.placed("TAPEPOOL"), "COPYPOOL")

    thread = in_thread(work, errors)
    until_somebody_waits(mounts, "copy into COPYPOOL")
    assert "COPYCLASS" in mounts.waiting[0].wants
    cancelled.set()
    with mounts.changed:
        mounts.changed.notify_all()
    thread.join(SECONDS)
    assert isinstance(errors[0], NotAvailable)
    holder.rest()


def test_a_copy_waits_for_a_volume_that_somebody_else_fills_but_not_for_ever(
    patient: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that writes along holds its mount points when it finds the only volume taken."""
    send_many(patient, 9)  # more than are read ahead: it is still reading when it wants to write
    patient.change_pool("TARGETPOOL", device_class="TAPECLASS", max_scratch=1)
    volumes, rows = patient.storage.volumes, patient.placed("TAPEPOOL")
    busy = volumes.acquire_output(patient.pool("TARGETPOOL"), 4096)
    waits: list[bool] = []

    def half_an_hour(worker: Worker) -> None:
        worker.rest()
        waits.append(volumes.mounts.holds(worker))
        patient.clock.advance(PROCESS_WAIT_SECONDS / 2)

    def move() -> Copied:
        return copy_aggregates(
            patient.storage, rows, patient.pool("TARGETPOOL"), beside=[patient.pool("COPYPOOL")]
        )

    with monkeypatch.context() as context:
        context.setattr(volumes.mounts, "wait_for_change", half_an_hour)
        with pytest.raises(NotAvailable, match="ANR0535W"):
            move()
    assert waits == [False, False, False], "nothing is held meanwhile"
    busy.abandon()
    volumes.release(busy)
    assert move().records == 9 == len(patient.placed("COPYPOOL"))


# --- workers -------------------------------------------------------------------------------------------------------


def test_a_process_with_full_hands_does_not_wait(patient: Depot) -> None:
    patient.change_class("TAPECLASS", mount_limit=1)
    mounts = patient.storage.volumes.mounts
    other = mounts.worker(Priority.STORE, "somebody")
    other.claim({"TAPECLASS": 1})
    process = mounts.worker(Priority.COPY, "process", gives_way=True)
    mounts.take(process, "COPYCLASS")
    with pytest.raises(GiveWay) as way:
        mounts.take(process, "TAPECLASS")
    assert way.value.wants == {"TAPECLASS": 1}


def test_sessions_in_a_circle_are_told_at_once(patient: Depot) -> None:
    for name in ("TAPECLASS", "COPYCLASS"):
        patient.change_class(name, mount_limit=1)
    mounts = patient.storage.volumes.mounts
    ann, bob = mounts.worker(Priority.STORE, "ann"), mounts.worker(Priority.STORE, "bob")
    mounts.take(ann, "TAPECLASS")
    mounts.take(bob, "COPYCLASS")
    errors: list[BaseException] = []
    waiting = in_thread(lambda: mounts.take(ann, "COPYCLASS"), errors)
    until_somebody_waits(mounts, "ann")
    with pytest.raises(NotAvailable, match="ANR4762E"):
        mounts.take(bob, "TAPECLASS")
    mounts.give(bob, "COPYCLASS")
    waiting.join(SECONDS)
    assert errors == []


def test_more_than_the_limit_is_refused_at_once(patient: Depot) -> None:
    patient.change_class("TAPECLASS", mount_limit=1)
    worker = patient.storage.volumes.mounts.worker(Priority.STORE, "ann")
    with pytest.raises(NotAvailable, match="ANR4761E"):
        worker.claim({"TAPECLASS": 2})


def test_a_raised_limit_is_heard_by_those_that_wait(patient: Depot) -> None:
    patient.change_class("TAPECLASS", mount_limit=1)
    mounts = patient.storage.volumes.mounts
    first, second = mounts.worker(Priority.STORE, "ann"), mounts.worker(Priority.STORE, "bob")
    mounts.take(first, "TAPECLASS")
    errors: list[BaseException] = []
    waiting = in_thread(lambda: mounts.take(second, "TAPECLASS"), errors)
    until_somebody_waits(mounts, "bob")
    patient.change_class("TAPECLASS", mount_limit=2)
    mounts.take(mounts.worker(Priority.STORE), "COPYCLASS")
    waiting.join(SECONDS)
    assert errors == [] and not waiting.is_alive()


def test_as_many_scratch_volumes_as_allowed_are_made_by_any_number_of_writers(patient: Depot) -> None:
    patient.change_pool("TAPEPOOL", max_scratch=3)
    errors: list[BaseException] = []
    threads = [in_thread(lambda n=n: patient.send(some_files(2, start=10 * n)), errors) for n in range(8)]
    for thread in threads:
        thread.join(SECONDS)
    assert errors == []
    assert len(patient.volumes()) <= 3 and len(patient.restore()) == 16


# --- MAXNUMMP and KEEPMP -------------------------------------------------------------------------------------------


def begin(depot: Depot, session: StoreSession, **node: object) -> Intake:
    changed = msgspec.structs.replace(depot.node(), **node)
    return Intake(
        depot.storage, changed, depot.file_space(changed), 1, "TAPEPOOL", "STANDARD", session=session
    )


def send_in(intake: Intake, start: int = 0) -> None:
    for each in packs(some_files(1, start=start)):
        send_pack(intake, each)


def test_a_node_has_no_more_points_than_maxnummp(depot: Depot) -> None:
    first = begin(depot, StoreSession(depot.storage), max_mount_points=1)
    send_in(first)
    first._conveyor.stop()
    second = begin(depot, StoreSession(depot.storage), max_mount_points=1)
    send_in(second, 5)
    with pytest.raises(NotAvailable, match="node ALICE"):
        second.commit()
    first.commit()
    third = begin(depot, StoreSession(depot.storage), max_mount_points=1)
    send_in(third, 9)
    third.commit()
    assert set(depot.restore()) == {"file0000", "file0009"}


def test_a_node_with_maxnummp_0_does_not_store_on_sequential_volumes_and_restores(depot: Depot) -> None:
    depot.send(some_files(1))
    refused = begin(depot, StoreSession(depot.storage), max_mount_points=0)
    send_in(refused, 5)
    with pytest.raises(NotAvailable, match="ANR4761E"):
        refused.commit()
    assert depot.restore() == some_files(1)


def test_keepmp_keeps_a_point_between_transactions_until_the_session_ends(depot: Depot) -> None:
    depot.change_class("TAPECLASS", mount_limit=1)
    mounts = depot.storage.volumes.mounts
    session = StoreSession(depot.storage, "session 1")
    for number in range(3):
        intake = begin(depot, session, keep_mount_point=True)
        send_in(intake, number)
        intake.commit()
        assert mounts.kept == {("TAPECLASS", "session 1"): 1}
        with pytest.raises(FarvaultError, match="ANR0535W"):
            depot.send(some_files(1, start=50), "BOB")
    session.close()
    assert mounts.kept == {}
    depot.send(some_files(1, start=50), "BOB")


def test_nothing_is_kept_of_a_class_without_limit(depot: Depot) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=8 * MIB)
    session = StoreSession(depot.storage, "session 1")
    alice = msgspec.structs.replace(depot.node(), keep_mount_point=True, max_mount_points=0)
    intake = Intake(
        depot.storage, alice, depot.file_space(alice), 1, "BACKUPPOOL", "STANDARD", session=session
    )
    send_in(intake)
    intake.commit()
    assert depot.storage.volumes.mounts.kept == {}
    assert len(depot.placed("BACKUPPOOL")) == 1, "and MAXNUMMP does not count it"
    session.close()


def test_a_point_that_is_only_kept_goes_to_a_restore(depot: Depot) -> None:
    depot.change_class("TAPECLASS", mount_limit=1)
    session = StoreSession(depot.storage, "session 1")
    intake = begin(depot, session, keep_mount_point=True)
    send_in(intake)
    intake.commit()
    assert depot.restore() == some_files(1)
    assert depot.storage.volumes.mounts.kept == {}
    again = begin(depot, session, keep_mount_point=True)
    send_in(again, 1)
    again.commit()
    session.close()
    assert depot.restore() == some_files(2)
