"""A volume deleted while its target is away is gone here, waits to be told, and is marked there when the target is back."""

from __future__ import annotations

import json

import pytest
from tests.grid.both_sides import COPY, marked, volumes, waiting
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import store_files


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
    assert "ANR0140E" in refused, "what waits finds its target by the class"
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
