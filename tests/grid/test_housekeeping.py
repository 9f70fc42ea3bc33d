"""What a server does by itself: things whose time is over go, and a failure of one keeps the others going."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.grid.grid_server import GridServer

from farvault.apps.housekeeping import ACTIVITY_LOG_DAYS
from farvault.base.errors import MediaFailed
from farvault.base.log import Line
from farvault.base.messages import message
from farvault.catalog import activity

DAY = 86_400


@pytest.fixture
def delhi(make_server: Callable[[str], GridServer]) -> GridServer:
    return make_server("DELHI")


def _old_line(delhi: GridServer, days: int) -> None:
    now = delhi.server.clock.now_seconds()
    with delhi.server.catalog.write() as tx:
        activity.append(tx, [Line(now - days * DAY, message("ANR0991I", server=f"DAY{days}"))])


def _said(delhi: GridServer) -> str:
    with delhi.server.catalog.read() as r:
        return "\n".join(map(str, activity.query(r, 0, 1 << 40)))


def test_old_lines_of_the_activity_log_go(delhi: GridServer) -> None:
    _old_line(delhi, ACTIVITY_LOG_DAYS + 1)
    _old_line(delhi, ACTIVITY_LOG_DAYS - 1)
    delhi.server.housekeeping.do_everything()
    assert f"DAY{ACTIVITY_LOG_DAYS + 1}" not in _said(delhi)
    assert f"DAY{ACTIVITY_LOG_DAYS - 1}" in _said(delhi)


def test_what_fails_is_said_and_the_rest_is_done(delhi: GridServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MediaFailed("ANR0138E")

    _old_line(delhi, ACTIVITY_LOG_DAYS + 1)
    monkeypatch.setattr(delhi.server.storage.emptied, "end_pending", fail)
    delhi.server.housekeeping.do_everything()
    delhi.lines.wait_for("ANR0138E")
    assert f"DAY{ACTIVITY_LOG_DAYS + 1}" not in _said(delhi)
