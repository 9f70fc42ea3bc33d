"""Fixtures of tests that run whole servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.grid.grid_server import GridServer


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[str], GridServer]]:
    """`make_server("DELHI")`: a fresh server, started; stopped at the end of the test."""
    made: list[GridServer] = []

    def make(name: str) -> GridServer:
        server = GridServer(name, str(tmp_path / name.lower()))
        made.append(server)
        return server.start()

    yield make
    for server in reversed(made):
        server.stop()
