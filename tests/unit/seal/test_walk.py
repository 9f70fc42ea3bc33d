"""Walking a volume without its catalog: every good record is found, every damaged place is named, nothing else is lost."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.base.errors import MediaFailed, RecordDamaged
from farvault.base.messages import catalogue
from farvault.seal import label
from farvault.seal.compress import RAW, Compressor
from farvault.seal.digest import digest
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackBuilder
from farvault.seal.record import RecordKind, seal
from farvault.seal.walk import EMPTY, Step, list_objects, walk

KEYS = Keyring({1: bytes(range(32))})
LABEL = label.Label(server="DELHI", volume="V1", pool="POOL", created=5)


def sealed(body: bytes, kind: RecordKind = RecordKind.DATABASE, keys: Keyring | None = KEYS) -> bytes:
    buffer = memoryview(bytearray(len(body) + 9000))
    header = seal(buffer, [body], kind=kind, codec=RAW, plain_bytes=len(body), keyring=keys)
    return bytes(buffer[: header.stored_bytes])


def label_record() -> bytes:
    buffer = memoryview(bytearray(4096))
    label.make(buffer, LABEL)
    return bytes(buffer)


def reader(volume: bytes | bytearray) -> Callable[[int, int], memoryview]:
    return lambda offset, length: memoryview(volume)[offset : offset + length]


def steps_of(volume: bytes | bytearray) -> list[Step]:
    steps = list(walk(reader(volume), len(volume)))
    position = 0
    for step in steps:
        assert step.offset == position
        assert step.length_bytes > 0
        position += step.length_bytes
    assert position == len(volume)
    return steps


RECORDS = [label_record(), sealed(b"a" * 100), sealed(b"b" * 10_000), sealed(b"c" * 20_000), sealed(b"d")]
VOLUME = b"".join(RECORDS)


def test_a_good_volume_is_its_records_and_nothing_else() -> None:
    steps = steps_of(VOLUME)
    assert [step.length_bytes for step in steps] == [len(r) for r in RECORDS]
    assert not any(step.problem for step in steps)
    assert [step.header.digest for step in steps if step.header] == [r[64:96] for r in RECORDS]


def test_an_empty_volume_has_no_steps() -> None:
    assert steps_of(b"") == []


@given(st.integers(0, len(VOLUME) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=200)
def test_one_damaged_byte_costs_one_record(position: int, flip: int) -> None:
    damaged = bytearray(VOLUME)
    damaged[position] ^= flip
    steps = steps_of(damaged)
    good = [bytes(damaged[s.offset : s.offset + s.length_bytes]) for s in steps if not s.problem]
    hit = next(i for i in range(len(RECORDS)) if position < sum(map(len, RECORDS[: i + 1])))
    assert good == RECORDS[:hit] + RECORDS[hit + 1 :]
    assert [s.is_damage for s in steps].count(True) == 1


def test_a_damaged_body_is_skipped_as_a_whole_even_where_it_holds_another_record() -> None:
    inner = sealed(b"inside" * 1000)
    body = bytes(4096 - 96) + inner + bytes(4000)  # the inner record stands on a block of the volume
    outer = sealed(body, keys=None)
    damaged = bytearray(VOLUME + outer + RECORDS[1])
    damaged[len(VOLUME) + 200] ^= 1
    bad = [s for s in steps_of(damaged) if s.is_damage]
    assert [(s.offset, s.length_bytes) for s in bad] == [(len(VOLUME), len(outer))]
    assert bad[0].header is not None
    assert "digest" in bad[0].problem


def test_after_a_torn_tail_the_rest_is_good() -> None:
    torn = VOLUME + RECORDS[3][:9000]
    steps = steps_of(torn)
    assert [s.problem for s in steps[:-1]] == [""] * len(RECORDS)
    assert "cut short" in steps[-1].problem


def test_zeros_are_empty_space_and_not_damage() -> None:
    steps = steps_of(RECORDS[0] + bytes(3 << 20) + RECORDS[1] + bytes(4096))
    assert [s.problem for s in steps] == ["", EMPTY, "", EMPTY]
    assert not any(s.is_damage for s in steps)
    assert steps[1].length_bytes == 3 << 20


def test_noise_between_records_is_one_damaged_place() -> None:
    noise = random.Random(3).randbytes(2_500_000 // 4096 * 4096)
    steps = steps_of(RECORDS[1] + noise + RECORDS[2])
    assert [s.is_damage for s in steps] == [False, True, False]


def test_a_place_that_cannot_be_read_costs_what_stands_there_and_no_more() -> None:
    message_id = next(iter(catalogue()))
    bad_block = len(RECORDS[0]) + len(RECORDS[1])

    def read_at(offset: int, length: int) -> memoryview:
        if offset <= bad_block < offset + length:
            error = MediaFailed.__new__(MediaFailed)
            error.message = RecordDamaged("ANR9803E", reason=f"bad sector, said like {message_id}").message
            raise error
        return memoryview(VOLUME)[offset : offset + length]

    steps = list(walk(read_at, len(VOLUME)))
    assert [(s.offset, s.length_bytes, s.is_damage) for s in steps if s.is_damage] == [
        (bad_block, len(RECORDS[2]), True)
    ]
    assert sum(not s.problem for s in steps) == len(RECORDS) - 1


def test_two_damaged_headers_in_a_row_are_one_damaged_place() -> None:
    damaged = bytearray(VOLUME)
    first, second = len(RECORDS[0]), len(RECORDS[0]) + len(RECORDS[1])
    damaged[first + 53] ^= 32
    damaged[second + 10] ^= 64
    bad = [(s.offset, s.length_bytes) for s in steps_of(damaged) if s.problem]
    assert bad == [(first, len(RECORDS[1]) + len(RECORDS[2]))]


@given(st.binary(max_size=300), st.integers(0, 5))
@settings(deadline=None, max_examples=100)
def test_any_bytes_can_be_walked(noise: bytes, repeat: int) -> None:
    steps_of(noise * repeat + VOLUME[:5000] + noise)


def test_objects_are_listed_with_the_keys_only() -> None:
    packing = PackBuilder("NODE1", "/home", 1, "STANDARD")
    packing.add_object(b"user", b"file", 1, 4, b"", "", (packing.add_extent(digest(b"data"), b"data"),))
    codec, packed = Compressor(1).compress(packing.build())
    assert codec == RAW
    aggregate = sealed(bytes(packed), RecordKind.AGGREGATE)
    listed = list_objects(aggregate, KEYS)
    assert (listed.node, listed.file_space) == ("NODE1", "/home")
    assert [each.name for each in listed.objects] == [b"file"]
    for record, keys in (
        (aggregate, None),
        (RECORDS[1], KEYS),
        (sealed(b"no pack", RecordKind.AGGREGATE), KEYS),
    ):
        with pytest.raises(RecordDamaged):
            list_objects(record, keys)


def test_a_label_comes_back() -> None:
    assert label.parse(RECORDS[0]) == LABEL


@pytest.mark.parametrize(
    "record",
    [RECORDS[1], sealed(b"x", RecordKind.LABEL, None), sealed(b"x", RecordKind.LABEL), RECORDS[0][:-1]],
)
def test_what_is_no_label_is_refused(record: bytes) -> None:
    with pytest.raises(RecordDamaged):
        label.parse(record)


def test_names_too_long_for_a_label_are_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        label.make(
            memoryview(bytearray(8192)), label.Label(server="s", volume="v" * 5000, pool="", created=0)
        )
