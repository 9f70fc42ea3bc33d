"""The volume history at an administrator's terminal: QUERY and DELETE VOLHISTORY, events of pool volumes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.grid_server import GridServer

from farvault.catalog import nouns
from farvault.model.device_class import DeviceClass
from farvault.model.volume_history import BACKUPFULL, BACKUPINCR, EXPORT
from farvault.seal.record import RecordKind
from farvault.storage.history_writing import HistoryWriter, Operation


@pytest.fixture
def delhi(tmp_path: Path) -> Iterator[GridServer]:
    server = GridServer("DELHI", str(tmp_path / "delhi")).start()
    server.admin(f"define devclass tapeclass devtype=file directory={server.folder}/tapes maxcapacity=16m")
    yield server
    server.stop()


def write(
    delhi: GridServer, type: str, series: int, *, operation: int = 0, class_name: str = "TAPECLASS"
) -> str:
    one = Operation(type, RecordKind.EXPORT, series, operation, delhi.server.clock.now_seconds())
    with HistoryWriter(delhi.server.storage, class_name, one) as writer:
        return writer.commit()[0].volume


def test_entries_are_shown_by_type_and_day(delhi: GridServer) -> None:
    export, full = write(delhi, EXPORT, 1), write(delhi, BACKUPFULL, 1)
    shown = delhi.admin("query volhistory").text
    assert export in shown and full in shown and "Backup Series" in shown
    assert export not in delhi.admin("query volhistory type=dbbackup").text
    assert delhi.admin("query volhistory type=rpfile", allow=(11,)).return_code == 11
    assert delhi.admin("query volhistory enddate=today-1", allow=(11,)).return_code == 11
    assert full in delhi.admin("query volh begind=today t=dbb", style="JSON").text
    assert full in delhi.admin("query volhistory begintime=now-00:10 endtime=now").text
    for filter in ("begintime=now+00:10 enddate=today+1", "type=remote", "type=dbdump", "type=backupset"):
        delhi.admin(f"query volhistory {filter}", allow=(11,))
    assert "ANR2106E" in delhi.admin("query volhistory begintime=10:00 endtime=09:00", allow=(3,)).text


def test_deleting_takes_the_volume_and_keeps_the_newest_series(delhi: GridServer) -> None:
    export, old, new = write(delhi, EXPORT, 1), write(delhi, BACKUPFULL, 1), write(delhi, BACKUPFULL, 2)
    answer = delhi.admin("delete volhistory todate=today type=all").text
    assert "ANR2467I 2 entries" in answer and "newest series" in answer
    assert [os.path.exists(name) for name in (export, old, new)] == [False, False, True]
    assert delhi.admin("delete volhistory todate=today type=dbbackup").text.count("ANR2467I 0 entries") == 1


def test_deleting_goes_on_where_the_class_of_an_entry_is_not_defined(delhi: GridServer) -> None:
    """What cannot be deleted is told, and keeps what is before it in its series; a series without its end would be none."""
    others = f"devtype=file directory={delhi.folder}/others"
    delhi.admin(f"define devclass others {others}")
    full, one = write(delhi, BACKUPFULL, 1), write(delhi, BACKUPINCR, 1, operation=1, class_name="OTHERS")
    whole, newest, export = write(delhi, BACKUPFULL, 2), write(delhi, BACKUPFULL, 3), write(delhi, EXPORT, 1)
    with delhi.server.catalog.write() as tx:
        nouns.delete(tx, nouns.get(tx, DeviceClass, "OTHERS"))
    answer = delhi.admin("delete volhistory todate=today type=all", allow=(4,)).text
    assert "ANR4973W" in answer and one in answer and "OTHERS is not defined" in answer
    assert "ANR2467I 2 entries" in answer
    assert [os.path.exists(name) for name in (full, one, whole, newest, export)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    delhi.admin(f"define devclass others {others}")
    assert "ANR2467I 2 entries" in delhi.admin("delete volhistory todate=today type=all").text
    assert [os.path.exists(name) for name in (full, one, newest)] == [False, False, True]


def test_pool_volumes_leave_their_traces(delhi: GridServer) -> None:
    delhi.admin("define stgpool tapepool tapeclass maxscratch=5")
    delhi.admin("define volume tapepool one wait=yes")
    delhi.admin(f"delete volume {delhi.folder}/tapes/one wait=yes")
    for event in ("stgnew", "stgdelete"):
        assert f"{delhi.folder}/tapes/one" in delhi.admin(f"query volhistory type={event}").text
