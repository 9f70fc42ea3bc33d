"""A volume deleted while its target is away is gone here, waits to be told, and is marked there when the target is back."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.grid.both_sides import COPY, marked, volumes, waiting
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import store_files

from farvault.catalog import nouns, vault, volume_history
from farvault.catalog import pending_deletions as rows
from farvault.catalog.epoch import raise_epoch
from farvault.model.node import Node
from farvault.model.volume_history import OWN_VOLUME


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With copies at TOKYO."""
    store_files(delhi, *range(20))
    delhi.admin(COPY)
    return delhi


def shown(delhi: GridServer) -> dict[str, object]:
    (row,) = json.loads(delhi.admin("query server tokyo f=d", style="JSON").text)
    return {key: value for key, value in row.items() if key.startswith("deletions_")}


def test_a_target_that_is_there_is_told_at_once(delhi: GridServer, tokyo: GridServer) -> None:
    name = volumes(delhi)[0]
    delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    assert name not in volumes(delhi) and waiting(delhi) == [] and marked(tokyo) == {name}
    assert shown(delhi) == {"deletions_waiting": 0, "deletions_since_time": None, "deletions_error": ""}


def test_a_deletion_waits_for_a_target_that_is_away_and_is_told_when_it_is_back(
    delhi: GridServer, tokyo: GridServer
) -> None:
    first, second = volumes(delhi)[:2]
    tokyo.stop()
    delhi.server.devices.forget()
    for name in (first, second):
        answer = delhi.admin(f"delete volume {name} discarddata=yes wait=yes").text
        assert "ANR2208I" in answer
    delhi.lines.wait_for("ANR4870W", 2)
    assert not {first, second} & set(volumes(delhi))
    assert [(row.server_name, row.volume, row.tries) for row in waiting(delhi)] == [
        ("TOKYO", first, 1),
        ("TOKYO", second, 1),
    ]
    found = shown(delhi)
    assert found["deletions_waiting"] == 2 and found["deletions_since_time"]
    assert "ANR4376E" in str(found["deletions_error"])
    assert first in delhi.admin("query pendingdeletions tokyo").text

    tokyo.start()
    delhi.admin("ping server tokyo")
    delhi.server.devices.device("TARGETCLASS").create("DELHI.ANY", 1 << 20)  # any contact will do
    assert delhi.lines.wait_for("ANR4871I").message.text.endswith("2 deletions that had waited.")
    assert waiting(delhi) == [] and marked(tokyo) == {first, second}


def test_they_survive_a_restart_of_the_source(delhi: GridServer, tokyo: GridServer) -> None:
    name = volumes(delhi)[0]
    tokyo.stop()
    delhi.server.devices.forget()
    delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    delhi.restart()
    tokyo.start()
    assert len(waiting(delhi)) == 1
    delhi.server.housekeeping.do_everything()
    assert waiting(delhi) == [] and marked(tokyo) == {name}


def test_a_refused_deletion_waits_too_and_says_the_targets_reason(
    delhi: GridServer, tokyo: GridServer
) -> None:
    tokyo.admin("update node delhi massdeletecount=1")
    names = volumes(delhi)
    for name in names[:2]:
        delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    assert marked(tokyo) == {names[0]}
    assert "ANR4864E" in str(shown(delhi)["deletions_error"])
    delhi.server.housekeeping.do_everything()
    (still,) = waiting(delhi)
    assert still.tries >= 2, "that the target was reached makes another try"
    tokyo.admin("approve deletion delhi")
    delhi.server.housekeeping.do_everything()
    assert waiting(delhi) == [] and marked(tokyo) == set(names[:2])


def test_a_scratch_volume_that_empties_goes_the_same_way(delhi: GridServer, tokyo: GridServer) -> None:
    before = volumes(delhi)
    tokyo.stop()
    delhi.server.devices.forget()
    delhi.admin("delete filespace ann /home wait=yes")
    assert sorted(row.volume for row in waiting(delhi)) == sorted(before) and volumes(delhi) == []
    delhi.admin("delete stgpool targetcopypool")
    refused = delhi.admin("delete devclass targetclass", allow=(13,)).text
    assert "ANR4996E" in refused and "deletions of its volumes wait" in refused
    tokyo.start()
    tokyo.admin("update node delhi massdeletepct=0")
    delhi.server.housekeeping.do_everything()
    assert marked(tokyo) == set(before) and waiting(delhi) == []
    delhi.admin("delete devclass targetclass")


def test_a_server_defined_anew_is_told_what_waited(delhi: GridServer, tokyo: GridServer) -> None:
    """DELETE SERVER needs its classes gone, so the class is what keeps the way to the target."""
    name = volumes(delhi)[0]
    tokyo.stop()
    delhi.server.devices.forget()
    delhi.admin(f"delete volume {name} discarddata=yes wait=yes")
    port = tokyo.start().port
    delhi.admin(f"update server tokyo password={PASSWORD} lladdress={port}")
    delhi.server.housekeeping.do_everything()
    assert marked(tokyo) == {name}


# --- volumes of the volume history go the same way ---------------------------------------------------------------------


SNAPSHOT = "backup db devclass=targetclass type=dbsnapshot wait=yes"
DELETE_OLD = "delete volhistory todate=today type=dbsnapshot"


def history(delhi: GridServer) -> list[str]:
    with delhi.server.catalog.read() as r:
        return [row.volume for row in volume_history.rows(r, OWN_VOLUME, complete=None)]


@pytest.fixture
def old(delhi: GridServer) -> str:
    """The volume of a snapshot behind which a newer one stands."""
    delhi.admin("set drmplanwithbackup no")
    delhi.admin(SNAPSHOT)
    delhi.admin(SNAPSHOT)
    return history(delhi)[0]


def test_a_database_backup_deleted_while_its_target_is_away_waits_like_a_pool_volume(
    delhi: GridServer, tokyo: GridServer, old: str
) -> None:
    pool_volume = volumes(delhi)[0]
    tokyo.stop()
    delhi.server.devices.forget()
    answer = delhi.admin(DELETE_OLD).text
    assert "ANR2467I 1 entries" in answer and "ANR4890W 1 of these volumes" in answer
    delhi.admin(f"delete volume {pool_volume} discarddata=yes wait=yes")
    assert old not in history(delhi)
    assert {row.volume for row in waiting(delhi)} == {old, pool_volume}
    assert shown(delhi)["deletions_waiting"] == 2
    assert old in delhi.admin("query pendingdeletions tokyo").text
    delhi.restart()
    assert shown(delhi)["deletions_waiting"] == 2
    tokyo.start()
    delhi.server.housekeeping.do_everything()
    assert waiting(delhi) == [] and marked(tokyo) == {old, pool_volume}


def test_a_database_backup_deleted_while_its_target_is_there_is_marked_at_once(
    delhi: GridServer, tokyo: GridServer, old: str
) -> None:
    delhi.admin("update server tokyo delgraceperiod=9")
    tokyo.admin("update node delhi mingrace=11")
    assert "ANR4890W" not in delhi.admin(DELETE_OLD).text
    assert marked(tokyo) == {old} and waiting(delhi) == [] and old not in history(delhi)
    with tokyo.server.catalog.read() as r:
        found = vault.list_volumes(r, nouns.get(r, Node, "DELHI").id)
    days = {(row.delete_time - row.marked_time) // 86_400 for row in found if row.marked_time}
    assert days == {11}, "the longer grace of the two, as for pool volumes"


def test_what_the_target_refuses_of_the_history_waits_for_its_administrators_word(
    delhi: GridServer, tokyo: GridServer, old: str
) -> None:
    tokyo.admin("update node delhi massdeletecount=1")
    first = volumes(delhi)[0]
    delhi.admin(f"delete volume {first} discarddata=yes wait=yes")
    assert "ANR4890W" in delhi.admin(DELETE_OLD).text
    assert marked(tokyo) == {first} and "ANR4864E" in str(shown(delhi)["deletions_error"])
    tokyo.admin("approve deletion delhi")
    delhi.server.housekeeping.do_everything()
    assert marked(tokyo) == {first, old} and waiting(delhi) == []


def test_after_a_restored_database_nothing_of_the_history_is_deleted_before_both_have_been_compared(
    delhi: GridServer, tokyo: GridServer, old: str
) -> None:
    with delhi.server.catalog.write() as tx:
        raise_epoch(tx, delhi.server.clock.now_seconds())
    delhi.server.devices.forget()
    assert "ANR4890W" in delhi.admin(DELETE_OLD).text
    assert "ANR4862E" in str(shown(delhi)["deletions_error"]) and marked(tokyo) == set()
    delhi.admin("reconcile volumes fix=yes wait=yes")
    delhi.server.housekeeping.do_everything()
    assert waiting(delhi) == [] and marked(tokyo) == {old}


def test_backups_that_expire_while_the_target_is_away_wait_and_the_expiration_succeeds(
    delhi: GridServer, tokyo: GridServer, old: str
) -> None:
    delhi.admin("set drmdbbackupexpiredays 0")
    with delhi.server.catalog.write() as tx:  # it is a day old
        row = volume_history.rows(tx, OWN_VOLUME)[0]
        nouns.update(tx, msgspec.structs.replace(row, time=row.time - 86_400))
    tokyo.stop()
    delhi.server.devices.forget()
    said = delhi.admin("expire inventory wait=yes").text
    assert "1 volumes of database backups" in said and "ANR4890W" in said
    assert [row.volume for row in waiting(delhi)] == [old] and old not in history(delhi)
    tokyo.start()
    delhi.server.housekeeping.do_everything()
    assert marked(tokyo) == {old} and waiting(delhi) == []


def test_a_name_that_waits_is_not_given_again(delhi: GridServer, tokyo: GridServer) -> None:
    """Else the old deletion would hit the new volume."""
    delhi.admin("set drmplanwithbackup no")
    named = f"{SNAPSHOT} volumenames=delhi.mine"
    delhi.admin(named)
    delhi.admin(SNAPSHOT)
    tokyo.stop()
    delhi.server.devices.forget()
    delhi.admin(DELETE_OLD)
    tokyo.start()
    with delhi.server.catalog.write() as tx:
        rows.failed(tx, waiting(delhi)[0], "away", delhi.server.clock.now_seconds())
    for again in (named, "define volume targetcopypool delhi.mine wait=yes"):
        assert "ANR4901E" in delhi.admin(again, allow=(4, 10, 12, 13, 14)).text


def test_what_somebody_else_has_told_meanwhile_is_not_told_again(
    delhi: GridServer, tokyo: GridServer
) -> None:
    """A list that was read before: its names may be other volumes' by now."""
    old, *_ = volumes(delhi)
    deletions = delhi.server.storage.deletions
    tokyo.stop()
    delhi.server.devices.forget()
    delhi.admin(f"delete volume {old} discarddata=yes wait=yes")
    read_before = waiting(delhi)
    tokyo.start()
    delhi.server.housekeeping.do_everything()
    assert waiting(delhi) == [] and marked(tokyo) == {old}
    with tokyo.server.catalog.write() as tx:
        vault.unmark(tx, nouns.get(tx, Node, "DELHI").id, f"ADSM.{old}")
    assert deletions.tell_all(read_before) == 0
    assert marked(tokyo) == set()


def test_a_target_that_is_away_is_tried_once_for_many_volumes(delhi: GridServer, tokyo: GridServer) -> None:
    delhi.admin("set drmplanwithbackup no")
    for _ in range(4):
        delhi.admin(SNAPSHOT)
    tokyo.stop()
    delhi.server.devices.forget()
    assert "ANR4890W 3 of these" in delhi.admin(DELETE_OLD).text
    assert sorted(row.tries for row in waiting(delhi)) == [0, 0, 1]
