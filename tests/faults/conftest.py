"""Fixtures of tests that hurt whole servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.killed_target import KilledTarget
from tests.faults.two_servers import Pair, running_pair
from tests.grid.conftest import delhi, make_server, tokyo  # noqa: F401 - fixtures
from tests.grid.grid_server import GridServer
from tests.grid.vaults import make_target

from farvault.base.disk import observe_crash_points


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins of servers are kept per test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


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
    yield from running_pair(tmp_path)


@pytest.fixture
def at_point() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """`at_point(label, action)`: once, when somebody in this process comes by there."""

    def observe(label: str, action: Callable[[], None]) -> None:
        left = [action]
        observe_crash_points(lambda passed: left.pop()() if passed == label and left else None)

    yield observe
    observe_crash_points(None)
