"""Which volumes are worth emptying, in which order, and which aggregates are made anew on the way.

TSM reference, storage 3.4.1; docs/decisions/0024 and 0026.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

NEVER = 100
"""RECLAIM=100: not by itself."""
REBUILD_PERCENT = 25
"""From this dead share on an aggregate is rebuilt where its bytes only cross a disk."""
BLOCK_BYTES = 4096
"""Records are multiples of it: less is not won."""


class VolumeState(NamedTuple):
    """A sequential volume as the catalog knows it. `live_bytes`: how much of what was written is still needed."""

    id: int
    access: str
    status: str
    capacity_bytes: int
    written_bytes: int
    live_bytes: int

    @property
    def is_offsite(self) -> bool:
        return self.access == "OFFSITE"

    @property
    def reclaimable_percent(self) -> float:
        """Dead space; of an off-site volume also what was never written, since nobody will."""
        whole = max(self.capacity_bytes, self.written_bytes) if self.is_offsite else self.written_bytes
        return 100.0 * max(whole - self.live_bytes, 0) / whole if whole > 0 else 0.0


def eligible(volume: VolumeState, threshold_percent: int) -> bool:
    """May be reclaimed: more dead than the threshold, and nothing is written to it any more."""
    if volume.written_bytes <= 0 or threshold_percent >= NEVER:
        return False
    if volume.is_offsite:
        in_state = volume.status in ("FULL", "FILLING")
    else:
        in_state = volume.status == "FULL" and volume.access in ("READWRITE", "READONLY")
    return in_state and volume.reclaimable_percent > threshold_percent


def choose(
    volumes: Iterable[VolumeState], threshold_percent: int, offsite_limit: int | None = None
) -> list[int]:
    """Numbers of the volumes to empty: the most dead first, of equals the older one; off-site ones behind the others.

    `offsite_limit`: most off-site volumes in one run; None = no limit.
    """
    ordered = sorted(
        (one for one in volumes if eligible(one, threshold_percent)),
        key=lambda one: (one.is_offsite, -one.reclaimable_percent, one.id),
    )
    offsite = [one.id for one in ordered if one.is_offsite]
    here = [one.id for one in ordered if not one.is_offsite]
    return here + (offsite if offsite_limit is None else offsite[:offsite_limit])


def rebuild_percent(threshold_percent: int, *, remote: bool) -> float:
    """The dead share from which on an aggregate is rebuilt. Always below the threshold: reclaiming must come to an end."""
    half = threshold_percent / 2
    return half if remote else min(REBUILD_PERCENT, half)


def is_worth_rebuilding(stored_bytes: int, extent_bytes: int, live_bytes: int, from_percent: float) -> bool:
    """At least this share of its extents is dead, and the record will be at least one block shorter."""
    dead = extent_bytes - live_bytes
    wins = stored_bytes * dead // extent_bytes if extent_bytes else 0
    return live_bytes > 0 and wins >= BLOCK_BYTES and dead * 100 >= from_percent * extent_bytes
