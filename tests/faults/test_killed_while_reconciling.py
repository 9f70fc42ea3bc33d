"""DELHI dies by SIGKILL at every step of RECONCILE VOLUMES FIX=YES and of a missed challenge; a second run completes."""

from __future__ import annotations

import pytest
from tests.faults.killed_server import killed
from tests.grid.both_sides import (
    COPY,
    access,
    files,
    forget_volume,
    lose_file,
    mark_file,
    reconcile,
    volumes,
)
from tests.grid.grid_server import GridServer, is_sound
from tests.grid.vaults import store_files

from farvault.catalog import volume_history
from farvault.model.volume_history import SERIES_TYPES, HistoryVolume

RECONCILE = "reconcile volumes fix=yes wait=yes"

pytestmark = pytest.mark.slow


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With copies at TOKYO."""
    store_files(delhi, *range(18))
    delhi.admin(COPY)
    return delhi


@pytest.mark.parametrize(
    "crash_at",
    [
        "reconcile.volume.before_catalog",
        "reconcile.volume.before_target",
        "reconcile.volume.after_target",
        "reconcile.mark.before",
        "reconcile.mark.after",
    ],
)
def test_killed_in_the_middle_no_file_is_active_whose_volume_still_has_its_rights(
    delhi: GridServer, tokyo: GridServer, crash_at: str
) -> None:
    marked, unknown, good = volumes(delhi)
    mark_file(tokyo, marked)
    forget_volume(delhi, unknown)
    killed(delhi, crash_at, RECONCILE)
    if not files(tokyo)[f"ADSM.{marked}"]:
        assert access(delhi, marked) == "UNAVAILABLE"
    reconcile(delhi, "fix=yes", allow=(0, 4))
    assert access(delhi, marked) == "UNAVAILABLE"
    assert files(tokyo) == {
        f"ADSM.{marked}": False,
        f"ADSM.{unknown}": True,
        f"ADSM.{good}": False,
    }
    assert access(delhi, good) == "READWRITE"
    assert is_sound(delhi, tokyo)


@pytest.mark.parametrize("crash_at", ["reconcile.done.before", "reconcile.done.after"])
def test_killed_before_or_after_the_target_was_told_a_second_run_tells_it_again(
    delhi: GridServer, tokyo: GridServer, crash_at: str
) -> None:
    unknown, *_ = volumes(delhi)
    forget_volume(delhi, unknown)
    killed(delhi, crash_at, RECONCILE)
    assert not files(tokyo)[f"ADSM.{unknown}"], "nothing is marked before"
    assert "taken note" in reconcile(delhi, "fix=yes")
    assert files(tokyo)[f"ADSM.{unknown}"]
    assert is_sound(delhi, tokyo)


def test_killed_before_a_missed_challenge_is_written_down_the_next_one_misses_again(
    delhi: GridServer, tokyo: GridServer
) -> None:
    name, *_ = volumes(delhi)
    lose_file(tokyo, name)
    command = "challenge server tokyo count=40 wait=yes"
    killed(delhi, "challenge.missed.before_catalog", command)
    assert access(delhi, name) == "READWRITE"
    assert "ANR4888E" in delhi.admin(command, allow=(4,)).text
    assert access(delhi, name) == "UNAVAILABLE"
    assert is_sound(delhi)


def test_killed_before_a_missed_challenge_of_a_database_backup_is_written_down_the_next_one_misses_again(
    delhi: GridServer, tokyo: GridServer
) -> None:
    """Questions that were used up are gone: then its end is asked for."""
    delhi.admin("set drmplanwithbackup no")
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    for name in volumes(delhi):
        delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    (row,) = backups(delhi)
    lose_file(tokyo, row.volume)
    command = "challenge server tokyo count=3 wait=yes"
    killed(delhi, "challenge.missed.before_catalog", command)
    assert not backups(delhi)[0].missed_time
    assert "ANR4891E" in delhi.admin(command, allow=(4,)).text
    assert backups(delhi)[0].missed_time
    assert is_sound(delhi)


def backups(delhi: GridServer) -> list[HistoryVolume]:
    with delhi.server.catalog.read() as r:
        return volume_history.rows(r, SERIES_TYPES)
