"""Periods of hours that somebody looks at each hour: looks come a little early or late, and none may be missed by that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from farvault.apps.housekeeping import ExpireWhenDue
from farvault.base.clock import ManualClock
from farvault.base.log import Log
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import set_setting
from farvault.processes.process import Processes


class Counting(Processes):
    """Starts nothing."""

    started = 0

    def start(self, *_: object, **__: object) -> None:  # type: ignore[override]
        self.started += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: ManualClock) -> Iterator[Catalog]:
    made = Catalog.create(str(tmp_path / "catalog.db"), b"k" * 32, clock)
    yield made
    made.close()


@pytest.mark.parametrize("hours", [1, 2, 24])
def test_an_interval_is_kept_though_looks_are_not_on_the_second(
    catalog: Catalog, clock: ManualClock, hours: int
) -> None:
    with catalog.write() as tx:
        set_setting(tx, "EXPINTERVAL", str(hours))
    processes = Counting(Log(clock), clock)
    due = ExpireWhenDue(catalog, None, processes, clock)  # type: ignore[arg-type]
    chance = random.Random(1)
    for _ in range(240):
        late = chance.uniform(0, 3)
        clock.advance(late)
        due()
        clock.advance(3600 - late)
    assert processes.started == 240 // hours
