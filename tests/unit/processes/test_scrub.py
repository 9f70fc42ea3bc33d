"""The scrub covers every volume in time, goes on where it stopped, keeps its rate, and marks what it finds."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.processes.depot_work import (
    back_up,
    damage,
    define_random_volume,
    killed_at,
    run,
    said,
    volume_of,
)
from tests.unit.storage.depot import Depot, some_files

from farvault.base.clock import ManualClock
from farvault.base.units import MIB
from farvault.catalog import nouns, volume_checks
from farvault.catalog.settings import set_setting
from farvault.model.volume import OFFSITE, UNAVAILABLE, Volume
from farvault.policy.scrub import DAY_SECONDS, Coverage, VolumeCheck, coverage, plan
from farvault.processes import audit_pass
from farvault.processes.audit_volume import audit_volume
from farvault.processes.pace import Pace
from farvault.processes.process import Process, Processes, State
from farvault.processes.scrub import ScrubWhenDue, look, scrub

FILES = some_files(12, 900_000)


def scrub_once(depot: Depot, days: int = 90, rate: int = 0) -> Process:
    """The run that is due now."""
    wanted = plan(look(depot.storage), depot.clock.now_seconds(), days)
    return run(depot, lambda process: scrub(depot.storage, process, wanted, rate))


def covered(depot: Depot, days: int = 90) -> Coverage:
    with depot.catalog.read() as r:
        return coverage(volume_checks.states(r), depot.clock.now_seconds(), days)


def check_of(depot: Depot, volume: Volume) -> VolumeCheck:
    with depot.catalog.read() as r:
        return volume_checks.find(r, volume)


def days_pass(depot: Depot, days: float) -> None:
    depot.clock.advance(days * DAY_SECONDS)


def fill(depot: Depot) -> None:
    """A random volume, several tapes of 4 MiB and their copies."""
    define_random_volume(depot)
    depot.change_class("TAPECLASS", max_capacity_bytes=4 * MIB)
    depot.change_class("COPYCLASS", max_capacity_bytes=4 * MIB)
    depot.send(some_files(4, 900_000, start=50), "BOB", pool="BACKUPPOOL")
    depot.send(FILES)
    back_up(depot)


def test_every_volume_of_every_pool_is_covered_within_a_week_of_being_written(depot: Depot) -> None:
    fill(depot)
    assert covered(depot).in_time_bytes == 0
    runs = 0
    while covered(depot).percent < 100:
        assert scrub_once(depot).state is State.SUCCESS
        runs += 1
        days_pass(depot, 1)
    assert 2 <= runs <= 7
    assert covered(depot).late_bytes == 0


def test_it_keeps_up_for_two_periods_with_no_more_than_about_twice_the_data(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pass, "PAGE", 1)
    fill(depot)
    read = 0
    for _ in range(40):
        read += scrub_once(depot, days=20).bytes
        days_pass(depot, 1)
        assert covered(depot, days=20).late_bytes == 0
    assert covered(depot, days=20).percent == 100
    data = covered(depot).total_bytes
    assert 2 * data < read < 6 * data  # records here are as large as a day's share


def test_damage_is_marked_and_said_and_the_run_fails(depot: Depot) -> None:
    depot.send(FILES)
    bad = depot.placed("TAPEPOOL")[1]
    damage(bad)
    days_pass(depot, 8)
    process = scrub_once(depot)
    assert (process.state, process.failed_objects) == (State.FAILURE, 1)
    assert [row.damaged for row in depot.placed("TAPEPOOL")] == [
        row.offset_bytes == bad.offset_bytes for row in depot.placed("TAPEPOOL")
    ]
    assert f"offset {bad.offset_bytes} is damaged" in said(depot, "ANR2316W").text
    assert check_of(depot, volume_of(depot, bad)).verdict == "DAMAGED"
    assert len(depot.inventory()) == 12


def test_after_a_restart_it_goes_on_where_it_was(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_pass, "PAGE", 1)
    depot.send(FILES)
    days_pass(depot, 1)
    first = scrub_once(depot)
    (volume,) = depot.volumes()
    reached = check_of(depot, volume).checked_to_bytes
    assert 0 < reached < volume.written_bytes
    depot.restart()
    days_pass(depot, 8)
    second = scrub_once(depot)
    assert first.objects + second.objects == len(depot.placed("TAPEPOOL"))
    assert check_of(depot, volume).checked_to_bytes == volume.written_bytes


def test_killed_in_the_middle_it_looks_at_most_at_one_page_again(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pass, "PAGE", 1)
    depot.send(FILES)
    days_pass(depot, 8)
    wanted = plan(look(depot.storage), depot.clock.now_seconds(), 90)
    killed_at(depot, "audit.progress.before_catalog", lambda p: scrub(depot.storage, p, wanted, 0), nth=3)
    process = scrub_once(depot)
    assert process.objects == len(depot.placed("TAPEPOOL")) - 2
    assert covered(depot).percent == 100


def test_what_is_appended_is_checked_within_a_week_without_the_rest(depot: Depot) -> None:
    depot.send(FILES)
    days_pass(depot, 8)
    scrub_once(depot)
    before = len(depot.placed("TAPEPOOL"))
    depot.send(some_files(3, 900_000, start=70))
    look(depot.storage)
    days_pass(depot, 7)
    process = scrub_once(depot)
    assert process.objects == len(depot.placed("TAPEPOOL")) - before
    assert covered(depot).percent == 100


def test_an_audit_of_the_whole_volume_counts(depot: Depot) -> None:
    depot.send(FILES)
    (volume,) = depot.volumes()
    run(depot, lambda p: audit_volume(depot.storage, p, volume.name))
    assert covered(depot).percent == 100
    days_pass(depot, 8)
    assert scrub_once(depot).objects < len(depot.placed("TAPEPOOL"))


def test_a_volume_that_is_written_anew_is_checked_anew(depot: Depot) -> None:
    depot.send(FILES)
    (volume,) = depot.volumes()
    run(depot, lambda p: audit_volume(depot.storage, p, volume.name))
    depot.change_volume(volume, write_pass=volume.write_pass + 1)
    assert covered(depot).in_time_bytes == 0


def test_a_volume_that_is_gone_keeps_no_other_from_being_checked(depot: Depot) -> None:
    fill(depot)
    first, *others = depot.volumes()
    Path(first.name).unlink()
    days_pass(depot, 8)
    process = scrub_once(depot)
    assert process.state is State.FAILURE
    assert volume_of(depot, depot.placed("TAPEPOOL")[0]).access == UNAVAILABLE
    assert check_of(depot, first).verdict == "UNREADABLE"
    assert {check_of(depot, one).verdict for one in others} == {"GOOD"}
    assert covered(depot).late_bytes > 0


def test_what_may_not_be_read_waits_and_shows_in_the_coverage(depot: Depot) -> None:
    depot.send(FILES)
    (volume,) = depot.volumes()
    depot.change_volume(volume, access=OFFSITE)
    days_pass(depot, 8)
    process = scrub_once(depot)
    assert (process.state, process.objects) == (State.SUCCESS, 0)
    assert covered(depot).percent == 0


# --- the rate ----------------------------------------------------------------------------------------------------------


class Stopwatch(ManualClock):
    """Moves by itself where somebody waits."""

    def wait(self, event: object, timeout_seconds: float) -> bool:
        del event
        self.advance(timeout_seconds)
        return False


def test_no_more_than_the_rate_is_read(depot: Depot) -> None:
    depot.send(FILES)
    days_pass(depot, 8)
    depot.clock.__class__ = Stopwatch  # the depot's own, from here on
    began = depot.clock.monotonic_seconds()
    process = scrub_once(depot, rate=1)
    seconds = depot.clock.monotonic_seconds() - began
    assert process.bytes / MIB - 4 <= seconds <= process.bytes / MIB
    assert process.bytes > 9 * MIB


def test_what_was_not_used_is_not_made_up_for() -> None:
    clock = Stopwatch()
    pace = Pace(clock, 100, threading.Event())
    clock.advance(1000)
    for _ in range(10):
        pace.spend(100)
    assert clock.monotonic_seconds() == 1_000_000_000 + 1000 + 8


def test_without_a_rate_nothing_waits() -> None:
    clock = Stopwatch()
    Pace(clock, 0, threading.Event()).spend(1 << 50)
    assert clock.monotonic_seconds() == 1_000_000_000


# --- when it starts ------------------------------------------------------------------------------------------------------


def started(depot: Depot, due: ScrubWhenDue, processes: Processes) -> int:
    due()
    for process in processes.list():
        assert process.wait(PATIENCE_SECONDS)
    return len(processes.history())


def test_it_starts_once_a_day_and_not_at_all_with_period_0(depot: Depot) -> None:
    depot.send(FILES)
    processes = Processes(depot.log, depot.clock)
    due = ScrubWhenDue(depot.storage, processes)
    assert started(depot, due, processes) == 1
    depot.clock.advance(3600)
    assert started(depot, due, processes) == 1
    days_pass(depot, 1)
    assert started(depot, due, processes) == 2
    with depot.catalog.write() as tx:
        set_setting(tx, "SCRUBPERIOD", "0")
    days_pass(depot, 1)
    assert started(depot, due, processes) == 2


def test_a_rate_that_is_too_low_is_said(depot: Depot) -> None:
    depot.send(FILES)
    (volume,) = depot.volumes()
    with depot.catalog.write() as tx:
        set_setting(tx, "SCRUBRATE", "1")
        nouns.update(tx, _grown(nouns.by_id(tx, Volume, volume.id)))
    days_pass(depot, 8)
    depot.clock.__class__ = Stopwatch
    processes = Processes(depot.log, depot.clock)
    started(depot, ScrubWhenDue(depot.storage, processes), processes)
    assert "SCRUBRATE allows 1 MiB/s" in said(depot, "ANR4741W").text


def _grown(volume: Volume) -> Volume:
    return msgspec.structs.replace(volume, written_bytes=1 << 45)
