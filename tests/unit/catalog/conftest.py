"""A fresh catalog on disk, and one with a few definitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.catalog.catalog_world import KEY, World

from farvault.base.clock import ManualClock
from farvault.catalog.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog.create(str(tmp_path / "catalog.db"), KEY, ManualClock())
    yield made
    made.close()


@pytest.fixture
def world(catalog: Catalog) -> World:
    return World(catalog)
