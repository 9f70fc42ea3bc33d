"""Compression gives back what went in, keeps raw what does not shrink, and no frame can make it allocate more than stated."""

from __future__ import annotations

import contextlib
import threading
import tracemalloc

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import PATIENCE_SECONDS

from farvault.base.errors import RecordDamaged
from farvault.seal.compress import PLAIN_MAX_BYTES, RAW, ZSTD, Compressor, decompress

TEXT = b"the same words again and again, " * 40_000
NOISE = blake3(b"noise").digest(1 << 20)


@given(
    st.binary(max_size=5000) | st.binary(max_size=40).map(lambda b: b * 500),
    st.sampled_from([-5, -1, 0, 1, 3, 19]),
)
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, level: int) -> None:
    codec, packed = Compressor(level).compress(data)
    assert len(packed) <= len(data)
    assert decompress(codec, packed, len(data)) == data


@pytest.mark.parametrize("level", [-1, 1, 3, 9, 19])
def test_what_does_not_shrink_stays_raw_and_is_not_copied(level: int) -> None:
    codec, packed = Compressor(level).compress(NOISE)
    assert codec == RAW
    assert packed is NOISE


@pytest.mark.parametrize("level", [-1, 1, 9])
def test_text_is_compressed(level: int) -> None:
    codec, packed = Compressor(level).compress(memoryview(TEXT))
    assert codec == ZSTD
    assert len(packed) < len(TEXT) / 50


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="level 23"):
        Compressor(23)


def test_one_compressor_serves_many_threads() -> None:
    compressor, wrong = Compressor(1), []

    def work() -> None:
        for _ in range(20):
            codec, packed = compressor.compress(TEXT)
            if decompress(codec, packed, len(TEXT)) != TEXT:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE_SECONDS)
    assert not wrong


def damages() -> dict[str, tuple[int, bytes, int]]:
    good = zstandard.compress(TEXT)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)
    bomb = zstandard.compress(bytes(200 << 20))
    return {
        "a longer length stated": (ZSTD, good, len(TEXT) + 1),
        "a shorter length stated": (ZSTD, good, len(TEXT) - 1),
        "cut short": (ZSTD, good[:-1], len(TEXT)),
        "empty": (ZSTD, b"", 0),
        "followed by more": (ZSTD, good + b"x", len(TEXT)),
        "followed by another frame": (ZSTD, good + good, len(TEXT)),
        "no frame": (ZSTD, b"hello, this is not zstd", 10),
        "a frame without its size": (ZSTD, unsized, len(TEXT)),
        "a bomb that tells the truth": (ZSTD, bomb, 200 << 20),
        "a bomb that lies": (ZSTD, bomb, 1000),
        "raw of another length": (RAW, b"hello", 6),
        "an unknown codec": (2, b"hello", 5),
        "a negative length": (RAW, b"", -1),
        "a huge length": (ZSTD, good, PLAIN_MAX_BYTES + 1),
    }


@pytest.mark.parametrize("name", damages())
def test_what_is_not_exactly_as_stated_is_refused_without_allocating_for_it(name: str) -> None:
    codec, packed, plain_bytes = damages()[name]
    tracemalloc.start()
    try:
        with pytest.raises(RecordDamaged):
            decompress(codec, packed, plain_bytes)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(TEXT) + 200_000


def test_a_frame_that_lies_about_its_own_size_is_refused() -> None:
    frame = bytearray(zstandard.compress(bytes(1 << 20)))
    size_at = frame.index((1 << 20).to_bytes(4, "little"))
    frame[size_at : size_at + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(RecordDamaged):
        decompress(ZSTD, bytes(frame), 1000)


@given(st.binary(max_size=300), st.integers(0, 5000))
@settings(deadline=None, max_examples=300)
def test_any_bytes_give_a_result_or_a_refusal(data: bytes, plain_bytes: int) -> None:
    for packed in (data, b"\x28\xb5\x2f\xfd" + data):
        with contextlib.suppress(RecordDamaged):
            assert len(decompress(ZSTD, packed, plain_bytes)) == plain_bytes
