"""What QUERY SESSION shows and CANCEL SESSION ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.transport.conftest import House

from farvault.base.clock import ManualClock
from farvault.base.errors import NotFound, PeerUnreachable
from farvault.protocol.messages import Done, Ping
from farvault.transport.session_table import SessionTable


def test_a_session_is_listed_with_its_figures_until_it_is_removed(house: Callable[..., House]) -> None:
    table = SessionTable(ManualClock(5000))
    connection = house().session()
    entry = table.open(connection, "Node", "DELHI", "Linux")
    other = table.open(connection, "Admin", "ADMIN")
    assert [e.number for e in table.list()] == [1, 2]
    assert (entry.type, entry.name, entry.platform, entry.since) == ("Node", "DELHI", "Linux", 5000)
    assert entry.address.startswith("127.0.0.1:")
    before = entry.bytes_sent
    connection.call(Ping(), Done)
    assert entry.bytes_sent > before
    assert entry.bytes_received > 0
    assert (entry.state, entry.wait_seconds) == ("Run", 0)
    table.remove(entry)
    table.remove(entry)
    assert table.list() == [other]
    assert table.open(connection, "Node", "DELHI").number == 3, "numbers are not used again"
    connection.close()


def test_a_cancelled_session_finds_out_at_once(house: Callable[..., House]) -> None:
    table = SessionTable(ManualClock())
    connection = house().session()
    entry = table.open(connection, "Node", "DELHI")
    assert table.cancel(entry.number) is entry
    assert entry.cancelled
    with pytest.raises(PeerUnreachable):
        connection.receive()
    connection.close()


def test_a_session_that_does_not_exist_cannot_be_cancelled() -> None:
    with pytest.raises(NotFound):
        SessionTable(ManualClock()).cancel(7)
