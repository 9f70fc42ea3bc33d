"""Rot in the catalog's file: every flipped bit that changes a protected row is found by AUDIT CATALOG.

SQLite's own check misses 40 % of single-bit flips (reliability study); row digests, the check and the sums together must
miss none. The suite samples, `make soak` tries every byte.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.unit.catalog.catalog_image import Opened
from tests.unit.catalog.catalog_world import KEY, World, new_file

from farvault.base.clock import ManualClock
from farvault.catalog import audit, expiration, nouns, placements, vault, volume_checks
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Snapshot
from farvault.model.administrator import Administrator
from farvault.model.hold import Hold
from farvault.model.stored_object import ObjectKind
from farvault.policy.scrub import VolumeCheck

SAMPLES = 2000
FOUND_THROUGH_OTHERS = ("object_extents", "directories", "class_names")
"""Their rows have no digest of their own: that of the object covers them, or a unique index holds them a second time."""


@pytest.fixture(scope="module")
def rows_and_image(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[object]], bytes]:
    """A small catalog with some of everything, as bytes."""
    path = str(tmp_path_factory.mktemp("rot") / "catalog.db")
    catalog = Catalog.create(path, KEY, ManualClock())
    world = World(catalog)
    with catalog.write() as tx:
        for name in ("A", "B", "C"):
            nouns.insert(tx, Administrator(name=name))
        for batch in range(12):
            contents = [b"%d of %d" % (part, batch) for part in range(6)]
            aggregate_id, ids = world.aggregate(tx, *contents)
            placements.add(tx, aggregate_id, world.copy_volume, batch * 4096)
            world.store(tx, *(new_file(b"dir%d" % batch, b"file%d" % n, ids[n]) for n in range(6)))
        (archived,) = world.store(tx, new_file(b"d", b"f"), kind=ObjectKind.ARCHIVE)
        expiration.signal(tx, [archived], 8)
        nouns.insert(tx, Hold(name="H"))
        volume_checks.put(tx, VolumeCheck(world.volume, checked_time=5, checked_to_bytes=4096))
        segment = vault.open_segment(tx, world.node, world.space, "V", 0, 5)
        vault.append_records(tx, segment, [(ids[0], len(contents[0]))])
        vault.close_segment(tx, segment, len(contents[0]), 1, b"D" * 32, b"", 6)
    catalog.close()
    image = Path(path).read_bytes()
    with Opened(image) as snapshot:
        assert list(findings(snapshot)) == []
        return visible(snapshot), image


def visible(r: Snapshot) -> dict[str, list[object]]:
    """Every row that must not change unseen, as a scan of its table gives it."""
    return {
        table: r.all(f"SELECT * FROM {table} NOT INDEXED")
        for table in (*audit.tables(), *FOUND_THROUGH_OTHERS)
    }


def findings(r: Snapshot) -> Iterator[str]:
    yield from (f"{table} {number}" for table, number in audit.check_row_digests(r))
    yield from audit.check_structure(r)
    yield from audit.check_sums(r)


def outcome(before: dict[str, list[object]], image: bytes) -> str:
    """MISSED: a row is another one or is not there, and nothing says so. What cannot even be read says so itself."""
    try:
        with Opened(image) as snapshot:
            if visible(snapshot) == before:
                return "HARMLESS"
            return "MISSED" if next(findings(snapshot), None) is None else "FOUND"
    except (apsw.Error, ValueError, TypeError, UnicodeDecodeError):
        return "UNREADABLE"


def test_of_two_thousand_flipped_bits_none_changes_a_protected_row_unseen(
    rows_and_image: tuple[dict[str, list[object]], bytes],
) -> None:
    before, image = rows_and_image
    chance = random.Random(7)
    used = [at for at in range(100, len(image)) if image[at]]  # zeros are free space, nearly all of them
    seen: Counter[str] = Counter()
    missed = []
    for at in chance.sample(used, SAMPLES // 2) + chance.sample(range(100, len(image)), SAMPLES // 2):
        flipped = bytearray(image)
        flipped[at] ^= 1 << chance.randrange(8)
        seen[found := outcome(before, bytes(flipped))] += 1
        if found == "MISSED":
            missed.append(at)
    assert missed == []
    assert seen["FOUND"] > 100 and seen["FOUND"] + seen["UNREADABLE"] > 400, seen


@pytest.mark.parametrize("table", ["class_names", "directories"])
def test_a_definition_that_says_something_else_is_found(
    rows_and_image: tuple[dict[str, list[object]], bytes], table: str
) -> None:
    """One letter of PRIMARY KEY, and the same rows have no numbers."""
    opened = Opened(rows_and_image[1])
    with opened:
        opened.connection.execute("PRAGMA writable_schema=ON")
        change = "UPDATE sqlite_master SET sql = replace(sql, 'PRIMARY KEY', 'QRIMARY KEY') WHERE name = ?"
        opened.connection.execute(change, (table,))
        spoilt = opened.connection.serialize("main")
    with Opened(spoilt) as snapshot:
        assert f"the definition of {table} is not as it was written" in audit.check_structure(snapshot)


@pytest.mark.soak
def test_no_flipped_or_zeroed_byte_changes_a_protected_row_unseen(
    rows_and_image: tuple[dict[str, list[object]], bytes],
) -> None:
    before, image = rows_and_image
    for at in range(100, len(image)):
        for value in {image[at] ^ 1, image[at] ^ 128, 0} - {image[at]}:
            changed = image[:at] + bytes([value]) + image[at + 1 :]
            assert outcome(before, changed) != "MISSED", (at, value)
