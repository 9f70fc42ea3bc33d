"""Fixtures of tests that hurt whole servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.killed_target import KilledTarget
from tests.faults.two_servers import Pair, prepare_source, prepare_target
from tests.grid.conftest import make_server  # noqa: F401 - a fixture
from tests.grid.grid_server import GridServer
from tests.grid.vaults import make_source, make_target

from farvault.base.disk import observe_crash_points
from farvault.transport.ports import unused_port


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins of servers are kept per test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def tokyo(tmp_path: Path) -> Iterator[GridServer]:
    """A target of DELHI, running in this process on a port that stays."""
    server = GridServer("TOKYO", str(tmp_path / "tokyo"), data_port=unused_port()).start()
    make_target(server, "DELHI")
    yield server
    server.stop()


@pytest.fixture
def delhi(tmp_path: Path, tokyo: GridServer) -> Iterator[GridServer]:
    """A source with TAPEPOOL, and TARGETCOPYPOOL at TOKYO: small volumes, so that there are several."""
    server = GridServer("DELHI", str(tmp_path / "delhi")).start()
    make_source(server, tokyo)
    yield server
    server.stop()


@pytest.fixture
def killed_target(tmp_path: Path) -> Iterator[KilledTarget]:
    """TOKYO, set up and not started."""
    made = GridServer("TOKYO", str(tmp_path / "process")).start()
    make_target(made, "DELHI")
    made.stop()
    target = KilledTarget(made)
    yield target
    target.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """DELHI and TOKYO as an administrator sets them up, running in this process on ports that stay."""
    tokyo = GridServer("TOKYO", str(tmp_path / "tokyo"), data_port=unused_port()).start()
    delhi = GridServer("DELHI", str(tmp_path / "delhi"), data_port=unused_port()).start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    yield Pair(delhi, tokyo)
    delhi.stop()
    tokyo.stop()


@pytest.fixture
def at_point() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """`at_point(label, action)`: once, when somebody in this process comes by there."""

    def observe(label: str, action: Callable[[], None]) -> None:
        left = [action]
        observe_crash_points(lambda passed: left.pop()() if passed == label and left else None)

    yield observe
    observe_crash_points(None)
