"""Which backup a lost server is rebuilt from: the latest that is there without a gap."""

from __future__ import annotations

import pytest

from farvault.model.volume_history import HistoryVolume
from farvault.policy.recovery_choice import choose


def row(type: str, series: int, operation: int, time: int, sequence: int = 1) -> HistoryVolume:
    name = f"{type[6:8]}{series}.{operation}.{sequence}"
    return HistoryVolume(
        type=type, series=series, operation=operation, sequence=sequence, time=time, volume=name
    )


FULL1, INCR1, INCR2 = row("BACKUPFULL", 1, 0, 10), row("BACKUPINCR", 1, 1, 20), row("BACKUPINCR", 1, 2, 30)
FULL2, SNAP = row("BACKUPFULL", 2, 0, 25), row("DBSNAPSHOT", 1, 0, 27)
GIVEN_UP = row("BACKUPINCR", 1, 1, 15)
SECOND = row("BACKUPFULL", 1, 0, 10, 2)

CASES = [
    ("everything is there", [FULL1, INCR1, INCR2], [], [FULL1, INCR1, INCR2], 0),
    ("one is lost: as far as that", [FULL1, INCR1, INCR2], [INCR2], [FULL1, INCR1], 1),
    ("a gap ends it", [FULL1, INCR1, INCR2], [INCR1], [FULL1], 2),
    ("without its full one a series is nothing", [FULL1, INCR1, INCR2], [FULL1], [], 3),
    ("a newer series that ends earlier is not better", [FULL1, INCR1, INCR2, FULL2], [], [FULL1, INCR1, INCR2], 0),
    ("a newer series wins where the older one is cut", [FULL1, INCR1, INCR2, FULL2], [INCR2], [FULL2], 1),
    ("a snapshot wins where it is the latest", [FULL1, INCR1, FULL2, SNAP], [], [SNAP], 0),
    ("a lost second volume loses the operation", [FULL1, SECOND, FULL2], [SECOND], [FULL2], 0),
    ("an operation of two volumes counts whole", [FULL1, SECOND], [], [FULL1, SECOND], 0),
    ("nothing is there", [], [], [], 0),
    ("one that was given up does not count", [FULL1, GIVEN_UP, INCR1], [], [FULL1, INCR1], 0),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "lost", "wanted", "unreachable"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])  # fmt: skip
def test_the_newest_backups_that_can_be_had_are_chosen(
    rows: list[HistoryVolume], lost: list[HistoryVolume], wanted: list[HistoryVolume], unreachable: int
) -> None:
    found = choose(rows, [one.volume for one in rows if one not in lost])
    assert found.volumes == wanted and found.unreachable == unreachable
