"""Every test here may ask for a `depot`: a storage with real files, whose sums hold in the end whatever was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.processes.depot_work import FILES, define_random_volume
from tests.unit.storage.depot import Depot, MakeDepot

from farvault.base.disk import observe_crash_points
from farvault.catalog import audit


@pytest.fixture
def make_depot(tmp_path: Path) -> Iterator[MakeDepot]:
    made: list[Depot] = []

    def make(**settings: Any) -> Depot:
        made.append(Depot(tmp_path, **settings))
        return made[-1]

    yield make
    observe_crash_points(None)
    for depot in made:
        with depot.catalog.read() as r:
            assert list(audit.check_sums(r)) == []
            assert list(audit.check_row_digests(r)) == []
        depot.close()


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    return make_depot()


@pytest.fixture(params=["TAPEPOOL", "BACKUPPOOL"])
def primary(request: pytest.FixtureRequest, depot: Depot) -> str:
    """A sequential pool and a random-access one, with files in it."""
    pool: str = request.param
    if pool == "BACKUPPOOL":
        define_random_volume(depot)
    depot.send(FILES, pool=pool)
    return pool
