"""An image is the database of one moment, whatever happens to the database while it is read."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import apsw
import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.catalog.catalog_world import KEY

from farvault.base.clock import ManualClock
from farvault.catalog.catalog import Catalog
from farvault.catalog.image import PAGE_DIGEST_BYTES, page_digests
from farvault.catalog.page_state import PageState, PageStates
from farvault.catalog.roll_forward import LogPlace
from farvault.catalog.settings import all_settings, set_setting


def put(catalog: Catalog, number: int, size: int = 20_000) -> None:
    with catalog.write() as tx:
        set_setting(tx, f"N{number}", os.urandom(size // 2).hex())


def rebuilt(catalog: Catalog, path: Path, meanwhile: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings at the moment of the image, and those of the database made of its pages."""
    with catalog.image() as image:
        with catalog.read() as r:
            expected = all_settings(r)
        with open(path, "wb") as file:
            for number, (_, pages) in enumerate(image.chunks()):
                file.write(pages)
                for step in meanwhile if number == 0 else ():
                    if step == "write":
                        for each in range(12):
                            put(catalog, each)
                    else:
                        catalog.checkpoint()
        assert path.stat().st_size == image.page_count * image.page_bytes
    connection = apsw.Connection(str(path))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = dict(connection.execute("SELECT name, value FROM settings").fetchall())
    connection.close()
    return expected, found  # type: ignore[return-value]


@pytest.mark.parametrize("before", [[], ["checkpoint"], ["checkpoint", "write"], ["write"]])
@pytest.mark.parametrize(
    "meanwhile",
    [[], ["write"], ["checkpoint", "write", "checkpoint", "write"], ["write", "checkpoint", "write"]],
)
def test_it_is_the_database_of_its_moment(
    catalog: Catalog, tmp_path: Path, before: list[str], meanwhile: list[str]
) -> None:
    for number in range(60):
        put(catalog, number, 100_000)
    for step in before:
        put(catalog, 3) if step == "write" else catalog.checkpoint()
    expected, found = rebuilt(catalog, tmp_path / "copy.db", meanwhile)
    assert found == expected


def test_it_holds_what_a_crash_left_to_be_recovered(tmp_path: Path) -> None:
    catalog = Catalog.create(str(tmp_path / "c.db"), KEY, ManualClock())
    for number in range(30):
        put(catalog, number)
    for name in ("c.db", "c.db-wal"):
        (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
    catalog.close()
    again = Catalog.open(str(tmp_path / "copy-c.db"), KEY, ManualClock())
    expected, found = rebuilt(again, tmp_path / "image.db", [])
    assert found == expected and len(found) == 30
    again.close()


def test_with_a_recovery_log_it_knows_how_far_that_went(tmp_path: Path) -> None:
    Catalog.create(str(tmp_path / "c.db"), KEY, ManualClock()).close()
    place = LogPlace(str(tmp_path / "log"), 1 << 24)
    catalog = Catalog.open(str(tmp_path / "c.db"), KEY, ManualClock(), log=place)
    catalog.set_log_mode("ROLLFORWARD")
    put(catalog, 1)
    with catalog.image() as image:
        put(catalog, 2)
        assert image.log_sequence == 2
    figures = catalog.log_figures()
    assert figures is not None and image.log_id == figures.log_id and figures.last_sequence == 3
    assert catalog.prune_log(image.log_id, image.log_sequence) > 0
    figures = catalog.log_figures()
    assert figures is not None and figures.first_sequence == 3
    catalog.close()


def test_many_images_beside_many_writers(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(30):
        put(catalog, number, 60_000)
    stop = threading.Event()

    def keep_writing() -> None:
        chance = random.Random(1)
        while not stop.is_set():
            put(catalog, chance.randrange(30), 60_000)
            if chance.random() < 0.2:
                catalog.checkpoint()

    thread = threading.Thread(target=keep_writing)
    thread.start()
    try:
        for number in range(6):
            path = tmp_path / f"{number}.db"
            with catalog.image() as image:
                path.write_bytes(b"".join(bytes(pages) for _, pages in image.chunks()))
            connection = apsw.Connection(str(path))
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)


def test_page_digests_are_one_for_each_page() -> None:
    pages = memoryview(b"a" * 8192 + b"b" * 8192 + b"a" * 8192)
    found = page_digests(pages, 8192)
    one, two, three = (found[at : at + PAGE_DIGEST_BYTES] for at in range(0, len(found), PAGE_DIGEST_BYTES))
    assert one == three != two


def test_page_states_are_kept_for_one_backup_and_never_believed_when_altered(tmp_path: Path) -> None:
    states = PageStates(str(tmp_path / "c.db"))
    for operation in (0, 1):
        states.save(PageState(4, operation, 1, 2, b"d" * 32))
    assert states.load(4, 1) == PageState(4, 1, 1, 2, b"d" * 32)
    states.keep_only(4, 1)
    assert states.load(4, 0) is None
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    assert states.load(4, 1) is None
    path.write_bytes(b"")
    assert states.load(4, 1) is None
