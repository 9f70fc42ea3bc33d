"""A long object comes in pieces: joined they are the object, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.storage.depot import Depot, send_pack

from farvault.base.errors import BadInput
from farvault.seal.digest import digest
from farvault.seal.pack import ATTRIBUTES_MAX_BYTES, PackBuilder, PackObject, parse
from farvault.storage.arriving import Arriving, Unacceptable

Piece = tuple[bytes, list[int], int, bool]
"""(name, extents by their content's number, before, more)"""


def pack_of(*pieces: Piece, attributes: bytes = b"") -> bytes:
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    for name, content, before, more in pieces:
        indexes = [builder.add_extent(digest(b"%d" % each), b"%d" % each) for each in content]
        builder.add_object(b"docs", name, 1, 100, attributes, "", indexes, before, more)
    return builder.build()


def taken(arriving: Arriving, *packs: bytes) -> list[tuple[bytes, list[int]]]:
    """What the packs come to: names, and extents by their content's number."""
    for each in packs:
        arriving.add(parse(each))
    arriving.finish()
    numbers = {digest(b"%d" % each): each for each in range(200)}
    return [(new.name, list(new.extents)) for new in arriving.objects(numbers)]


CONTENT = st.lists(st.integers(0, 199), max_size=40)


@given(st.lists(st.tuples(CONTENT, st.sets(st.integers(1, 39)), st.sets(st.integers(0, 40))), max_size=5))
@settings(deadline=None)
def test_however_an_object_is_cut_it_is_joined_to_the_same(
    objects: Sequence[tuple[list[int], set[int], set[int]]],
) -> None:
    """`cuts`: where a piece ends; `closed`: behind which of them a new pack begins."""
    packs: list[list[Piece]] = [[]]
    for number, (content, cuts, closed) in enumerate(objects):
        starts = [0, *sorted(cut for cut in cuts if cut < len(content))]
        for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
            packs[-1].append((b"%d" % number, content[start:end], start, end < len(content)))
            if end in closed:
                packs.append([])
    expected = [(b"%d" % number, content) for number, (content, _, _) in enumerate(objects)]
    assert taken(Arriving(), *(pack_of(*pieces) for pieces in packs)) == expected


BAD: dict[str, list[Piece]] = {
    "an end without a beginning": [(b"a", [1], 1, False)],
    "a beginning without an end": [(b"a", [1], 0, True)],
    "another object between two pieces": [(b"a", [1], 0, True), (b"b", [2], 0, False), (b"a", [2], 1, False)],
    "the end of another object": [(b"a", [1], 0, True), (b"b", [2], 1, False)],
    "a piece twice": [(b"a", [1], 0, True), (b"a", [1], 0, True), (b"a", [2], 1, False)],
    "a second end": [(b"a", [1], 0, True), (b"a", [2], 1, False), (b"a", [2], 1, False)],
    "a second end that begins anew": [(b"a", [1], 0, True), (b"a", [2], 0, False)],
    "a piece left out": [(b"a", [1], 0, True), (b"a", [3], 2, False)],
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("apart", [False, True])
def test_what_is_no_whole_object_is_refused(depot: Depot, case: str, apart: bool) -> None:
    intake = depot.begin()
    for each in [pack_of(piece) for piece in BAD[case]] if apart else [pack_of(*BAD[case])]:
        send_pack(intake, each)
    with pytest.raises(BadInput, match=r"ANR0537W.*(fit together|not complete)"):
        intake.commit()
    assert depot.inventory() == {} and depot.volumes() == []


def test_pieces_differ_in_nothing_but_what_the_last_one_tells() -> None:
    changes: list[dict[str, object]] = [{"type": 2}, {"size_bytes": 99}, {"directory": b"other"}]
    for changed in changes:
        first, second = parse(pack_of((b"a", [1], 0, True))), parse(pack_of((b"a", [2], 1, False)))
        second.directory.objects[0] = _changed(second.directory.objects[0], changed)
        arriving = Arriving()
        arriving.add(first)
        with pytest.raises(Unacceptable, match="fit together"):
            arriving.add(second)


@pytest.mark.parametrize(
    "directory", [b"\0a", b"a\0", b"a\0\0b", b"\0", b".", b"..", b"a\0.", b"a\0..\0b", b"..\0a", b"a/b", b"/"]
)
def test_a_directory_that_leads_anywhere_but_down_is_refused(depot: Depot, directory: bytes) -> None:
    intake = depot.begin()
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    builder.add_object(b"good", b"a", 1, 0, b"", "", [])
    builder.add_object(directory, b"b", 1, 0, b"", "", [])
    send_pack(intake, builder.build())
    with pytest.raises(BadInput, match=r"ANR0537W.*directory is not valid"):
        intake.commit()
    assert depot.inventory() == {}


def test_names_that_only_look_like_a_way_out_are_stored(depot: Depot) -> None:
    intake = depot.begin()
    builder = PackBuilder("ALICE", "/home", 1, "STANDARD")
    for directory, name in [(b"", b""), (b"...", b"..a"), (b".a\0b..", b" "), (b"\xff", b"\xfe")]:
        builder.add_object(directory, name, 1, 0, b"", "", [])
    send_pack(intake, builder.build())
    assert intake.commit().objects == 4


def _changed(old: PackObject, changed: dict[str, object]) -> PackObject:
    for field, value in changed.items():
        setattr(old, field, value)
    return old


def test_all_extents_of_a_transaction_are_counted() -> None:
    packs = [pack_of((b"a", [1, 2], 0, True)), pack_of((b"a", [3], 2, False)), pack_of((b"b", [1], 0, False))]
    assert len(taken(Arriving(most_extents=4), *packs)) == 2
    with pytest.raises(Unacceptable, match="longer than a transaction"):
        taken(Arriving(most_extents=3), *packs)


def test_an_object_in_pieces_is_one_object(depot: Depot) -> None:
    intake = depot.begin()
    for piece in ((b"a", [1, 2], 0, True), (b"a", [2], 2, True), (b"a", [3], 3, False)):
        send_pack(intake, pack_of(piece, attributes=b"" if piece[3] else b"attributes"))
    assert intake.commit().objects == 1
    assert depot.restore() == {"a": b"1223"}


def test_the_longest_attributes_are_stored_and_longer_ones_refused(depot: Depot) -> None:
    intake = depot.begin()
    send_pack(intake, pack_of((b"a", [1], 0, False), attributes=bytes(ATTRIBUTES_MAX_BYTES)), level=1)
    assert intake.commit().objects == 1
    intake = depot.begin()
    send_pack(intake, pack_of((b"b", [1], 0, False), attributes=bytes(ATTRIBUTES_MAX_BYTES + 1)))
    with pytest.raises(BadInput, match="ANR0537W"):
        intake.commit()
