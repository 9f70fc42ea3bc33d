"""Migration starts by itself when a pool is full enough, once, and waits where the last one did not help."""

from __future__ import annotations

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.processes.migrating import add_pool, use, with_disk
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.units import MIB
from farvault.processes.migrate import DESCRIPTION
from farvault.processes.migrate_when_due import MigrateWhenDue
from farvault.processes.process import Process, Processes, State


class Automatic:
    """What a server has of it."""

    def __init__(self, depot: Depot) -> None:
        self.depot = depot
        self.processes = Processes(depot.log, depot.clock)
        self.when_due = MigrateWhenDue(depot.storage, self.processes)

    def look(self) -> list[Process]:
        """Look now; returns the migrations that were started by that, ended."""
        before = len(self.processes.history())
        self.when_due()
        for process in self.processes.list():
            assert process.wait(PATIENCE_SECONDS)
        return list(self.processes.history())[before:]


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    depot = make_depot(capacity_bytes=8 * MIB)
    with_disk(depot)
    return depot


@pytest.fixture
def automatic(depot: Depot) -> Automatic:
    return Automatic(depot)


def fill(depot: Depot, files: int, start: int = 0, node: str = "ALICE") -> None:
    depot.send(some_files(files, 900_000, start=start), node, "BACKUPPOOL")


def test_below_the_high_threshold_nothing_starts(depot: Depot, automatic: Automatic) -> None:
    fill(depot, 24)
    assert use(depot).percent < 90
    assert automatic.look() == []


def test_at_the_high_threshold_it_starts_and_stops_at_the_low_one(depot: Depot, automatic: Automatic) -> None:
    fill(depot, 20)
    fill(depot, 14, 100, "BOB")
    assert use(depot).percent >= 90
    (process,) = automatic.look()
    assert (process.description, process.pool, process.state) == (DESCRIPTION, "BACKUPPOOL", State.SUCCESS)
    assert 0 < use(depot).percent <= 70, "BOB's is still there"
    assert automatic.look() == []


@pytest.mark.parametrize(
    "changes",
    [{"high_migration_percent": 100}, {"next_pool": ""}, {"access": "UNAVAILABLE"}],
    ids=lambda changes: next(iter(changes)),
)
def test_pools_that_must_not_migrate_do_not(
    depot: Depot, automatic: Automatic, changes: dict[str, object]
) -> None:
    fill(depot, 34)
    depot.change_pool("BACKUPPOOL", **changes)
    assert automatic.look() == []
    assert not automatic.when_due.may_be_due(depot.pool("BACKUPPOOL"), False)


def test_only_one_migration_of_a_pool_runs(depot: Depot, automatic: Automatic) -> None:
    fill(depot, 34)

    def meanwhile(process: Process) -> None:
        del process
        automatic.when_due()
        assert not automatic.when_due.may_be_due(depot.pool("BACKUPPOOL"), False)
        assert len(automatic.processes.list()) == 1

    first = automatic.processes.start(DESCRIPTION, meanwhile, wait=True, pool="BACKUPPOOL")
    assert first.state is State.SUCCESS, first.error


def test_one_that_failed_is_tried_again_after_a_minute_then_two(depot: Depot, automatic: Automatic) -> None:
    fill(depot, 34)
    depot.change_pool("TAPEPOOL", access="READONLY")
    (failed,) = automatic.look()
    assert failed.state is State.FAILURE
    assert automatic.look() == [], "not at once"
    depot.clock.advance(61)
    assert len(automatic.look()) == 1
    depot.clock.advance(61)
    assert automatic.look() == [], "the second wait is longer"
    depot.clock.advance(61)
    assert len(automatic.look()) == 1
    seconds = [line.message.text.split()[-2] for line in depot.said if line.message.id == "ANR1002I"]
    assert seconds == ["60", "120", "240"]


def test_a_changed_pool_is_looked_at_anew(depot: Depot, automatic: Automatic) -> None:
    fill(depot, 34)
    depot.change_pool("TAPEPOOL", access="READONLY")
    automatic.look()
    depot.change_pool("TAPEPOOL", access="READWRITE")
    automatic.when_due.look_again(depot.pool("BACKUPPOOL"))
    (process,) = automatic.look()
    assert process.state is State.SUCCESS and use(depot).percent <= 70


def test_what_the_delay_keeps_does_not_start_one_migration_after_another(
    depot: Depot, automatic: Automatic
) -> None:
    fill(depot, 34)
    depot.change_pool("BACKUPPOOL", migration_delay_days=5, migration_continue=False)
    (process,) = automatic.look()
    assert process.state is State.SUCCESS and process.objects == 0
    assert automatic.look() == []


def test_filling_the_next_pool_makes_that_one_due(depot: Depot, automatic: Automatic) -> None:
    """BACKUPPOOL -> TAPEPOOL -> SLOW: whoever listens is told of every pool that got data."""
    add_pool(depot, "SLOW")
    depot.change_pool(
        "TAPEPOOL", next_pool="SLOW", max_scratch=4, high_migration_percent=50, low_migration_percent=10
    )
    told: list[tuple[str, bool]] = []
    depot.storage.watch.listen(lambda pool, filled: told.append((pool.name, filled)), lambda _: None)
    fill(depot, 34)
    assert ("BACKUPPOOL", False) in told
    automatic.look()
    assert ("TAPEPOOL", True) in told
    assert automatic.when_due.may_be_due(depot.pool("TAPEPOOL"), True)
    assert not automatic.when_due.may_be_due(depot.pool("TAPEPOOL"), False), "asked once a volume only"
    (process,) = automatic.look()
    assert process.pool == "TAPEPOOL" and depot.placed("SLOW")
