"""Compress a pack once, or leave it raw where that saves too little; open it without ever exceeding its stated size."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from farvault.base.errors import RecordDamaged
from farvault.seal.digest import Buffer

RAW: Final = 0
ZSTD: Final = 1

PLAIN_MAX_BYTES: Final = 16 * 1024 * 1024
"""No pack or other record body is longer before compression. The window of the decompressor is bounded by it too."""

_WORTH_IT: Final = 0.97
"""Compressed bytes over plain bytes above which raw is kept: reading raw costs nothing."""

_SLOW_LEVEL: Final = 4
"""From this level on, random data costs real time; below, zstd itself runs over it at memory speed."""

_SAMPLE_BYTES: Final = 32 * 1024
_SAMPLES: Final = 4


class Compressor:
    """Compresses at one level, from any thread: each thread reuses a context of its own (making one costs 10 us)."""

    def __init__(self, level: int) -> None:
        if not -7 <= level <= 19:
            raise ValueError(f"level {level} is not in -7..19")
        self.level = level
        self._contexts = threading.local()

    def compress(self, data: Buffer) -> tuple[int, Buffer]:
        """`(codec, packed)`; packed is the data itself where the codec is RAW."""
        if self.level >= _SLOW_LEVEL and not self._looks_compressible(data):
            return RAW, data
        packed = self._context(self.level).compress(data)
        if len(packed) > len(data) * _WORTH_IT:
            return RAW, data
        return ZSTD, packed

    def _context(self, level: int) -> zstandard.ZstdCompressor:
        name = f"level{level}"
        context: zstandard.ZstdCompressor | None = getattr(self._contexts, name, None)
        if context is None:
            context = zstandard.ZstdCompressor(level=level)
            setattr(self._contexts, name, context)
        return context

    def _looks_compressible(self, data: Buffer) -> bool:
        """Try slices spread over the whole, fast: high levels would spend a second on a film to save nothing."""
        if len(data) < 2 * _SAMPLES * _SAMPLE_BYTES:
            return True
        view, step = memoryview(data), len(data) // _SAMPLES
        sample = b"".join(view[i * step : i * step + _SAMPLE_BYTES] for i in range(_SAMPLES))
        return len(self._context(1).compress(sample)) <= len(sample) * _WORTH_IT


def decompress(codec: int, packed: Buffer, plain_bytes: int) -> Buffer:
    """The plain bytes; raw data comes back as it is, without a copy.

    `RecordDamaged` unless they are exactly `plain_bytes` long. Never allocates more than that: the zstd frame must
    state the same length itself, and nothing may follow it.
    """
    if not 0 <= plain_bytes <= PLAIN_MAX_BYTES:
        raise RecordDamaged("ANR9803E", reason=f"{plain_bytes} plain bytes are more than a record may hold")
    if codec == RAW:
        if len(packed) != plain_bytes:
            raise RecordDamaged("ANR9803E", reason=f"{len(packed)} bytes where {plain_bytes} are stated")
        return packed
    if codec != ZSTD:
        raise RecordDamaged("ANR9803E", reason=f"unknown codec {codec}")
    try:
        if zstandard.frame_content_size(packed) != plain_bytes:
            raise RecordDamaged("ANR9803E", reason="the compressed data states another length")
        # A context costs 10 us, once per aggregate; keeping one would need a home per thread.
        context = zstandard.ZstdDecompressor(max_window_size=PLAIN_MAX_BYTES)
        plain = context.decompress(packed, max_output_size=plain_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise RecordDamaged("ANR9803E", reason=f"compressed data does not open: {error}") from None
    if len(plain) != plain_bytes:
        raise RecordDamaged("ANR9803E", reason=f"{len(plain)} bytes where {plain_bytes} are stated")
    return plain
