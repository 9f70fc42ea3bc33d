"""The recovery log: nothing acknowledged is lost whatever a power cut leaves, nothing false is taken in, a full log says so."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.catalog.catalog_world import KEY

from farvault.base.clock import ManualClock
from farvault.base.disk import observe_crash_points
from farvault.base.errors import MediaFailed, MediaFull
from farvault.base.units import MIB
from farvault.catalog import roll_forward
from farvault.catalog.catalog import Catalog
from farvault.catalog.log import RecoveryLog
from farvault.catalog.log_chain import PAGES, Position
from farvault.catalog.roll_forward import NORMAL, ROLLFORWARD, LogPlace, Step, compare
from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.wal import Salts, pages_of

CAPACITY = 16 * MIB
PAGE = 8192


@pytest.fixture(autouse=True)
def no_observer() -> Iterator[None]:
    yield
    observe_crash_points(None)


@dataclass
class Home:
    """A catalog and its log, and copies of both as a machine that stopped would leave them."""

    folder: Path
    capacity: int = CAPACITY

    @property
    def place(self) -> LogPlace:
        return LogPlace(str(self.folder / "log"), self.capacity)

    def make(self) -> Catalog:
        self.folder.mkdir(exist_ok=True)
        Catalog.create(str(self.folder / "c.db"), KEY, ManualClock()).close()
        catalog = self.open()
        catalog.set_log_mode(ROLLFORWARD)
        return catalog

    def open(self, *, begin_anew: bool = False) -> Catalog:
        place = self.place._replace(begin_anew=begin_anew)
        return Catalog.open(str(self.folder / "c.db"), KEY, ManualClock(), log=place)

    def copy(self, to: Path) -> Home:
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        unready = shutil.ignore_patterns("*.new")  # a spare segment that a thread is just making
        shutil.copytree(self.folder / "log", to / "log", ignore=unready)
        for name in ("c.db", "c.db-wal", "c.db-replaying"):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, to / name)
        return Home(to, self.capacity)

    @property
    def wal(self) -> Path:
        return self.folder / "c.db-wal"

    @property
    def segments(self) -> list[Path]:
        return sorted((self.folder / "log").glob("log.0*"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def put(catalog: Catalog, number: int, size: int = 3000) -> None:
    """One commit: a value of its own and the running number."""
    with catalog.write() as tx:
        set_setting(tx, f"N{number:05}", f"{number}" * size)
        set_setting(tx, "LAST", str(number))


def last(catalog: Catalog) -> int:
    """How far it goes; every value up to there is whole."""
    with catalog.read() as r:
        number = int(get_setting(r, "LAST") or 0)
        for each in range(1, number + 1):
            value = get_setting(r, f"N{each:05}")
            assert value is not None and set(value.split(str(each))) == {""}, each
        assert get_setting(r, f"N{number + 1:05}") is None
        assert r.all("PRAGMA quick_check") == [("ok",)]
    return number


ONE, NEXT, OTHER = Salts(5, 1), Salts(6, 9), Salts(77, 7)


@pytest.mark.parametrize(
    ("log", "salts", "frames", "step"),
    [
        (Position(ONE, 4, False), ONE, 4, Step.NOTHING),
        (Position(ONE, 4, False), ONE, 6, Step.APPEND),
        (Position(ONE, 4, False), ONE, 3, Step.REPLAY),
        (Position(ONE, 4, False), ONE, 0, Step.REPLAY),
        (Position(ONE, 4, False), None, 0, Step.REPLAY),
        (Position(ONE, 4, False), NEXT, 2, Step.APPEND_ALL),
        (Position(ONE, 4, False), NEXT, 0, Step.NOTHING),
        (Position(ONE, 4, False), OTHER, 2, Step.MISMATCH),
        (Position(ONE, 4, False), OTHER, 0, Step.REPLAY),
        (Position(ONE, 4, True), None, 0, Step.NOTHING),
        (Position(ONE, 4, True), ONE, 4, Step.NOTHING),
        (Position(ONE, 4, True), ONE, 0, Step.NOTHING),
        (Position(ONE, 4, True), ONE, 3, Step.REPLAY),
        (Position(ONE, 4, True), OTHER, 3, Step.APPEND_ALL),
        (Position(ONE, 4, True), OTHER, 0, Step.NOTHING),
        (Position(Salts(2**32 - 1, 0), 4, False), Salts(0, 3), 2, Step.APPEND_ALL),
    ],
)
def test_what_has_to_happen_first(log: Position, salts: Salts | None, frames: int, step: Step) -> None:
    assert compare(log, salts, frames) is step


def test_every_commit_is_an_entry_and_an_empty_one_is_none(home: Home) -> None:
    catalog = home.make()
    before = catalog.log_figures()
    assert before is not None and before.last_sequence == 1, "SET LOGMODE itself"
    for number in range(1, 4):
        put(catalog, number)
    with catalog.write():
        pass
    after = catalog.log_figures()
    assert after is not None and after.last_sequence == 4 and after.used_bytes > before.used_bytes
    catalog.close()
    catalog = home.open()
    assert last(catalog) == 3 and catalog.log_mode == ROLLFORWARD and catalog.notes == []
    put(catalog, 4)
    catalog.close()


def test_the_log_alone_brings_an_old_database_file_up_to_date(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    catalog.checkpoint()
    old = home.copy(tmp_path / "old")
    for number in range(1, 40):
        put(catalog, number)
    catalog.checkpoint()
    for number in range(40, 60):
        put(catalog, number)
    image = home.copy(tmp_path / "image")
    catalog.close()
    image.wal.unlink()
    shutil.copy(old.folder / "c.db", image.folder / "c.db")
    catalog = image.open()
    assert last(catalog) == 59
    assert [note.id for note in catalog.notes] == ["ANR4915I"]
    put(catalog, 60)
    catalog.close()
    assert last_of(image) == 60


def last_of(home: Home) -> int:
    catalog = home.open()
    try:
        return last(catalog)
    finally:
        catalog.close()


def torn_images(home: Home, tmp_path: Path, random: random.Random) -> Iterator[Home]:
    """What a power cut may leave: SQLite's file is not synced after its header, the log's last entry may be torn."""
    size = home.wal.stat().st_size if home.wal.exists() else 0
    for number in range(5):
        image = home.copy(tmp_path / f"image{number}")
        if number == 1 and size:
            image.wal.unlink()
        elif number > 1 and size > 32:
            cut = (512, 4096, 24 + PAGE)[number % 3]
            length = random.randrange(32, size + 1) // cut * cut or 32
            with open(image.wal, "r+b") as file:
                if number % 2:
                    file.truncate(length)
                else:  # unwritten: zeros in the middle, later blocks are there
                    file.seek(length)
                    file.write(bytes(min(cut, size - length)))
        yield image


@pytest.mark.parametrize("seed", range(2))
def test_nothing_acknowledged_is_lost_by_a_power_cut_at_any_step(
    home: Home, tmp_path: Path, seed: int
) -> None:
    """At every step that touches the disk, several images of what it may leave are opened."""
    random_ = random.Random(seed)
    acknowledged, begun, checked = 0, 0, set[str]()
    every = {"log.append.before_sync": 7, "log.append.after_sync": 7}

    catalog = home.make()
    catalog.checkpoint()
    failures: list[str] = []

    def observe(label: str) -> None:
        if not label.startswith(("catalog.c", "log.")) or random_.randrange(every.get(label, 12)):
            return
        observe_crash_points(None)
        checked.add(label)
        for image in torn_images(home, tmp_path, random_):
            opened = image.open()
            found = last(opened)
            if not acknowledged <= found <= begun:
                failures.append(f"{label}: {found}, acknowledged {acknowledged}")
            opened.close()
            if last_of(image) != found:
                failures.append(f"{label}: another state at the second start")
        observe_crash_points(observe)

    observe_crash_points(observe)
    for number in range(1, 26):
        begun = number
        put(catalog, number, random_.choice((10, 3000, 60_000)))
        acknowledged = number
        if number % 9 == 0:
            catalog.checkpoint()
    observe_crash_points(None)
    catalog.close()
    assert failures == [] and len(checked) >= 3


def test_a_change_the_log_lacks_is_added_before_anybody_is_served(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    put(catalog, 1)
    images: list[Home] = []

    def observe(label: str) -> None:
        if label == "catalog.commit.before_log":
            images.append(home.copy(tmp_path / "image"))

    observe_crash_points(observe)
    put(catalog, 2)
    observe_crash_points(None)
    catalog.close()
    opened = images[0].open()
    figures = opened.log_figures()
    assert last(opened) == 2 and [note.id for note in opened.notes] == ["ANR4916I"]
    assert figures is not None and figures.last_sequence == 3
    opened.close()


def test_a_torn_last_entry_is_overwritten(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    put(catalog, 1)
    put(catalog, 2)
    figures = catalog.log_figures()
    assert figures is not None
    image = home.copy(tmp_path / "image")
    catalog.close()
    end = figures.used_bytes
    with open(image.segments[-1], "r+b") as file:
        file.seek(end - 5)
        file.write(b"\xff" * 5)
    log = RecoveryLog.open(image.place.folder, CAPACITY, KEY, PAGE)
    assert log is not None and log.sequence == 2
    log.close()
    catalog = image.open()
    assert last(catalog) == 2, "SQLite's own file still had it"
    put(catalog, 3)
    catalog.close()
    assert last_of(image) == 3


def test_bytes_of_a_client_in_a_torn_last_entry_are_not_taken_for_a_later_one(
    home: Home, tmp_path: Path
) -> None:
    """Whoever may put a name or a description into the catalog chooses bytes of an entry: a head, of any number, among them."""
    catalog = home.make()
    put(catalog, 1)
    figures = catalog.log_figures()
    assert figures is not None
    heads = [
        struct.pack("<8sBxxxIQQIIII", b"FVLOG1\r\n", PAGES, 0, figures.last_sequence + ahead, 0, 1, 2, 3, 4)
        for ahead in (2, 3, 90)
    ]
    forged = "".join((head + bytes(48)).decode("latin-1") for head in heads)
    assert forged.isascii()
    before = home.wal.stat().st_size
    with catalog.write() as tx:
        set_setting(tx, "FORGED", forged)
    image = home.copy(tmp_path / "image")
    catalog.close()
    os.truncate(image.wal, before)  # the machine lost its power in the middle of this commit
    data = image.segments[-1].read_bytes()
    assert data.count(heads[0]) == 1
    torn = data.index(heads[0]) - 1
    image.segments[-1].write_bytes(data[:torn] + b"?" + data[torn + 1 :])
    catalog = image.open()
    assert last(catalog) == 1
    with catalog.read() as r:
        assert get_setting(r, "FORGED") is None
    put(catalog, 2)
    catalog.close()
    assert last_of(image) == 2


def test_a_damaged_entry_with_others_behind_it_is_no_torn_tail(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    for number in range(1, 5):
        put(catalog, number)
    catalog.close()
    random_ = random.Random(1)
    size = home.segments[0].read_bytes().rstrip(b"\0").__len__()
    for place in [10, 60, *(random_.randrange(size - 30_000) for _ in range(9))]:
        image = home.copy(tmp_path / "image")
        with open(image.segments[0], "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 4]))
        with pytest.raises(MediaFailed, match=r"ANR4910E|ANR4911E"):
            image.open()


def test_another_catalogs_log_is_refused(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    put(catalog, 1)
    catalog.close()
    with pytest.raises(MediaFailed):
        RecoveryLog.open(home.place.folder, CAPACITY, b"x" * 32, PAGE)
    other = Home(tmp_path / "other")
    catalog = other.make()
    put(catalog, 1)
    image = other.copy(tmp_path / "image")
    catalog.close()
    shutil.rmtree(image.folder / "log")
    shutil.copytree(home.folder / "log", image.folder / "log")
    log = RecoveryLog.open(image.place.folder, CAPACITY, KEY, PAGE)
    assert log is not None and log.position.is_clean
    log.close()


def test_a_missing_log_is_not_made_anew_without_being_asked(home: Home) -> None:
    catalog = home.make()
    put(catalog, 1)
    catalog.close()
    shutil.rmtree(home.folder / "log")
    with pytest.raises(MediaFailed, match="ANR4914E"):
        home.open()
    catalog = home.open(begin_anew=True)
    assert last(catalog) == 1
    with catalog.read() as r:
        assert get_setting(r, "FULLBACKUPNEEDED")
    put(catalog, 2)
    catalog.close()
    assert last_of(home) == 2


def test_a_full_log_refuses_changes_before_they_begin_and_loses_none(home: Home) -> None:
    catalog = home.make()
    number = 0
    with pytest.raises(MediaFull, match="ANR0130E"):
        for number in range(1, 1000):
            put(catalog, number, 60_000)
    assert last(catalog) == number - 1
    with catalog.write(uses_reserve=True) as tx:
        set_setting(tx, "BACKUP", "still works")
    figures = catalog.log_figures()
    assert figures is not None and figures.used_bytes <= figures.capacity_bytes
    assert catalog.prune_log("another log", figures.last_sequence) == 0
    with catalog.write(uses_reserve=True):
        pass
    catalog.close()
    catalog = home.open()
    assert last(catalog) == number - 1
    assert catalog._log_mode.log is not None
    catalog._log_mode.log.switch(1)
    figures = catalog.log_figures()
    assert figures is not None
    with catalog.write(uses_reserve=True) as tx:  # as the transaction that completes a backup
        set_setting(tx, "LOGPRUNED", str(figures.last_sequence))
    assert catalog.prune_log(figures.log_id, figures.last_sequence) > 10 * MIB
    put(catalog, number, 60_000)
    image = home.copy(home.folder.parent / "image")
    catalog.close()
    assert last_of(image) == number, "a pruned log still continues the database"


def test_a_disk_without_room_for_the_log_refuses_changes_too(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = home.make()
    put(catalog, 1)

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    os.unlink(home.folder / "log" / "log.spare")
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(MediaFull, match="ANR4919E"):
        put(catalog, 2)
    with catalog.write(uses_reserve=True) as tx:
        set_setting(tx, "BACKUP", "still works")
    assert last(catalog) == 1
    catalog.close()
    catalog = home.open()
    with pytest.raises(MediaFull, match="ANR4919E"):
        put(catalog, 2)
    with catalog.write(uses_reserve=True) as tx:
        set_setting(tx, "BACKUP", "still works after a start")
    monkeypatch.undo()
    put(catalog, 2)
    catalog.close()
    assert last_of(home) == 2


def test_backups_that_fail_again_and_again_do_not_fill_the_disk_with_segments(home: Home) -> None:
    """Each image begins a segment, so that what it holds can go; one that comes to nothing leaves it nearly empty."""
    catalog = home.make()
    for number in range(1, 31):
        put(catalog, number)
        with catalog.image():
            pass
    assert catalog._log_mode.log is not None
    catalog._log_mode.log.await_spare()
    figures = catalog.log_figures()
    assert figures is not None and figures.used_bytes < 2 * MIB
    on_disk = sum(path.stat().st_size for path in (home.folder / "log").iterdir())
    assert on_disk <= figures.used_bytes + figures.reserve_bytes + 2 * MIB
    with catalog.image() as image:
        reached = image.log_sequence
    with catalog.write() as tx:
        set_setting(tx, "LOGPRUNED", str(reached))
    assert catalog.prune_log(figures.log_id, reached)
    with catalog.image():
        assert len(home.segments) == 2, "where it does not waste much, a segment begins again"
    catalog.close()
    assert last_of(home) == 30


def test_what_an_older_log_left_in_the_reserved_segment_is_no_damage_of_a_new_one(home: Home) -> None:
    """A pruned segment becomes the next one where the disk had no room; its entries have higher numbers than a new log's."""
    catalog = home.make()
    for number in range(1, 21):
        put(catalog, number, 60_000)
    log = catalog._log_mode.log
    assert log is not None
    log.await_spare()
    log.switch(1)
    log.await_spare()
    os.unlink(home.folder / "log" / "log.spare")
    catalog.prune_log(log.log_id, log.sequence)
    spare = home.folder / "log" / "log.spare"
    assert b"FVLOG1" in spare.read_bytes(), "a pruned segment"
    catalog.close()
    catalog = home.open(begin_anew=True)
    put(catalog, 21)
    image = home.copy(home.folder.parent / "image")
    catalog.close()
    assert last_of(image) == 21 and last_of(home) == 21


def test_an_error_of_the_logs_disk_ends_writing_and_the_next_start_knows_all(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = home.make()
    put(catalog, 1)
    real = os.pwritev

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pwritev", broken)
    with pytest.raises(MediaFailed, match="ANR4911E"):
        put(catalog, 2)
    assert catalog.has_failed
    with pytest.raises(MediaFailed, match="ANR0139E"):
        put(catalog, 3)
    monkeypatch.setattr(os, "pwritev", real)
    catalog.close()
    assert last_of(home) == 2, "whether it had happened only the next start finds out"


def test_going_back_to_normal_takes_the_log_away(home: Home) -> None:
    catalog = home.make()
    put(catalog, 1)
    catalog.set_log_mode(NORMAL)
    assert home.segments == [] and catalog.log_figures() is None
    put(catalog, 2)
    catalog.close()
    catalog = home.open()
    assert last(catalog) == 2 and catalog.log_mode == NORMAL
    catalog.set_log_mode(ROLLFORWARD)
    with catalog.read() as r:
        assert get_setting(r, "FULLBACKUPNEEDED") == "LOGMODE was changed"
    put(catalog, 3)
    catalog.close()
    assert last_of(home) == 3


@pytest.mark.parametrize("mode", [ROLLFORWARD, NORMAL])
def test_a_crash_at_any_step_of_a_change_of_mode_leaves_one_of_the_two(
    home: Home, tmp_path: Path, mode: str
) -> None:
    catalog = home.make()
    put(catalog, 1)
    if mode == ROLLFORWARD:
        catalog.set_log_mode(NORMAL)
    images: list[Home] = []
    observe_crash_points(lambda label: images.append(home.copy(tmp_path / f"image{len(images)}")))
    catalog.set_log_mode(mode)
    observe_crash_points(None)
    catalog.close()
    assert len(images) >= 4
    for image in images:
        opened = image.open()
        assert last(opened) == 1
        put(opened, 2)
        opened.close()
        assert last_of(image) == 2


def test_a_replay_that_is_broken_off_is_done_again(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    catalog.checkpoint()
    old = home.copy(tmp_path / "old")
    for number in range(1, 20):
        put(catalog, number)
    image = home.copy(tmp_path / "image")
    catalog.close()
    shutil.copy(old.folder / "c.db", image.folder / "c.db")
    image.wal.unlink()
    images: list[Home] = []

    def observe(label: str) -> None:
        if label.startswith("log.replay"):
            images.append(image.copy(tmp_path / f"again{len(images)}"))

    observe_crash_points(observe)
    image.open().close()
    observe_crash_points(None)
    assert len(images) == 3
    log = RecoveryLog.open(images[1].place.folder, CAPACITY, KEY, PAGE, read_only=True)
    assert log is not None
    with open(images[1].folder / "c.db", "r+b") as file:  # half of what was to be written is torn
        for entry in log.entries():
            for page, _ in list(pages_of(entry.data, PAGE))[::2]:
                file.seek((page - 1) * PAGE + 100)
                file.write(b"\xff" * 4000)
    for again in images:
        assert last_of(again) == 19


def test_entries_of_a_point_in_time(home: Home, tmp_path: Path) -> None:
    catalog = home.make()
    clock = catalog._clock
    assert isinstance(clock, ManualClock)
    catalog.checkpoint()
    old = home.copy(tmp_path / "old")
    times = []
    for number in range(1, 6):
        clock.advance(100)
        put(catalog, number)
        times.append(clock.now_seconds())
    log = RecoveryLog.open(home.place.folder, CAPACITY, KEY, PAGE, read_only=True)
    assert log is not None
    (old.wal).unlink(missing_ok=True)
    assert roll_forward.replay(str(old.folder / "c.db"), log, 1, times[2] + 1) == 3
    catalog.close()
    found = Catalog.open(str(old.folder / "c.db"), KEY, ManualClock())
    assert last(found) == 3
    found.close()
