"""Commands whose process runs once at a time: the second one is refused, whether it waits or not, by the first one's number."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.grid.grid_server import GridServer
from tests.patience import PATIENCE_SECONDS

from farvault.processes import audit_catalog, drill, expire_inventory, reconcile_volumes
from farvault.processes.process import Process

COMMANDS = (
    ("audit catalog", audit_catalog.DESCRIPTION, "ANR4751E"),
    ("expire inventory", expire_inventory.DESCRIPTION, "ANR0815E"),
    ("reconcile volumes", reconcile_volumes.DESCRIPTION, "ANR4899E"),
    ("run drill", drill.DESCRIPTION, "ANR4939E"),
)


@pytest.fixture(scope="module")
def delhi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridServer]:
    server = GridServer("DELHI", f"{tmp_path_factory.mktemp('one')}/delhi").start()
    server.admin("define server tokyo password=secret-12345 hladdress=127.0.0.1 lladdress=9 nodename=delhi")
    server.admin("define devclass targetclass devtype=server servername=tokyo")
    yield server
    server.stop()


@pytest.mark.parametrize("wait", ["yes", "no"])
@pytest.mark.parametrize(("command", "description", "refusal"), COMMANDS, ids=[row[0] for row in COMMANDS])
def test_a_second_one_is_refused(
    delhi: GridServer, command: str, description: str, refusal: str, wait: str
) -> None:
    may_end = threading.Event()

    def work(_: Process) -> None:
        assert may_end.wait(PATIENCE_SECONDS)

    first = delhi.server.processes.start(description, work)
    try:
        answer = delhi.admin(f"{command} wait={wait}", allow=(12,)).text
        assert refusal in answer and str(first.number) in answer
        assert [one.number for one in delhi.server.processes.list()] == [first.number]
    finally:
        may_end.set()
        assert first.wait(PATIENCE_SECONDS)
