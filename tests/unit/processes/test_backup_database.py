"""BACKUP DB where something fails: whichever step of the device it is, nothing is left behind and the next one succeeds."""

from __future__ import annotations

import os

import pytest
from tests.unit.storage.depot import Depot

from farvault.base.errors import MediaFailed
from farvault.catalog import volume_history
from farvault.catalog.settings import set_setting
from farvault.model.volume_history import QUERY_TYPES
from farvault.policy.database_backup import FULL, INCREMENTAL
from farvault.processes.backup_database import DESCRIPTION, DatabaseBackups, Options
from farvault.processes.process import Process, Processes, State


def back_up(depot: Depot, kind: str) -> Process:
    backups = DatabaseBackups(depot.storage, lambda: b"wrapped")

    def work(process: Process) -> None:
        backups.check(Options(kind, "TAPECLASS"))
        backups.run(process, Options(kind, "TAPECLASS"))

    return Processes(depot.log, depot.clock).start(DESCRIPTION, work, wait=True)


def entries(depot: Depot) -> int:
    with depot.catalog.read() as r:
        return len(volume_history.rows(r, QUERY_TYPES["DBBACKUP"], complete=None))


@pytest.mark.parametrize("operation", ["create", "open_writer", "append", "commit"])
@pytest.mark.parametrize("kind", [FULL, INCREMENTAL])
def test_a_step_that_fails_leaves_nothing_behind(depot: Depot, operation: str, kind: str) -> None:
    assert back_up(depot, FULL).state is State.SUCCESS
    files = os.listdir(depot.folder / "tapeclass")
    failures = 0
    for nth in range(1, 5):
        depot.clock.advance(10)
        with depot.catalog.write() as tx:
            set_setting(tx, "CHANGED", str(nth))
        depot.faults.fail(operation, MediaFailed("ANR8359E", operation="x", volume="v", reason="y"), nth=nth)
        ended = back_up(depot, kind)
        if ended.state is State.SUCCESS:
            break
        failures += 1
        assert ended.error is not None and ended.error.id == "ANR8359E"
        assert entries(depot) == 1 and os.listdir(depot.folder / "tapeclass") == files
        assert not depot.storage.history_in_use and depot.storage.use.open_now == []
    assert failures, "it came by there"
    assert ended.state is State.SUCCESS or back_up(depot, kind).state is State.SUCCESS


def test_without_the_page_digests_the_next_one_must_be_full(depot: Depot) -> None:
    back_up(depot, FULL)
    (path,) = depot.folder.glob("catalog.db-pages.*")
    path.write_bytes(b"altered")
    ended = back_up(depot, INCREMENTAL)
    assert ended.error is not None and ended.error.id == "ANR2361E"
    assert back_up(depot, FULL).state is State.SUCCESS
    assert back_up(depot, INCREMENTAL).state is State.SUCCESS
