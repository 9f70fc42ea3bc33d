"""The activity log while the catalog takes nothing: lines wait as long as there is place, nothing turns in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.apps import activity_log
from farvault.apps.activity_log import BATCH_LINES, ActivityLog
from farvault.base.clock import ManualClock
from farvault.base.log import Line, Log
from farvault.catalog import activity
from farvault.catalog.catalog import Catalog
from farvault.catalog.log import SMALLEST_CAPACITY_BYTES
from farvault.catalog.roll_forward import LogPlace
from farvault.catalog.settings import set_setting


class World:
    """A catalog with a recovery log, and an activity log."""

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
        self.activity = ActivityLog(self.catalog, self.log, lambda tx: None)
        self.log.add_sink(self.activity)

    def fill(self) -> None:
        with pytest.raises(Exception, match="ANR0130E"):
            for number in range(1000):
                with self.catalog.write() as tx:
                    set_setting(tx, "FILLER", str(number % 10) * 100_000)

    def make_room(self) -> None:
        figures = self.catalog.log_figures()
        assert figures is not None
        self.catalog.prune_log(figures.log_id, figures.last_sequence)

    def kept(self) -> list[str]:
        """Which server each line is about, or its first word."""
        with self.catalog.read() as r:
            found = activity.query(r, 0, 1 << 40)
            return [line.message.text.removeprefix("Server ").split()[0] for line in found]

    def ids(self) -> list[str]:
        return [line.message.id for line in self.said]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.catalog.close()


def test_lines_that_come_while_the_log_is_full_wait_until_there_is_room(world: World) -> None:
    world.fill()
    for number in range(BATCH_LINES + 1):
        world.log.say("ANR0991I", server=f"S{number}")
    world.activity.start()
    assert not world.activity.settle(PATIENCE_SECONDS), "it says at once that there is no room"
    world.log.say("ANR0991I", server="LAST")
    assert not world.activity.settle(PATIENCE_SECONDS)
    world.make_room()
    assert world.activity.settle(PATIENCE_SECONDS), "and tries at once where somebody waits"
    assert world.kept() == [*(f"S{number}" for number in range(BATCH_LINES + 1)), "LAST"]
    world.activity.stop()
    assert "ANR0904W" not in world.ids()


def test_lines_that_found_no_place_to_wait_are_told_of_once_and_only_when_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saying so at once would be one more line that cannot be written, and one more that says so, for ever."""
    monkeypatch.setattr(activity_log, "QUEUE_LINES", 3)
    world.fill()
    for number in range(5):
        world.log.say("ANR0991I", server=f"S{number}")
    world.activity.start()
    assert not world.activity.settle(PATIENCE_SECONDS)
    assert "ANR0904W" not in world.ids()
    world.make_room()
    assert world.activity.settle(PATIENCE_SECONDS)
    world.activity.stop()
    told = [line.message.text for line in world.said if line.message.id == "ANR0904W"]
    assert len(told) == 1 and told[0].startswith("2 ")
    assert world.kept() == ["S0", "S1", "S2", "2"]


def test_it_ends_with_its_server_where_the_log_is_full(world: World) -> None:
    world.fill()
    for number in range(BATCH_LINES + 1):
        world.log.say("ANR0991I", server=f"S{number}")
    world.activity.start()
    world.activity.stop()
    assert world.kept() == []
