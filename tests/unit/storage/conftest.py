"""Every test here may ask for a `depot`: a storage with real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.storage.depot import Depot, MakeDepot


@pytest.fixture
def make_depot(tmp_path: Path) -> Iterator[MakeDepot]:
    made: list[Depot] = []

    def make(**settings: Any) -> Depot:
        made.append(Depot(tmp_path, **settings))
        return made[-1]

    yield make
    for depot in made:
        depot.close()


@pytest.fixture
def depot(make_depot: MakeDepot) -> Depot:
    return make_depot()
