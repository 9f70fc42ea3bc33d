"""Fixtures of tests that run whole servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.two_servers import Pair, running_pair
from tests.grid.client_command import Client, own_file_space
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import make_source, make_target

from farvault.transport.ports import unused_port


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


@pytest.fixture
def server(
    make_server: Callable[[str], GridServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GridServer:
    """DELHI with node ANN, whose client sees its own file space and configuration."""
    own_file_space(tmp_path, monkeypatch)
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    return server


@pytest.fixture
def client(server: GridServer) -> Client:
    """ANN's command lines at that server."""
    return Client(server)


@pytest.fixture
def tokyo(tmp_path: Path) -> Iterator[GridServer]:
    """A target of DELHI. On a port that stays: it may be stopped and started again."""
    server = GridServer("TOKYO", str(tmp_path / "tokyo"), data_port=unused_port()).start()
    make_target(server, "DELHI")
    yield server
    server.stop()


@pytest.fixture
def delhi(make_server: Callable[[str], GridServer], tokyo: GridServer) -> GridServer:
    """A source with TAPEPOOL, and TARGETCOPYPOOL at TOKYO: small volumes, so that there are several.

    A file that needs more of it defines its own `delhi` on top.
    """
    server = make_server("DELHI")
    make_source(server, tokyo)
    return server


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """DELHI and TOKYO as an administrator sets them up by the commands of the chapter, on ports that stay."""
    yield from running_pair(tmp_path)
