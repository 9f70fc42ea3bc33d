"""What came free on a volume by a change of the catalog, to be given back once that change is durable."""

from __future__ import annotations

from typing import NamedTuple


class FreedSpan(NamedTuple):
    """A record's place that nobody needs any more. `cached`: it was a cached copy's."""

    volume_id: int
    offset_bytes: int
    stored_bytes: int
    cached: bool = False
