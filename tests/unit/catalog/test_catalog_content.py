"""What lies on a volume: each object once, with the state of all its records there."""

from __future__ import annotations

import pytest
from tests.unit.catalog.catalog_world import World, new_file

from farvault.catalog import content, nouns, placements
from farvault.model.stored_object import ObjectKind
from farvault.model.volume import Volume


def names(world: World, volume: str = "/v/1", **wanted: bool | int) -> list[bytes]:
    with world.catalog.read() as r:
        found = content.on_volume(r, nouns.get(r, Volume, volume).id, **wanted)  # type: ignore[arg-type]
        return [row.name for row in found]


@pytest.fixture
def records(world: World) -> list[int]:
    """`long` has three records, the last shared with `small`; `other` has one of its own."""
    with world.catalog.write() as tx:
        first, (a,) = world.aggregate(tx, b"a")
        second, (b,) = world.aggregate(tx, b"b")
        third, (c, d) = world.aggregate(tx, b"c", b"d")
        fourth, (e,) = world.aggregate(tx, b"e")
        world.store(tx, new_file(b"", b"long", a, b, c), new_file(b"", b"small", d))
        world.store(tx, new_file(b"", b"other", e), kind=ObjectKind.ARCHIVE)
    return [first, second, third, fourth]


def test_objects_come_once_in_the_order_of_their_first_record(world: World, records: list[int]) -> None:
    assert names(world) == [b"long", b"small", b"other"]
    assert names(world, kind=ObjectKind.ARCHIVE) == [b"other"]
    assert names(world, "/c/1") == []


@pytest.mark.parametrize(("record", "damaged"), [(0, [b"long"]), (1, [b"long"]), (2, [b"long", b"small"])])
def test_one_damaged_record_makes_the_object_damaged_wherever_it_lies(
    world: World, records: list[int], record: int, damaged: list[bytes]
) -> None:
    with world.catalog.write() as tx:
        placements.mark_damaged(tx, records[record], world.volume, True)
    assert names(world, damaged=True) == damaged
    assert set(names(world, damaged=False)) == {b"long", b"small", b"other"} - set(damaged)


def test_an_object_is_copied_when_all_its_records_are(world: World, records: list[int]) -> None:
    with world.catalog.write() as tx:
        placements.add(tx, records[0], world.copy_volume, 0)
        placements.add(tx, records[2], world.copy_volume, 4096)
    assert (names(world, copied=True), names(world, copied=False)) == ([b"small"], [b"long", b"other"])
    with world.catalog.write() as tx:
        placements.add(tx, records[1], world.copy_volume, 8192)
    assert names(world, copied=True) == [b"long", b"small"]
    with world.catalog.write() as tx:
        placements.mark_damaged(tx, records[1], world.copy_volume, True)
    assert names(world, copied=True) == [b"small"], "a damaged copy is none"


def test_a_long_list_comes_whole(world: World) -> None:
    with world.catalog.write() as tx:
        _, extents = world.aggregate(tx, *(b"%d" % number for number in range(1203)))
        world.store(tx, *(new_file(b"d", b"%04d" % place, extent) for place, extent in enumerate(extents)))
    assert names(world) == [b"%04d" % place for place in range(1203)]
