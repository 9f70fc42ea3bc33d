"""AUDIT CATALOG reports what does not fit, puts right what follows from good rows, and touches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.unit.processes.depot_work import killed_at, run, said
from tests.unit.storage.depot import Depot, some_files

from farvault.catalog import audit, placements
from farvault.processes.audit_catalog import audit_catalog
from farvault.processes.process import Process, State

FILES = some_files(6, 300_000)


def audited(depot: Depot, *, fix: bool = False) -> Process:
    return run(depot, lambda process: audit_catalog(depot.storage, process, fix=fix))


@pytest.fixture
def harm(depot: Depot) -> Iterator[Harm]:
    """Statements behind the program's back. What a test leaves is undone: the depot's own check comes after it."""
    depot.send(FILES)
    depot.send(some_files(2, 1000, start=40), "BOB")
    yield Harm(depot)


class Harm:
    def __init__(self, depot: Depot) -> None:
        self.path = depot.catalog.path

    def __call__(self, *statements: str) -> None:
        connection = apsw.Connection(self.path)
        connection.set_busy_timeout(5000)
        connection.execute("PRAGMA foreign_keys=OFF")
        for statement in statements:
            connection.execute(statement)
        connection.close()


def rows_of(depot: Depot) -> int:
    with depot.catalog.read() as r:
        return sum(batch.rows for table in audit.tables() for batch in audit.check_table(r, table))


def test_a_sound_catalog_gives_one_report_with_its_rows(depot: Depot, harm: Harm) -> None:
    process = audited(depot, fix=True)
    assert (process.state, process.objects) == (State.SUCCESS, rows_of(depot))
    text = said(depot, "ANR4746I").text
    assert f"{rows_of(depot):,} rows in {len(audit.tables())} tables, 0 of them changed" in text
    assert "0 put right" in text


def test_a_changed_row_is_named_and_nothing_is_put_right(depot: Depot, harm: Harm) -> None:
    harm(
        "UPDATE nodes SET contact = 'x' WHERE name = 'ALICE'",
        "UPDATE aggregates SET live_bytes = live_bytes + 1 WHERE id = 1",
    )
    process = audited(depot, fix=True)
    assert process.state is State.FAILURE
    assert "of table nodes is not as it was written" in " ".join(
        line.message.text for line in depot.said if line.message.id == "ANR4743E"
    )
    assert "ANR4748W" in depot.messages()
    harm(
        "UPDATE nodes SET contact = '' WHERE name = 'ALICE'",
        "UPDATE aggregates SET live_bytes = live_bytes - 1 WHERE id = 1",
    )
    assert audited(depot).state is State.SUCCESS


def unused_extent(depot: Depot) -> None:
    """An object is gone, and what it alone used was not freed."""
    with depot.catalog.write() as tx:
        number = depot.inventory()["file0001"]
        tx.run("DELETE FROM object_extents WHERE object_id = ?", (number,))
        tx.run("DELETE FROM objects WHERE id = ?", (number,))


def wrong_account(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        (row,) = placements.aggregates(tx, [1])
        wrong = row._replace(live_bytes=row.live_bytes + 7)
        tx.run(
            "UPDATE aggregates SET live_bytes = ?, row_digest = ? WHERE id = 1",
            (wrong.live_bytes, tx.digester.of("aggregates", wrong)),
        )


def lost_index(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        tx.run("DELETE FROM extent_index WHERE extent_id IN (1, 2)")


def wrong_index(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        tx.run("UPDATE extent_index SET digest_prefix = digest_prefix + 1 WHERE extent_id = 1")
        tx.run("INSERT INTO extent_index VALUES (0, 1, 5, 77777)")


def removal_of_what_is_there(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        tx.run(
            "INSERT INTO extent_index SELECT level, domain_pool_id, digest_prefix, -extent_id FROM extent_index"
            " WHERE extent_id = 1"
        )


def removal_of_nothing(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        tx.run("INSERT INTO extent_index VALUES (1, 1, 5, -77777)")


def event_of_nothing(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        digest = tx.digester.of("retention_events", (4711, 5))
        tx.run("INSERT INTO retention_events VALUES (4711, 5, ?)", (digest,))


def wrong_owner(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        tx.run("UPDATE volume_owners SET stored_bytes = stored_bytes + 4096, aggregates = 9")


def wrong_need(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        tx.run("UPDATE volume_owners SET live_bytes = live_bytes - 1")


@pytest.mark.parametrize(
    "spoil",
    [
        wrong_owner,
        wrong_need,
        unused_extent,
        wrong_account,
        lost_index,
        wrong_index,
        removal_of_what_is_there,
        removal_of_nothing,
        event_of_nothing,
    ],
)
def test_what_follows_from_good_rows_is_put_right(depot: Depot, harm: Harm, spoil: object) -> None:
    assert callable(spoil)
    spoil(depot)
    assert audited(depot).state is State.FAILURE
    found = said(depot, "ANR4746I").text
    assert " 0 sums that do not hold" not in found and "0 put right" in found
    assert audited(depot, fix=True).state is State.SUCCESS
    assert audited(depot).state is State.SUCCESS
    assert depot.restore() == {name: FILES[name] for name in depot.inventory()}


def test_space_of_what_nobody_uses_comes_back(depot: Depot, harm: Harm) -> None:
    with depot.catalog.write() as tx:
        tx.run("DELETE FROM object_extents")
        tx.run("DELETE FROM objects")
    audited(depot, fix=True)
    assert depot.volumes() == []


def test_killed_while_it_puts_right_a_second_one_completes(depot: Depot, harm: Harm) -> None:
    unused_extent(depot)
    killed_at(
        depot,
        "audit_catalog.repair.before_catalog",
        lambda process: audit_catalog(depot.storage, process, fix=True),
    )
    assert audited(depot, fix=True).state is State.SUCCESS


def test_what_cannot_be_derived_is_said_and_left(depot: Depot, harm: Harm) -> None:
    number = depot.inventory()["file0001"]
    with depot.catalog.write() as tx:
        kept = tx.all("SELECT extent_id FROM object_extents WHERE object_id = ?", (number,))
        (extent,) = tx.all("SELECT * FROM extents WHERE id = ?", (kept[0][0],))
        tx.run("DELETE FROM extents WHERE id = ?", (kept[0][0],))
    process = audited(depot, fix=True)
    assert process.state is State.FAILURE
    assert any(line.message.text.startswith("object with an extent that is not there") for line in depot.said)
    with depot.catalog.write() as tx:
        tx.run(f"INSERT INTO extents VALUES ({', '.join('?' * len(extent))})", extent)
    audited(depot, fix=True)


def test_a_volume_that_is_not_there_or_too_short_is_named(depot: Depot, harm: Harm) -> None:
    (volume,) = depot.volumes()
    whole = Path(volume.name).read_bytes()
    Path(volume.name).write_bytes(whole[:-4096])
    assert audited(depot).failed_objects == 1
    assert "the file ends early" in said(depot, "ANR4749E").text
    Path(volume.name).unlink()
    assert audited(depot).failed_objects == 1
    Path(volume.name).write_bytes(b"\0" * len(whole))
    assert audited(depot).failed_objects == 1
    Path(volume.name).write_bytes(whole)
    assert audited(depot).state is State.SUCCESS


def test_many_findings_are_counted_and_the_first_hundred_named(depot: Depot, harm: Harm) -> None:
    depot.send(some_files(150, 10, start=500))
    harm("UPDATE extents SET length_bytes = length_bytes + 1")
    process = audited(depot)
    named = [line for line in depot.said if line.message.id == "ANR4743E"]
    assert len(named) == 100
    assert "more findings of table extents are not listed" in said(depot, "ANR4747W").text
    assert process.failed_objects >= 150
    harm("UPDATE extents SET length_bytes = length_bytes - 1")
