"""Cut file data into extents where its content says so (FastCDC), so that an insertion moves no other boundary.

The cut of a piece depends only on its own bytes: the hash starts anew at each extent. That is why a stream can be
cut window by window with the same result as the whole, and why equal data gives equal extents anywhere. The
parameters and the gear table of pyfastcdc are part of the format in this sense: other ones would still restore,
but would find no old data again (`tests/golden` holds the boundaries still).
"""

from __future__ import annotations

from typing import Final

from pyfastcdc import FastCDC

EXTENT_MIN: Final = 256 * 1024
EXTENT_AVG: Final = 1024 * 1024
EXTENT_MAX: Final = 4 * 1024 * 1024

# Immutable: it holds parameters only, each `cut_buf` has its own state.
_CUTTER: Final = FastCDC(EXTENT_AVG, min_size=EXTENT_MIN, max_size=EXTENT_MAX, normalized_chunking=1)


def cut(data: memoryview, *, final: bool) -> list[int]:
    """Lengths of the extents of `data`, in order; each is at most `EXTENT_MAX`.

    With `final` they add up to the whole. Without, more data follows: a last piece that more data could lengthen
    is left out, and the caller puts those bytes in front of the next window. A window longer than `EXTENT_MAX`
    always gives at least one extent. Data of at most `EXTENT_MIN` is one extent; no data gives none.
    """
    size_bytes = len(data)
    if size_bytes <= EXTENT_MIN:
        return [size_bytes] if final and size_bytes else []
    lengths = [piece.length for piece in _CUTTER.cut_buf(data)]
    if not final and lengths[-1] < EXTENT_MAX:
        lengths.pop()
    return lengths
