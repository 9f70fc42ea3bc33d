"""Records: any bytes in, the same bytes out; any single changed byte is refused, with RecordDamaged and nothing else."""

from __future__ import annotations

import contextlib
import random
import tracemalloc

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.base.errors import RecordDamaged
from farvault.protocol.verbs import RECORD_MAX_BYTES
from farvault.seal import record
from farvault.seal.compress import RAW, ZSTD
from farvault.seal.keyring import Keyring
from farvault.seal.record import (
    ALIGNMENT_BYTES,
    CIPHER_AES256_GCM,
    CIPHER_NONE,
    HEADER_BYTES,
    STORED_MAX_BYTES,
    RecordKind,
    check,
    open_record,
    read_header,
    seal,
    sealed_bytes,
)

KEYS = Keyring({1: bytes(range(32)), 2: bytes(range(1, 33))})
LONGEST_BODY = STORED_MAX_BYTES - HEADER_BYTES - record.TAG_BYTES


def sealed(body: bytes, keys: Keyring | None = KEYS, codec: int = RAW) -> bytes:
    """A record, written over junk as a reused buffer has it."""
    buffer = memoryview(bytearray(b"\xaa" * (sealed_bytes(len(body), CIPHER_AES256_GCM) + 100)))
    header = seal(buffer, [body], kind=RecordKind.AGGREGATE, codec=codec, plain_bytes=len(body), keyring=keys)
    assert buffer[header.stored_bytes :] == b"\xaa" * (len(buffer) - header.stored_bytes)
    return bytes(buffer[: header.stored_bytes])


def redigested(changed: bytearray) -> bytes:
    """With the digest put right again: what somebody without the key can make."""
    state = blake3(changed[:64])
    state.update(changed[96:])
    changed[64:96] = state.digest()
    return bytes(changed)


@given(st.lists(st.binary(max_size=5000), max_size=5), st.booleans(), st.sampled_from([RAW, ZSTD]))
@settings(deadline=None)
def test_any_parts_come_back_joined(parts: list[bytes], with_keys: bool, codec: int) -> None:
    keys, body = KEYS if with_keys else None, b"".join(parts)
    buffer = memoryview(bytearray(b"\xaa" * 40_000))
    plain_bytes = len(body) if codec == RAW else 77_777
    header = seal(buffer, parts, kind=RecordKind.EXPORT, codec=codec, plain_bytes=plain_bytes, keyring=keys)
    written = buffer[: header.stored_bytes]
    assert header.stored_bytes % ALIGNMENT_BYTES == 0
    assert header.stored_bytes == sealed_bytes(len(body), header.cipher)
    assert check(written) == read_header(written) == header
    assert header.kind == RecordKind.EXPORT
    assert (header.codec, header.plain_bytes, header.packed_bytes) == (codec, plain_bytes, len(body))
    assert (header.cipher, header.key_id) == ((CIPHER_AES256_GCM, 2) if with_keys else (CIPHER_NONE, 0))
    assert open_record(written, keys) == body
    assert open_record(written, keys, into=memoryview(bytearray(len(body) + 9))) == body


def test_the_longest_record_is_as_long_as_the_protocol_takes() -> None:
    assert STORED_MAX_BYTES == RECORD_MAX_BYTES
    assert len(sealed(b"x" * LONGEST_BODY)) == STORED_MAX_BYTES
    with pytest.raises(RecordDamaged, match="more bytes"):
        sealed(b"x" * (LONGEST_BODY + 1))


def test_a_body_that_ends_on_a_block_has_no_padding() -> None:
    body = b"x" * (ALIGNMENT_BYTES - HEADER_BYTES - record.TAG_BYTES)
    assert len(sealed(body)) == ALIGNMENT_BYTES
    assert len(sealed(body + b"x")) == 2 * ALIGNMENT_BYTES


def test_a_buffer_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        seal(
            memoryview(bytearray(4095)), [b"x"], kind=RecordKind.PLAN, codec=RAW, plain_bytes=1, keyring=None
        )


def test_raw_bytes_that_are_not_as_many_as_stated_are_not_sealed() -> None:
    with pytest.raises(RecordDamaged, match="do not agree"):
        seal(
            memoryview(bytearray(4096)), [b"x"], kind=RecordKind.PLAN, codec=RAW, plain_bytes=2, keyring=None
        )


def test_the_same_bytes_sealed_twice_have_nothing_in_common() -> None:
    one, other = sealed(b"the same" * 4), sealed(b"the same" * 4)
    assert one[20:36] != other[20:36]
    assert one[96:144] != other[96:144]


def test_nothing_of_the_plain_bytes_shows() -> None:
    assert b"secret" not in sealed(b"secret words" * 10)
    assert b"secret" in sealed(b"secret words" * 10, keys=None)


@pytest.mark.parametrize("keys", [KEYS, None], ids=["enciphered", "plain"])
def test_every_single_changed_byte_of_a_record_is_refused(keys: Keyring | None) -> None:
    good = sealed(b"a small record", keys)
    open_record(good, keys)
    changed = bytearray(good)
    for position in range(len(good)):
        changed[position] ^= 1 << position % 8
        with pytest.raises(RecordDamaged):
            open_record(changed, keys)
        changed[position] = good[position]


def test_changed_bytes_of_a_large_record_are_refused() -> None:
    good = sealed(blake3(b"large").digest(3_000_000))
    changed, dice = bytearray(good), random.Random(1)
    for position in [*range(HEADER_BYTES), *(dice.randrange(len(good)) for _ in range(200)), len(good) - 1]:
        changed[position] ^= dice.randrange(1, 256)
        with pytest.raises(RecordDamaged):
            check(changed)
        changed[position] = good[position]


def test_without_the_key_no_change_gets_past_the_cipher_even_with_a_right_digest() -> None:
    good = sealed(b"a small record")
    body_end = HEADER_BYTES + len(b"a small record") + record.TAG_BYTES
    for position in [*range(64), *range(HEADER_BYTES, body_end)]:
        changed = bytearray(good)
        changed[position] ^= 1
        with pytest.raises(RecordDamaged):
            open_record(redigested(changed), KEYS)


def test_padding_is_zero_even_where_the_digest_is_right() -> None:
    changed = bytearray(sealed(b"a small record"))
    changed[-1] = 1
    with pytest.raises(RecordDamaged, match="padding"):
        check(redigested(changed))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 95, 96, 4095, 4097, 8192])
def test_a_record_that_is_cut_or_extended_is_refused(length: int) -> None:
    good = sealed(b"a small record")
    with pytest.raises(RecordDamaged):
        check((good + bytes(5000))[:length])


FIELDS = {name: (offset, size) for name, offset, size in [
    ("version", 8, 2), ("kind", 10, 1), ("codec", 11, 1), ("cipher", 12, 1), ("reserved 1", 13, 3), ("key id", 16, 4),
    ("record id", 20, 16), ("plain", 36, 8), ("packed", 44, 8), ("stored", 52, 8), ("reserved 2", 60, 4),
]}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_all_ones_is_refused_even_with_a_right_digest(field: str) -> None:
    offset, size = FIELDS[field]
    changed = bytearray(sealed(b"one"))
    changed[offset : offset + size] = b"\xff" * size
    with pytest.raises(RecordDamaged):
        open_record(redigested(changed), KEYS)


@pytest.mark.parametrize("field", ["codec", "cipher", "key id", "record id", "plain", "packed", "stored"])
def test_a_field_of_another_record_is_refused_even_with_a_right_digest(field: str) -> None:
    offset, size = FIELDS[field]
    changed, other = bytearray(sealed(b"one")), sealed(b"another" * 1000, None, ZSTD)
    assert changed[offset : offset + size] != other[offset : offset + size]
    changed[offset : offset + size] = other[offset : offset + size]
    with pytest.raises(RecordDamaged):
        open_record(redigested(changed), KEYS)


def test_the_bodies_of_two_records_cannot_be_swapped() -> None:
    one, other = bytearray(sealed(b"one")), sealed(b"two")
    one[96:] = other[96:]
    with pytest.raises(RecordDamaged, match="does not open"):
        open_record(redigested(one), KEYS)


def test_a_key_that_is_not_there_is_said() -> None:
    stranger = Keyring({7: bytes(32)})
    with pytest.raises(RecordDamaged, match="key 7 is not in"):
        open_record(sealed(b"x", stranger), KEYS)
    with pytest.raises(RecordDamaged, match="no key is at hand"):
        open_record(sealed(b"x"), None)


def test_another_servers_key_of_the_same_number_does_not_open_it() -> None:
    with pytest.raises(RecordDamaged, match="does not open"):
        open_record(sealed(b"x"), Keyring({2: bytes(32)}))


def test_records_sealed_with_an_older_key_open_after_a_new_one_is_made() -> None:
    old = sealed(b"old", KEYS)
    newer = KEYS.with_new_key()
    assert read_header(sealed(b"new", newer)).key_id == 3
    assert open_record(old, newer) == b"old"


@given(st.binary(max_size=300), st.integers(0, 96))
@settings(deadline=None, max_examples=500)
def test_any_bytes_give_a_header_or_a_refusal(noise: bytes, kept: int) -> None:
    for bytes_found in (noise, sealed(b"x")[:kept] + noise):
        for function in (read_header, check):
            with contextlib.suppress(RecordDamaged):
                function(bytes_found)


def test_checking_allocates_next_to_nothing_and_opening_the_body_once() -> None:
    good = sealed(b"x" * 4_000_000)
    tracemalloc.start()
    try:
        header = check(good)
        checked_peak = tracemalloc.get_traced_memory()[1]
        record.open_checked(header, good, KEYS)
        opened_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert checked_peak < 50_000
    assert opened_peak < 4_100_000
