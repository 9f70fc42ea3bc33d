"""Packs: what is put in comes out, and anything else is refused with RecordDamaged and nothing else."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.base.errors import RecordDamaged
from farvault.seal.chunk import EXTENT_MAX
from farvault.seal.digest import digest
from farvault.seal.pack import (
    LENGTH_MAX,
    PACK_EXTENT_BYTES,
    PackBuilder,
    PackDirectory,
    PackObject,
    parse,
    verify,
)


def builder() -> PackBuilder:
    return PackBuilder("NODE1", "/home", 1, "STANDARD")


def plain_pack(directory: object, data: bytes = b"") -> bytes:
    encoded = msgspec.msgpack.encode(directory)
    return len(encoded).to_bytes(4, "little") + encoded + data


FILES = st.lists(
    st.tuples(
        st.binary(max_size=20),
        st.binary(max_size=20),
        st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    ),
    max_size=8,
)


@given(FILES, st.sets(st.integers(0, 40)))
@settings(deadline=None)
def test_every_object_comes_back_with_its_extents_in_order(
    files: list[tuple[bytes, bytes, list[bytes]]], known: set[int]
) -> None:
    packing, contents = builder(), {}
    for directory, name, pieces in files:
        indexes = []
        for piece in pieces:
            contents[digest(piece)] = piece
            if piece[0] % 41 in known:
                indexes.append(packing.add_reference(digest(piece), len(piece)))
            else:
                indexes.append(packing.add_extent(digest(piece), piece))
        packing.add_object(directory, name, 1, sum(map(len, pieces)), b"attributes", "text", indexes)
    opened = parse(packing.build())
    verify(opened)
    for (directory, name, pieces), found in zip(files, opened.directory.objects, strict=True):
        assert (found.directory, found.name) == (directory, name)
        assert [contents[d] for d, _ in opened.extents_of(found)] == pieces
        assert [length for _, length in opened.extents_of(found)] == [len(piece) for piece in pieces]
    for index, (named, _) in enumerate(opened.directory.extents):
        assert opened.extent(index) == contents[named]


def test_an_extent_used_twice_is_stored_once() -> None:
    packing = builder()
    assert packing.add_extent(digest(b"x"), b"x") == packing.add_extent(digest(b"x"), b"x") == 0
    assert packing.extent_bytes == 1


def test_a_reference_stands_behind_extents_that_are_added_after_it() -> None:
    packing = builder()
    known = packing.add_reference(digest(b"known"), 5)
    first = packing.add_extent(digest(b"new"), b"new")
    packing.add_object(b"", b"file", 1, 8, b"", "", (known, first))
    packing.add_extent(digest(b"newer"), b"newer")
    opened = parse(packing.build())
    assert opened.directory.objects[0].extents == (2, 0)
    assert opened.extents_of(opened.directory.objects[0]) == [(digest(b"known"), 5), (digest(b"new"), 3)]


def test_building_twice_gives_the_same() -> None:
    packing = builder()
    packing.add_object(b"", b"file", 1, 5, b"", "", (packing.add_reference(digest(b"known"), 5),))
    assert packing.build() == packing.build()


def test_a_pack_is_full_when_its_extents_would_exceed_4_mib() -> None:
    packing = builder()
    assert packing.is_empty
    assert packing.fits(EXTENT_MAX)
    packing.add_extent(digest(b"x" * 1000), b"x" * 1000)
    assert packing.fits(PACK_EXTENT_BYTES - 1000)
    assert not packing.fits(PACK_EXTENT_BYTES - 999)
    packing.reset()
    assert packing.is_empty
    assert packing.fits(EXTENT_MAX)


def test_the_directory_is_never_longer_than_estimated_and_closes_a_pack_too() -> None:
    packing, count = builder(), 0
    while packing.fits(0):
        index = packing.add_extent(digest(b"%d" % count), b"x")
        packing.add_object(b"d" * 60, b"n" * 30, 1, 2**40, b"a" * 90, "\N{SNOWMAN}" * 20, (index,))
        count += 1
    assert count > 1000
    plain = packing.build()
    assert int.from_bytes(plain[:4], "little") <= packing.directory_bytes
    assert len(parse(plain).directory.objects) == count


def test_a_changed_extent_is_found() -> None:
    packing = builder()
    for text in (b"one", b"two", b"three"):
        packing.add_extent(digest(text), text)
    plain = bytearray(packing.build())
    plain[-1] ^= 1
    with pytest.raises(RecordDamaged, match="does not match its digest"):
        verify(parse(plain))


EXTENT = (digest(b"abc"), 3)
OBJECT = PackObject(b"d", b"n", 1, 3, b"", "", (0,))


def directory(**changes: object) -> dict[str, object]:
    good = PackDirectory("N", "/fs", 1, "MC", [EXTENT], [EXTENT], [OBJECT])
    return msgspec.structs.asdict(good) | changes


BAD = {
    "nothing": b"",
    "three bytes": b"\0\0\0",
    "no directory": b"\0\0\0\0",
    "a length beyond the end": b"\xff\xff\xff\xff",
    "extents longer than the pack": plain_pack(list(directory().values()), b"ab"),
    "extents shorter than the pack": plain_pack(list(directory().values()), b"abcd"),
    "an empty extent": plain_pack(list(directory(extents=[(b"x" * 32, 0)]).values())),
    "an extent over the limit": plain_pack(
        list(directory(references=[(b"x" * 32, LENGTH_MAX + 1)]).values()), b"abc"
    ),
    "a short digest": plain_pack(list(directory(extents=[(b"x" * 31, 3)]).values()), b"abc"),
    "an index that names nothing": plain_pack(
        list(directory(objects=[PackObject(b"", b"", 1, 0, b"", "", (2,))]).values()), b"abc"
    ),
    "a negative index": plain_pack(
        list(directory(objects=[[b"", b"", 1, 0, b"", "", [-1]]]).values()), b"abc"
    ),
    "a missing element": plain_pack(list(directory().values())[:-1], b"abc"),
    "an extra element": plain_pack([*directory().values(), 0], b"abc"),
    "a map": plain_pack(directory(), b"abc"),
    "text that is not UTF-8": plain_pack(list(directory(node="zz").values()), b"abc").replace(
        b"zz", b"\xff\xfe"
    ),
    "a size over 63 bits": plain_pack(
        list(directory(objects=[[b"", b"", 1, 2**63, b"", "", []]]).values()), b"abc"
    ),
    "deep nesting": b"\xa0\x86\x01\0" + b"\x91" * 100_000,
    "a list that states billions": b"\x06\0\0\0" + b"\x97\xdd\xff\xff\xff\xff",
}


def test_the_directory_these_are_made_from_is_good() -> None:
    verify(parse(plain_pack(list(directory().values()), b"abc")))


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_pack_is_refused(name: str) -> None:
    with pytest.raises(RecordDamaged):
        parse(BAD[name])


@given(st.binary(max_size=200), st.data())
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_a_pack_or_a_refusal(noise: bytes, data: st.DataObject) -> None:
    good = plain_pack(list(directory().values()), b"abc")
    at = data.draw(st.integers(0, len(good) - 1))
    for plain in (noise, len(noise).to_bytes(4, "little") + noise, good[:at] + noise + good[at:], good[:at]):
        with contextlib.suppress(RecordDamaged):
            verify(parse(plain))
