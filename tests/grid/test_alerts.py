"""QUERY ALERTS shows what needs a person now, at a target and at a source, and nothing when all is well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.both_sides import COPY, lose_file, volumes
from tests.grid.grid_server import GridServer
from tests.grid.trusting import DAY, Tokyo, mark, of_epoch, write
from tests.grid.vaults import Source, store_files

from farvault.base.errors import NotAuthorized, NotAvailable
from farvault.seal.identity import Identity, new_code


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Tokyo]:
    """TOKYO, whose days pass when we say so, with a volume of DELHI."""
    tokyo = Tokyo(tmp_path / "tokyo")
    yield tokyo
    tokyo.server.stop()


@pytest.fixture
def source(vault: Tokyo) -> Source:
    delhi = vault.source()
    write(delhi, "V", 1)
    return delhi


def alerts(server: GridServer) -> dict[str, dict[str, str]]:
    """By the number of the message; nothing where nothing needs attention."""
    answer = server.admin("query alerts", style="JSON", allow=(0, 4))
    if answer.return_code == 0:
        assert "ANR4993I" in answer.text
        return {}
    return {row["message_id"]: row for row in json.loads(answer.text)}


def test_when_all_is_well_it_says_so_and_ends_well(vault: Tokyo, source: Source) -> None:
    assert alerts(vault.server) == {}
    assert "Alerts: 0" in vault.admin("query status")


def test_a_forcesync_that_waits_is_an_alert_until_somebody_decides(vault: Tokyo, source: Source) -> None:
    anew = Source(source.port, identity=Identity.create("DELHI"), code=new_code(), force_sync=True)
    anew.target().open_session().close()
    found = alerts(vault.server)["ANR0570W"]
    assert found["concerns"] == "DELHI" and "APPROVE FORCESYNC DELHI" in found["to_do"]
    assert "Alerts: 1" in vault.admin("query status")
    assert "ANR4992I" in vault.admin("reject forcesync delhi")
    assert alerts(vault.server) == {}


def test_an_identity_that_was_accepted_is_one_as_long_as_deletions_sleep(
    vault: Tokyo, source: Source
) -> None:
    anew = Source(source.port, identity=Identity.create("DELHI"), code=new_code(), force_sync=True)
    anew.target().open_session().close()
    vault.admin("approve forcesync delhi")
    assert alerts(vault.server).keys() == {"ANR4877W"}
    vault.pass_days(5.1)
    assert alerts(vault.server) == {}


def test_stopped_deletions_a_moved_epoch_and_a_jumped_clock_are_alerts(vault: Tokyo, source: Source) -> None:
    vault.admin("update node delhi massdeletecount=1")
    for number in range(3):
        write(source, f"W{number}", number)
    opened = source.target().open_session()
    mark(opened, "ADSM.W0", 9)
    with pytest.raises(NotAvailable):
        mark(opened, "ADSM.W1", 9)
    opened.close()
    vault.clock.jump(400 * DAY)
    vault.pass_days(0)
    assert alerts(vault.server).keys() == {"ANR4865W", "ANR4868W"}
    vault.admin("approve deletion delhi")
    vault.admin("confirm clock")
    of_epoch(source, 2).open_session().close()
    vault.server.lines.wait_for("ANR4874W")
    assert alerts(vault.server).keys() == {"ANR4874W"}


def test_a_refused_change_is_shown_for_a_day(vault: Tokyo, source: Source) -> None:
    thief = vault.source(identity=source.identity, code=b"")
    opened = thief.target().open_session()
    with pytest.raises(NotAuthorized):
        mark(opened, "ADSM.V")
    opened.close()
    vault.server.lines.wait_for("ANR0409I", 2)
    assert alerts(vault.server).keys() == {"ANR4863W"}
    vault.pass_days(1.1)
    assert alerts(vault.server) == {}


def test_what_is_lost_at_a_target_is_an_alert_until_it_is_replaced(
    delhi: GridServer, tokyo: GridServer
) -> None:
    store_files(delhi, 1)
    delhi.admin(COPY)
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    assert alerts(delhi) == {}
    lost = json.loads(delhi.admin("query volhistory type=dbbackup", style="JSON").text)[0]["volume"]
    (copy,) = volumes(delhi)
    lose_file(tokyo, lost)
    lose_file(tokyo, copy)
    said = delhi.admin("reconcile volumes fix=yes wait=yes", allow=(4,)).text
    assert "ANR4991W" in said and "1 volumes of the volume history" in said
    found = alerts(delhi)
    assert found.keys() == {"ANR4888E", "ANR4891E", "ANR4884W"}
    assert lost in found["ANR4891E"]["concerns"] and copy in found["ANR4888E"]["to_do"]
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    delhi.admin("delete volhistory type=dbbackup todate=today")
    delhi.admin(f"delete volume {copy} discarddata=yes wait=yes")
    assert "ANR4991W" not in delhi.admin("reconcile volumes wait=yes").text
    assert alerts(delhi) == {}
