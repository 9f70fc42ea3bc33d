"""What migrates, and when (TSM reference, storage 3.2): thresholds, order, delay. Pure; `processes/migrate.py` does it.

Data moves in portions: in a random pool all a node or file space has there, in a sequential pool a volume. A portion that
was begun is finished, also where the low threshold is passed on the way, so that the data of one owner stays together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

DAY_SECONDS = 86_400
NEVER_PERCENT = 100
"""HIGHMIG=100: the pool never migrates by itself."""


class Use(NamedTuple):
    """How full a pool is. `by_volumes`: volumes with data of those possible, where the media are not our own disk."""

    used: int
    whole: int
    by_volumes: bool = False

    @property
    def percent(self) -> float:
        """Pct Migr. What has no capacity cannot be filled."""
        return min(100.0, 100.0 * self.used / self.whole) if self.whole > 0 else 0.0


class Portion(NamedTuple):
    """What moves as a whole. `nodes` and `file_space` (0: all of them), or `volume`; times of its oldest and newest data."""

    stored_bytes: int
    oldest_time: int
    newest_time: int
    nodes: tuple[int, ...] = ()
    file_space: int = 0
    volume: int = 0


class Pass(NamedTuple):
    """One going through the pool. `before`: only what was stored before then; None: everything. `by_age`: oldest first."""

    before: int | None
    by_age: bool = False


class End(Enum):
    """Why a migration is over."""

    LOW_REACHED = "the low threshold is reached"
    NOTHING_LEFT = "there is nothing left to migrate"
    DELAYED = "what is left is younger than MIGDELAY"
    TIME_OVER = "its time (DURATION) is over"


def is_due(use: Use, high_percent: int) -> bool:
    """Does migration start by itself? An empty pool has nothing to migrate, whatever its thresholds."""
    return use.used > 0 and high_percent < NEVER_PERCENT and use.percent >= high_percent


def is_low(use: Use, low_percent: int) -> bool:
    """May migration stop? With LOWMIG=0 only an empty pool is low enough."""
    return use.percent <= low_percent


def passes(now: int, delay_days: int, goes_on: bool) -> list[Pass]:
    """MIGDELAY lets go what was stored longer ago than that; MIGCONTINUE then goes on with the rest, oldest first."""
    if not delay_days:
        return [Pass(None)]
    aged = Pass(now - delay_days * DAY_SECONDS)
    return [aged, Pass(None, by_age=True)] if goes_on else [aged]


def portions_of_owners(
    owners: Iterable[tuple[int, int, int, int, int]],
    collocate: str,
    groups: Mapping[int, Sequence[int]] | None = None,
) -> list[Portion]:
    """Portions of a random pool from (node, file space, bytes, oldest, newest) rows.

    `collocate`: of the next pool. NODE keeps a node's file spaces together, GROUP the nodes of a group; NO and FILESPACE
    move each file space by itself. `groups`: node -> all nodes of its group; a node without one stands for itself.
    """
    merged: dict[tuple[tuple[int, ...], int], Portion] = {}
    for node, file_space, size, oldest, newest in owners:
        nodes: tuple[int, ...] = (node,)
        if collocate == "GROUP" and groups and node in groups:
            nodes = tuple(sorted(groups[node]))
        key = (nodes, file_space if collocate in ("NO", "FILESPACE") else 0)
        had = merged.get(key, Portion(0, oldest, newest, *key))
        merged[key] = had._replace(
            stored_bytes=had.stored_bytes + size,
            oldest_time=min(had.oldest_time, oldest),
            newest_time=max(had.newest_time, newest),
        )
    return list(merged.values())


def order_of_owners(portions: Iterable[Portion], one: Pass) -> list[Portion]:
    """Who has most in the pool goes first; in a pass by age whose data waited longest. Nothing young enough to stay."""
    let_go = [p for p in portions if one.before is None or p.oldest_time < one.before]
    return sorted(
        let_go, key=lambda p: (p.oldest_time if one.by_age else 0, -p.stored_bytes, p.nodes, p.file_space)
    )


def order_of_volumes(portions: Iterable[Portion], one: Pass) -> list[Portion]:
    """The volume with least data goes first: it is emptied soonest. Before a time: only where all its data is older."""
    let_go = [p for p in portions if one.before is None or p.newest_time < one.before]
    return sorted(let_go, key=lambda p: (p.newest_time if one.by_age else 0, p.stored_bytes, p.volume))


def takes_file(max_sizes: Sequence[int | None], file_bytes: int) -> int | None:
    """Which of the pools down the hierarchy (by their MAXSIZE) is the first to take a file of this size; None: none does."""
    for index, most in enumerate(max_sizes):
        if most is None or file_bytes <= most:
            return index
    return None


def retry_seconds(failures: int) -> int:
    """How long to wait after so many migrations in a row that failed or moved nothing: a minute, doubled, up to an hour."""
    return min(60 << min(max(failures - 1, 0), 6), 3600)
