"""Opening, writing, reading and closing the catalog; what happens when the disk does not play along."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.base.clock import ManualClock
from farvault.base.disk import observe_crash_points
from farvault.base.errors import AlreadyExists, InUse, MediaFailed, MediaFull, NotFound
from farvault.catalog import writer
from farvault.catalog.catalog import Catalog
from farvault.catalog.sequences import next_value, take_values
from farvault.catalog.settings import all_settings, get_setting, set_setting

KEY = b"k" * 32


def set_one(catalog: Catalog, name: str, value: str) -> None:
    with catalog.write() as tx:
        set_setting(tx, name, value)


def get_one(catalog: Catalog, name: str) -> str | None:
    with catalog.read() as r:
        return get_setting(r, name)


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.db")
    catalog = Catalog.create(path, KEY, ManualClock())
    set_one(catalog, "SERVERNAME", "DELHI")
    catalog.close()
    catalog = Catalog.open(path, KEY, ManualClock())
    assert get_one(catalog, "SERVERNAME") == "DELHI"
    with catalog.read() as r:
        assert all_settings(r) == {"SERVERNAME": "DELHI"}
    catalog.close()
    assert not (tmp_path / "catalog.db-wal").exists()


def test_an_exception_undoes_the_whole_transaction(catalog: Catalog) -> None:
    with pytest.raises(KeyError), catalog.write() as tx:
        set_setting(tx, "A", "1")
        raise KeyError
    assert get_one(catalog, "A") is None
    set_one(catalog, "A", "2")
    assert get_one(catalog, "A") == "2"


def test_a_write_inside_a_write_is_an_error_and_the_outer_one_goes_on(catalog: Catalog) -> None:
    with catalog.write() as tx:
        with pytest.raises(RuntimeError), catalog.write():
            pass
        set_setting(tx, "A", "1")
    assert get_one(catalog, "A") == "1"


def test_a_reader_keeps_its_state_while_a_writer_goes_on(catalog: Catalog) -> None:
    set_one(catalog, "A", "old")
    with catalog.read() as before:
        set_one(catalog, "A", "new")
        assert get_setting(before, "A") == "old"
        with catalog.read() as after:
            assert get_setting(after, "A") == "new"


def test_a_transaction_sees_its_own_changes_and_others_do_not(catalog: Catalog) -> None:
    with catalog.write() as tx:
        set_setting(tx, "A", "1")
        assert get_setting(tx, "A") == "1"
        assert get_one(catalog, "A") is None


def test_a_stream_ends_with_its_snapshot_and_does_not_hold_the_old_state(catalog: Catalog) -> None:
    for number in range(10):
        set_one(catalog, f"S{number}", "x")
    with catalog.read() as r:
        stream = r.rows("SELECT name FROM settings ORDER BY name")
        assert next(stream) == ("S0",)
    with pytest.raises(apsw.CursorClosedError):
        next(stream)
    set_one(catalog, "S0", "changed")
    assert get_one(catalog, "S0") == "changed"


def test_a_transaction_that_has_ended_cannot_be_used(catalog: Catalog) -> None:
    with catalog.write() as tx:
        set_setting(tx, "A", "1")
    with pytest.raises(RuntimeError, match="ended"):
        set_setting(tx, "A", "2")
    with catalog.read() as r:
        pass
    with pytest.raises(RuntimeError, match="ended"):
        get_setting(r, "A")


def test_readers_cannot_write(catalog: Catalog) -> None:
    with pytest.raises(MediaFailed), catalog.read() as r:
        r.one("DELETE FROM settings")


def test_writers_of_many_threads_wait_for_each_other(catalog: Catalog) -> None:
    def count_up() -> None:
        for _ in range(25):
            with catalog.write() as tx:
                set_setting(tx, "N", str(int(get_setting(tx, "N") or 0) + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert get_one(catalog, "N") == "100"


def test_numbers_are_never_given_twice(catalog: Catalog) -> None:
    with catalog.write() as tx:
        assert [next_value(tx, "X"), next_value(tx, "X"), take_values(tx, "X", 10), next_value(tx, "X")] == [
            1,
            2,
            3,
            13,
        ]
        assert next_value(tx, "Y") == 1


def test_a_catalog_is_open_once(catalog: Catalog) -> None:
    with pytest.raises(InUse):
        Catalog.open(catalog.path, KEY, ManualClock())


def test_creating_over_a_catalog_and_opening_none_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(AlreadyExists):
        Catalog.create(catalog.path, KEY, ManualClock())
    with pytest.raises(NotFound):
        Catalog.open(str(tmp_path / "none"), KEY, ManualClock())
    with pytest.raises(MediaFailed):
        Catalog.create(str(tmp_path / "none" / "catalog.db"), KEY, ManualClock())


def _raw_change(path: str, *statements: str) -> None:
    connection = apsw.Connection(path)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE row_key SET key_check = x'00'",
        "PRAGMA application_id=7",
        "INSERT INTO migrations VALUES (9999, 'x', 0)",
    ],
)
def test_a_catalog_that_is_not_for_us_is_refused(tmp_path: Path, harm: str) -> None:
    path = str(tmp_path / "catalog.db")
    Catalog.create(path, KEY, ManualClock()).close()
    connection = apsw.Connection(path)
    connection.execute(harm)
    connection.close()
    with pytest.raises(MediaFailed, match="ANR0135E"):
        Catalog.open(path, KEY, ManualClock())


def test_another_key_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.db")
    Catalog.create(path, KEY, ManualClock()).close()
    with pytest.raises(MediaFailed, match="keyring"):
        Catalog.open(path, b"x" * 32, ManualClock())


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"this is no database, whatever its name says" * 1000)
    with pytest.raises(MediaFailed):
        Catalog.open(str(path), KEY, ManualClock())


def test_a_closed_catalog_says_so(tmp_path: Path) -> None:
    catalog = Catalog.create(str(tmp_path / "catalog.db"), KEY, ManualClock())
    with catalog.read() as r:
        catalog.close()
        assert get_setting(r, "A") is None
    for door in (catalog.read, catalog.write):
        with pytest.raises(MediaFailed, match="closed"), door():
            pass


def test_a_large_log_is_copied_into_the_database_between_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAL_CHECKPOINT_BYTES", 64 * writer.PAGE_BYTES)
    catalog = Catalog.create(str(tmp_path / "catalog.db"), KEY, ManualClock())
    checkpoints: list[str] = []
    observe_crash_points(lambda label: checkpoints.append(label) if "checkpoint.after" in label else None)
    try:
        with catalog.read():  # a long reader: the log cannot start again, and we do not try at every commit
            for number in range(200):
                set_one(catalog, f"S{number}", "x" * 9000)
    finally:
        observe_crash_points(None)
    assert 2 <= len(checkpoints) <= 20
    catalog.close()


def test_no_room_is_said_clearly_and_nothing_is_half_done(catalog: Catalog) -> None:
    set_one(catalog, "A", "1")
    pages = catalog._writer.connection.pragma("page_count")
    catalog._writer.connection.pragma("max_page_count", pages)
    with pytest.raises(MediaFull, match="ANR0131E"), catalog.write() as tx:
        set_setting(tx, "A", "2")
        set_setting(tx, "B", "x" * 100_000)
    assert (get_one(catalog, "A"), get_one(catalog, "B")) == ("1", None)
    catalog._writer.connection.pragma("max_page_count", 1_000_000)
    set_one(catalog, "B", "x" * 100_000)
    assert get_one(catalog, "A") == "1"


class _FailingFile(apsw.VFSFile):
    def __init__(self, inherits: str, name: Any, flags: list[int], faults: dict[str, apsw.Error]) -> None:
        self._faults = (
            faults if str(name.filename() if hasattr(name, "filename") else name).endswith("-wal") else {}
        )
        super().__init__(inherits, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if "write" in self._faults:
            raise self._faults["write"]
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if "sync" in self._faults:
            raise self._faults["sync"]
        super().xSync(flags)


class _FailingDisk(apsw.VFS):
    """The system's files, but writes or syncs of the write-ahead log fail on demand."""

    def __init__(self) -> None:
        self.faults: dict[str, apsw.Error] = {}
        super().__init__("failing", "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _FailingFile("", name, flags, self.faults)


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[tuple[Catalog, _FailingDisk]]:
    disk = _FailingDisk()
    path = str(tmp_path / "catalog.db")
    Catalog.create(path, KEY, ManualClock()).close()
    catalog = Catalog.open(path, KEY, ManualClock(), vfs="failing")
    yield catalog, disk
    disk.faults.clear()
    with contextlib.suppress(MediaFailed):  # the test has closed it
        catalog.close()
    disk.unregister()


def test_a_disk_that_is_full_at_commit_undoes_the_transaction(failing: tuple[Catalog, _FailingDisk]) -> None:
    catalog, disk = failing
    set_one(catalog, "A", "1")
    disk.faults["write"] = apsw.FullError()
    with pytest.raises(MediaFull):
        set_one(catalog, "A", "2")
    assert get_one(catalog, "A") == "1"
    disk.faults.clear()
    set_one(catalog, "A", "3")
    assert get_one(catalog, "A") == "3"


def test_after_a_failed_sync_nothing_is_written_any_more(failing: tuple[Catalog, _FailingDisk]) -> None:
    catalog, disk = failing
    set_one(catalog, "A", "1")
    disk.faults["sync"] = apsw.IOError()
    with pytest.raises(MediaFailed, match="ANR0132E"):
        set_one(catalog, "A", "2")
    disk.faults.clear()
    with pytest.raises(MediaFailed, match="ANR0139E"):
        set_one(catalog, "A", "3")
    assert get_one(catalog, "A") == "1"
    catalog.close()
    again = Catalog.open(catalog.path, KEY, ManualClock())
    assert get_one(again, "A") == "2"  # its frames had reached the log: the next start decides
    again.close()
