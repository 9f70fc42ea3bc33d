"""Simultaneous write: a record and its copies become known together; a copy pool that fails is left out, or ends it."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.storage.depot import Depot, MakeDepot, packs, send_pack, some_files

from farvault.base.errors import MediaFailed, NotAvailable
from farvault.base.units import MIB
from farvault.catalog import audit, nouns, placements
from farvault.model.storage_pool import COPY, StoragePool
from farvault.storage.copying import copy_aggregates
from farvault.storage.intake import Intake
from farvault.storage.simultaneous import MIGRATION, StoreSession, copy_pools_for

FILES = some_files(12)


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    """TAPEPOOL is written along with COPYPOOL and SECONDPOOL (class COPYCLASS, too)."""
    made = make_depot()
    with made.catalog.write() as tx:
        nouns.insert(
            tx,
            StoragePool(
                name="SECONDPOOL", device_class="COPYCLASS", variant=COPY, pool_type="COPY", max_scratch=50
            ),
        )
    made.change_pool("TAPEPOOL", copy_pools=("COPYPOOL", "SECONDPOOL"))
    return made


def missing(depot: Depot, copy: str, primary: str = "TAPEPOOL") -> int:
    with depot.catalog.read() as r:
        return len(placements.missing_in_copy(r, depot.pool(primary).id, depot.pool(copy).id))


def lose(depot: Depot, *pools: str) -> None:
    for pool in pools:
        for volume in depot.volumes(pool):
            depot.change_volume(volume, access="UNAVAILABLE")


def begin(depot: Depot, session: StoreSession, **node: object) -> Intake:
    alice = msgspec.structs.replace(depot.node(), **node)
    return Intake(depot.storage, alice, depot.file_space(alice), 1, "TAPEPOOL", "STANDARD", session=session)


def send_in(intake: Intake, start: int = 0) -> None:
    for each in packs(some_files(1, start=start)):
        send_pack(intake, each)


def fail_in_pool(depot: Depot, monkeypatch: pytest.MonkeyPatch, pool: str, method: str) -> None:
    """Every output of this pool fails there."""
    volumes = depot.storage.volumes
    real = volumes.acquire_output

    def acquire(of: object, *rest: object, **more: object) -> object:
        output = real(of, *rest, **more)  # type: ignore[arg-type]
        if output.pool.name == pool:

            def broken(*_rest: object) -> None:
                raise MediaFailed("ANR8359E", operation=method, volume=output.volume.name, reason="I/O error")

            monkeypatch.setattr(output, method, broken)
        return output

    monkeypatch.setattr(volumes, "acquire_output", acquire)


def test_what_is_stored_is_in_every_copy_pool(depot: Depot) -> None:
    depot.send(FILES)
    assert missing(depot, "COPYPOOL") == missing(depot, "SECONDPOOL") == 0
    lose(depot, "TAPEPOOL", "COPYPOOL")
    assert depot.restore() == FILES
    with depot.catalog.read() as r:
        assert list(audit.check_sums(r)) == [] and list(audit.check_row_digests(r)) == []


@pytest.mark.parametrize(("auto_copy", "copied"), [("CLIENT", 1), ("ALL", 1), ("MIGRATION", 0), ("NONE", 0)])
def test_autocopy_says_when_copies_are_written_along(depot: Depot, auto_copy: str, copied: int) -> None:
    depot.change_pool("TAPEPOOL", auto_copy=auto_copy)
    depot.send(some_files(1))
    assert len(depot.placed("COPYPOOL")) == copied


def test_a_next_pool_inherits_the_copy_pools_of_the_destination(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", copy_pools=("SECONDPOOL",))
    depot.change_pool("BACKUPPOOL", copy_pools=("COPYPOOL",))
    depot.send(FILES, pool="BACKUPPOOL")  # it has no volumes
    assert missing(depot, "COPYPOOL") == 0
    assert depot.placed("SECONDPOOL") == []
    assert depot.messages().count("ANR1013I") == 1


def test_a_transaction_given_up_leaves_no_copies(depot: Depot) -> None:
    intake = depot.begin()
    for each in packs(FILES):
        send_pack(intake, each)
    intake.abort()
    assert depot.volumes("TAPEPOOL") == depot.volumes("COPYPOOL") == depot.volumes("SECONDPOOL") == []
    assert depot.storage.use.open_now == []


@pytest.mark.parametrize("method", ["put", "commit"])
def test_a_failing_copy_pool_is_left_out_until_the_session_ends(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    session = StoreSession(depot.storage)
    with monkeypatch.context() as context:
        fail_in_pool(depot, context, "COPYPOOL", method)
        intake = begin(depot, session)
        send_in(intake)
        intake.commit()
    assert "ANR4774W" in depot.messages()
    assert (missing(depot, "COPYPOOL"), missing(depot, "SECONDPOOL")) == (1, 0)
    second = begin(depot, session)
    send_in(second, 1)
    second.commit()
    assert (missing(depot, "COPYPOOL"), missing(depot, "SECONDPOOL")) == (2, 0)
    third = begin(depot, StoreSession(depot.storage))
    send_in(third, 2)
    third.commit()
    assert (missing(depot, "COPYPOOL"), missing(depot, "SECONDPOOL")) == (2, 0)
    assert depot.restore() == some_files(3)


@pytest.mark.parametrize("method", ["put", "commit"])
def test_without_copycontinue_nothing_is_stored_where_a_copy_fails(
    depot: Depot, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    depot.change_pool("TAPEPOOL", copy_continue=False)
    fail_in_pool(depot, monkeypatch, "SECONDPOOL", method)
    with pytest.raises(NotAvailable, match="ANR4775W"):
        depot.send(FILES)
    assert depot.inventory() == {}
    assert depot.placed("TAPEPOOL") == depot.placed("COPYPOOL") == depot.placed("SECONDPOOL") == []
    assert depot.storage.volumes.mounts.kept == {}


def test_a_copy_pool_that_may_not_be_written_is_left_out(depot: Depot) -> None:
    depot.change_pool("COPYPOOL", access="READONLY")
    depot.send(some_files(1))
    assert (len(depot.placed("COPYPOOL")), len(depot.placed("SECONDPOOL"))) == (0, 1)


@pytest.mark.parametrize("copy_continue", [True, False])
@pytest.mark.parametrize("shortage", ["MOUNTLIMIT", "MAXNUMMP"])
def test_too_few_mount_points_cost_copy_pools_or_the_transaction(
    depot: Depot, copy_continue: bool, shortage: str
) -> None:
    depot.change_pool("TAPEPOOL", copy_continue=copy_continue)
    most = 20
    if shortage == "MOUNTLIMIT":
        depot.change_class("COPYCLASS", mount_limit=1)
    else:
        most = 2
    intake = begin(depot, StoreSession(depot.storage), max_mount_points=most)
    send_in(intake)
    if copy_continue:
        intake.commit()
        assert (missing(depot, "COPYPOOL"), missing(depot, "SECONDPOOL")) == (0, 1)
        assert "ANR4761E" not in depot.messages() and "ANR4774W" in depot.messages()
    else:
        with pytest.raises(NotAvailable, match="ANR4775W"):
            intake.commit()
        assert depot.inventory() == {}


def test_mount_points_for_all_copies_are_taken_together_and_given_back(depot: Depot) -> None:
    depot.change_class("TAPECLASS", mount_limit=1)
    depot.change_class("COPYCLASS", mount_limit=2)
    session = StoreSession(depot.storage)
    for number in range(3):
        intake = begin(depot, session, keep_mount_point=True)
        send_in(intake, number)
        intake.commit()
    assert depot.storage.volumes.mounts.kept == {
        ("COPYCLASS", "node ALICE"): 2,
        ("TAPECLASS", "node ALICE"): 1,
    }
    session.close()
    assert depot.storage.volumes.mounts.kept == {}
    assert missing(depot, "SECONDPOOL") == 0


def test_volumes_of_all_pools_are_filled_one_after_the_other(depot: Depot) -> None:
    depot.change_class("COPYCLASS", max_capacity_bytes=8 * MIB)
    files = some_files(60, 300_000)
    depot.send(files)
    assert len(depot.volumes("COPYPOOL")) > 1 and missing(depot, "COPYPOOL") == 0
    lose(depot, "TAPEPOOL", "SECONDPOOL")
    assert depot.restore() == files


def test_what_the_pool_holds_already_is_not_copied_again(depot: Depot) -> None:
    depot.send(FILES)
    before = len(depot.placed("COPYPOOL"))
    depot.send(FILES, "BOB")
    assert len(depot.placed("COPYPOOL")) == before


# --- for movers ------------------------------------------------------------------------------------------------------


def test_a_move_copies_what_has_no_copy_yet(depot: Depot) -> None:
    depot.change_pool("TAPEPOOL", copy_pools=("COPYPOOL",))
    depot.send(some_files(3))
    depot.change_pool("TAPEPOOL", copy_pools=())
    depot.send(some_files(3, start=10))
    depot.change_pool("TARGETPOOL", device_class="TAPECLASS", auto_copy="ALL", copy_pools=("COPYPOOL",))
    destination = depot.pool("TARGETPOOL")
    rows = depot.placed("TAPEPOOL")
    done = copy_aggregates(
        depot.storage, rows, destination, beside=copy_pools_for(depot.storage, destination, MIGRATION)
    )
    assert done.records == len(rows) == len(depot.placed("TARGETPOOL")) == len(depot.placed("COPYPOOL"))
    assert missing(depot, "COPYPOOL") == 0
    lose(depot, "TAPEPOOL", "TARGETPOOL")
    assert len(depot.restore()) == 6


def test_a_move_goes_on_without_a_copy_pool_that_fails(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    depot.change_pool("TAPEPOOL", copy_pools=())
    depot.send(some_files(6))
    fail_in_pool(depot, monkeypatch, "COPYPOOL", "put")
    destination = depot.pool("SECONDPOOL")
    done = copy_aggregates(
        depot.storage, depot.placed("TAPEPOOL"), destination, beside=[depot.pool("COPYPOOL")]
    )
    assert done.records == len(depot.placed("TAPEPOOL")) and depot.placed("COPYPOOL") == []
    assert depot.messages().count("ANR4774W") == 1
