"""The activity log while the catalog takes nothing: lines are counted, nothing turns in a circle, and it is said later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from farvault.apps.activity_log import BATCH_LINES, ActivityLog
from farvault.base.clock import ManualClock
from farvault.base.log import Line, Log
from farvault.catalog.catalog import Catalog
from farvault.catalog.log import SMALLEST_CAPACITY_BYTES
from farvault.catalog.roll_forward import LogPlace
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Transaction

SECONDS = 20


class World:
    """A catalog with a recovery log, and an activity log that tells of every batch it has tried."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        path, key = str(folder / "catalog.db"), bytes(32)
        Catalog.create(path, key, self.clock).close()
        place = LogPlace(str(folder / "log"), SMALLEST_CAPACITY_BYTES)
        self.catalog = Catalog.open(path, key, self.clock, log=place)
        self.catalog.set_log_mode("ROLLFORWARD")
        self.log = Log(self.clock)
        self.said: list[Line] = []
        self.log.add_sink(self.said.append)
        self.written = threading.Event()
        self.activity = ActivityLog(self.catalog, self.log, self._write_along)
        self.log.add_sink(self.activity)

    def _write_along(self, tx: Transaction) -> None:
        tx.after_commit.append(self.written.set)

    def fill(self) -> None:
        with pytest.raises(Exception, match="ANR0130E"):
            for number in range(1000):
                with self.catalog.write() as tx:
                    set_setting(tx, "FILLER", str(number % 10) * 100_000)

    def ids(self) -> list[str]:
        return [line.message.id for line in self.said]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.catalog.close()


def test_lines_that_a_full_log_kept_out_are_told_of_once_and_only_when_there_is_room(world: World) -> None:
    """Saying so at once would be one more line that cannot be written, and one more that says so, for ever."""
    world.fill()
    for number in range(BATCH_LINES + 1):
        world.log.say("ANR0991I", server=f"S{number}")
    before = len(world.said)
    world.activity.start()
    assert world.activity.wait_until_idle(SECONDS)
    assert len(world.said) == before
    figures = world.catalog.log_figures()
    assert figures is not None
    world.catalog.prune_log(figures.log_id, figures.last_sequence)
    world.log.say("ANR0991I", server="LAST")
    assert world.written.wait(SECONDS) and world.activity.wait_until_idle(SECONDS)
    world.activity.stop()
    told = [line.message.text for line in world.said if line.message.id == "ANR0904W"]
    assert len(told) == 1 and told[0].startswith(str(BATCH_LINES + 1))
