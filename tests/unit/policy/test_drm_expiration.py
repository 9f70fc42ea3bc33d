"""Database backups and plans that expiration deletes: each condition of the reference, met and not met."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.model.volume_history import HistoryVolume
from farvault.policy.drm_expiration import DAY_SECONDS, Rules, due

NOW = 1_000 * DAY_SECONDS
RULES = Rules(NOW, 60, 80, {"FAR": 6})


def row(
    type: str, series: int, days: float, operation: int = 0, device_class: str = "FAR", sequence: int = 1
) -> HistoryVolume:
    return HistoryVolume(
        type=type,
        series=series,
        operation=operation,
        sequence=sequence,
        device_class=device_class,
        time=int(NOW - days * DAY_SECONDS),
        volume=f"{type}.{series}.{operation}.{sequence}",
    )


FULL, INCR, SNAP, PLAN, PLANSNAP = "BACKUPFULL", "BACKUPINCR", "DBSNAPSHOT", "RPFILE", "RPFSNAPSHOT"

BACKUPS = [
    ("older than the days: the whole series goes", [row(FULL, 1, 90), row(INCR, 1, 61, 1), row(FULL, 2, 1)], 2),
    ("exactly the days is not older", [row(FULL, 1, 60), row(FULL, 2, 1)], 0),
    ("a second more is", [row(FULL, 1, 60 + 1 / DAY_SECONDS), row(FULL, 2, 1)], 1),
    ("its last volume counts, not its first", [row(FULL, 1, 90), row(INCR, 1, 59, 1), row(FULL, 2, 1)], 0),
    ("the newest series stays, however old", [row(FULL, 1, 900), row(INCR, 1, 800, 1)], 0),
    ("the newest is the one with the highest number, also where the clock was set back", [row(FULL, 1, 61), row(FULL, 2, 700)], 1),
    ("snapshots are judged apart: the newest one stays", [row(SNAP, 1, 90), row(FULL, 1, 90), row(FULL, 2, 70)], 1),
    ("an old snapshot goes where there is a newer one", [row(SNAP, 1, 90), row(SNAP, 2, 80)], 1),
    ("a full backup does not make a snapshot old", [row(SNAP, 1, 90), row(FULL, 1, 1)], 0),
    ("volumes on this machine stay", [row(FULL, 1, 90, device_class="TAPE"), row(FULL, 2, 1)], 0),
    ("a series that is partly here stays", [row(FULL, 1, 90), row(INCR, 1, 80, 1, "TAPE"), row(FULL, 2, 1)], 0),
    ("exports do not expire", [row("EXPORT", 1, 900), row("EXPORT", 2, 1)], 0),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "count"), [case[1:] for case in BACKUPS], ids=[case[0] for case in BACKUPS])
def test_database_backups_go_when_they_are_old_and_not_needed(rows: list[HistoryVolume], count: int) -> None:
    found = due(rows, {}, RULES)
    assert len(found.backups) == count and not found.retrieved


@pytest.mark.parametrize(
    ("states", "count"), [({}, 0), ({"a": "VAULT"}, 0), ({"a": "VAULT", "b": "VAULT"}, 2), ({"a": "VAULT", "b": "COURIER"}, 0)]
)  # fmt: skip
def test_movable_volumes_are_asked_back_only_when_all_are_in_the_vault(
    states: dict[str, str], count: int
) -> None:
    rows = [row(FULL, 1, 90, device_class="TAPE"), row(INCR, 1, 80, 1, "TAPE"), row(FULL, 2, 1)]
    names = {"a": rows[0].volume, "b": rows[1].volume}
    found = due(rows, {names[key]: state for key, state in states.items()}, RULES)
    assert len(found.retrieved) == count and not found.backups


NEW = row(FULL, 9, 1)
PLANS = [
    ("older than days and grace", [row(PLAN, 1, 86.1), row(PLAN, 2, 1), NEW], 1),
    ("days alone are not enough: the grace of the server comes on top", [row(PLAN, 1, 85), row(PLAN, 2, 1), NEW], 0),
    ("exactly both is not older", [row(PLAN, 1, 86), row(PLAN, 2, 1), NEW], 0),
    ("the newest plan stays", [row(PLAN, 1, 900), NEW], 0),
    ("a plan made while the newest series stood stays", [row(FULL, 9, 200), row(PLAN, 1, 100), row(PLAN, 2, 90)], 0),
    ("one made before it goes", [row(FULL, 9, 95), row(PLAN, 1, 100), row(PLAN, 2, 90)], 1),
    ("plans of snapshots follow snapshots", [row(SNAP, 9, 95), row(PLANSNAP, 1, 100), row(PLANSNAP, 2, 90), row(FULL, 8, 200)], 1),
    ("the kinds have a newest plan each", [row(PLANSNAP, 5, 900), row(PLAN, 1, 900), row(PLAN, 2, 1), NEW], 1),
    ("without any backup the newest alone stays", [row(PLAN, 1, 100), row(PLAN, 2, 90)], 1),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "count"), [case[1:] for case in PLANS], ids=[case[0] for case in PLANS])
def test_plans_go_when_they_are_old_and_not_needed(rows: list[HistoryVolume], count: int) -> None:
    assert len(due(rows, {}, RULES).plans) == count


HISTORIES = st.lists(
    st.builds(
        row,
        st.sampled_from((FULL, INCR, SNAP, PLAN, PLANSNAP)),
        st.integers(1, 5),
        st.floats(0, 300),
        st.integers(0, 3),
        st.sampled_from(("FAR", "TAPE")),
    ),
    max_size=20,
)


@given(HISTORIES)
def test_whatever_happened_the_newest_of_each_kind_stays_and_series_go_whole(
    rows: list[HistoryVolume],
) -> None:
    gone = due(rows, {}, RULES)
    left = [one for one in rows if one not in gone.backups and one not in gone.plans]
    for types in ((FULL, INCR), (SNAP,), (PLAN,), (PLANSNAP,)):
        numbers = {one.series for one in rows if one.type in types}
        assert not numbers or max(numbers) in {one.series for one in left if one.type in types}
    backups_left = {(one.type == SNAP, one.series) for one in left if one.type in (FULL, INCR, SNAP)}
    assert not backups_left & {(one.type == SNAP, one.series) for one in gone.backups}
    assert all(one.device_class == "FAR" for one in (*gone.backups, *gone.plans))


LOST = [
    ("the newest is lost: the one before stays", [row(FULL, 1, 90), row(FULL, 2, 80), row(FULL, 3, 1)], [3], [1]),
    ("one volume of the newest is enough", [row(FULL, 1, 90), row(FULL, 2, 2), row(INCR, 2, 1, 1)], [2], []),
    ("an old one that is lost goes", [row(FULL, 1, 90), row(FULL, 2, 80), row(FULL, 3, 1)], [1], [1, 2]),
    ("all are lost: none is worth keeping but the newest", [row(FULL, 1, 90), row(FULL, 2, 1)], [1, 2], [1]),
    ("snapshots too", [row(SNAP, 1, 90), row(SNAP, 2, 1)], [2], []),
    ("and plans", [row(PLAN, 1, 900), row(PLAN, 2, 800), row(PLAN, 3, 700), row(FULL, 1, 1)], [3], [1]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "lost", "gone"), [case[1:] for case in LOST], ids=[case[0] for case in LOST]
)
def test_what_a_target_has_lost_keeps_an_older_one(
    rows: list[HistoryVolume], lost: list[int], gone: list[int]
) -> None:
    known = [msgspec.structs.replace(one, missed_time=1) if one.series in lost else one for one in rows]
    found = due(known, {}, RULES)
    assert sorted({one.series for one in (*found.backups, *found.plans)}) == gone
