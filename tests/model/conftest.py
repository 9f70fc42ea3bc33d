"""A world for each history, from a template that is set up once a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.model.machine import Hierarchy
from tests.model.world import World, make_volumes_small


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """(template, where worlds are made from it)."""
    base = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        make_volumes_small(patch.setattr)
        World.set_up(base / "work", base / "template")
    yield base / "template", base / "work"


@pytest.fixture
def hierarchy(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> type[Hierarchy]:
    """The machine with a fresh world each time it is made."""
    make_volumes_small(monkeypatch.setattr)

    class Machine(Hierarchy):
        make_world = staticmethod(lambda: World.from_template(*folders))

    return Machine
