"""What the server does by itself: no period is missed because looks come a little late, nothing urgent waits."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.apps.housekeeping import ExpireWhenDue, Housekeeping, Piece
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


def test_an_urgent_piece_waits_for_no_other_one(clock: ManualClock) -> None:
    """A full recovery log does not wait until ten thousand deletions are told."""
    began, may_end, done = threading.Event(), threading.Event(), threading.Event()

    def long_work() -> None:
        began.set()
        may_end.wait(PATIENCE_SECONDS)

    pieces = [Piece("long", long_work), Piece("urgent", done.set, is_urgent=True)]
    housekeeping = Housekeeping(pieces, Log(clock), clock)
    housekeeping.start()
    housekeeping.poke("long")
    assert began.wait(PATIENCE_SECONDS)
    housekeeping.poke("urgent")
    assert done.wait(PATIENCE_SECONDS)
    may_end.set()
    housekeeping.stop()
