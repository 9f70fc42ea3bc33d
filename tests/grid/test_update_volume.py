"""UPDATE VOLUME changes the volumes its selection names, says which it would be, and refuses what makes no sense."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.grid.grid_server import GridServer

from farvault.catalog import nouns
from farvault.model.volume import Volume


@pytest.fixture
def delhi(make_server: Callable[[str], GridServer]) -> GridServer:
    """Two primary volumes, two copies, one random-access volume."""
    server = make_server("DELHI")
    for command in (
        f"define devclass tapes devtype=file directory={server.folder}/tapes maxcapacity=8m",
        f"define devclass others devtype=file directory={server.folder}/others maxcapacity=8m",
        "define stgpool tapepool tapes maxscratch=0",
        "define stgpool copypool others pooltype=copy maxscratch=0",
        "define stgpool diskpool disk",
        "define volume tapepool p1 wait=yes",
        "define volume tapepool p2 wait=yes",
        "define volume copypool c1 wait=yes",
        "define volume copypool c2 wait=yes",
        f"define volume diskpool {server.folder}/d1 formatsize=1 wait=yes",
    ):
        server.admin(command)
    return server


def volumes(server: GridServer, **values: str) -> set[str]:
    """Last parts of the names of those with these values."""
    with server.server.catalog.read() as r:
        found = nouns.select(r, Volume, **values)
    return {volume.name.rpartition("/")[2] for volume in found}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("wherestgpool=tapepool", {"p1", "p2"}),
        ("wheredevclass=o*", {"c1", "c2"}),
        ("wherestatus=empty wherestgpool=copypool", {"c1", "c2"}),
        ("wherestatus=online", {"d1"}),
        ("wherestatus=full,filling", set()),
        ("whereaccess=readwrite wherestgpool=*pool", {"p1", "p2", "c1", "c2", "d1"}),
    ],
)
def test_the_selection_says_which(delhi: GridServer, selection: str, expected: set[str]) -> None:
    delhi.admin(f"update volume * access=unavailable {selection}", allow=(0, 11))
    assert volumes(delhi, access="UNAVAILABLE") == expected


def test_it_goes_by_the_access_of_before(delhi: GridServer) -> None:
    delhi.admin("update volume */p1 access=readonly")
    delhi.admin("update volume * access=unavailable whereaccess=readonly,offsite")
    assert volumes(delhi, access="UNAVAILABLE") == {"p1"}
    delhi.admin("update volume * access=readwrite whereaccess=unavailable")
    assert volumes(delhi, access="READWRITE") == {"p1", "p2", "c1", "c2", "d1"}


def test_a_preview_changes_nothing(delhi: GridServer) -> None:
    answer = delhi.admin("update volume * access=destroyed wherestgpool=tapepool preview=yes")
    assert answer.text.count("ANR2264I") == 2
    assert volumes(delhi, access="DESTROYED") == set()


def test_a_location_is_of_sequential_volumes(delhi: GridServer) -> None:
    delhi.admin('update volume */c1 location="shelf 3" access=offsite')
    assert volumes(delhi, location="shelf 3", access="OFFSITE") == {"c1"}
    assert "ANR2262E" in delhi.admin("update volume */d1 location=shelf", allow=(3,)).text


def test_of_several_those_it_does_not_fit_are_said_and_the_others_changed(delhi: GridServer) -> None:
    answer = delhi.admin("update volume * access=offsite", allow=(4,))
    assert answer.text.count("ANR2263E") == 3
    assert volumes(delhi, access="OFFSITE") == {"c1", "c2"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("update volume */c1 access=destroyed", "ANR2263E"),
        ("update volume */p1 access=offsite", "ANR2263E"),
        ("update volume */p1", "ANR2026E"),
        ("update volume nothing access=readonly", "ANR2034E"),
        ("update volume */p1 access=broken", "ANR2020E"),
        ("update volume * access=readonly wherestatus=odd", "ANR2020E"),
    ],
)
def test_what_makes_no_sense_is_refused(delhi: GridServer, command: str, message: str) -> None:
    assert message in delhi.admin(command, allow=(3, 11)).text
    assert volumes(delhi, access="READWRITE") == {"p1", "p2", "c1", "c2", "d1"}


@pytest.mark.parametrize("access", ["unavailable", "destroyed"])
def test_a_random_volume_that_is_out_of_use_is_off_line(delhi: GridServer, access: str) -> None:
    def status(selection: str = "") -> list[str]:
        return [row["status"] for row in delhi.rows(f"query volume */d1 {selection}")]

    assert status() == ["ONLINE"]
    delhi.admin(f"update volume */d1 access={access}")
    assert status() == ["OFFLINE"]
    assert "Volume Status: Off-Line\n" in delhi.admin("query volume */d1 f=d").text
    assert (status("status=online"), status("status=offline")) == ([], ["OFFLINE"])
    delhi.admin("update volume */d1 access=readonly wherestatus=offline")
    assert status() == ["ONLINE"], "its access kept it out of use, nobody varied it"


def test_a_volume_that_was_varied_off_line_stays_so_whatever_its_access(delhi: GridServer) -> None:
    delhi.admin(f"vary offline {delhi.folder}/d1 wait=yes")
    delhi.admin("update volume */d1 access=destroyed")
    delhi.admin("update volume */d1 access=readwrite")
    assert [row["status"] for row in delhi.rows("query volume */d1")] == ["OFFLINE"]


@pytest.mark.parametrize("pool", ["tapepool", "copypool"])
def test_a_name_that_is_taken_is_refused_before_a_process_begins(delhi: GridServer, pool: str) -> None:
    answer = delhi.admin(f"define volume {pool} {delhi.folder}/tapes/p1", allow=(10,))
    assert "ANR2404E" in answer.text and "ANR0984I" not in answer.text
    numbered = delhi.admin("define volume tapepool n001 wait=yes").text
    assert "ANR2206I" in numbered
    answer = delhi.admin("define volume tapepool n numberofvolumes=2", allow=(10,))
    assert "ANR2404E" in answer.text
    assert "n002" not in volumes(delhi), "none of them is made"
