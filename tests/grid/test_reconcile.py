"""RECONCILE VOLUMES between two servers: every row of the chapter's table, both ways, and what happens meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import msgspec
import pytest
from tests.grid.both_sides import (
    COPY,
    access,
    change_file,
    files,
    forget_placements,
    forget_volume,
    lose_file,
    mark_file,
    reconcile,
    volumes,
)
from tests.grid.grid_server import GridServer
from tests.grid.vaults import file_bytes, make_source, restored, store_files
from tests.patience import PATIENCE_SECONDS

from farvault.catalog import kept_receipts, nouns, target_truth
from farvault.media import receipt as receipts
from farvault.media.target_link import TargetLink
from farvault.model.volume import Volume
from farvault.model.volume_history import BACKUPFULL, EXPORT, HistoryVolume
from farvault.processes import reconcile_volumes as process
from farvault.processes.process import Process, State
from farvault.processes.reconcile_volumes import reconcile_volumes

MakeServer = Callable[[str], GridServer]
SEEDS = tuple(range(12))
MIB = 1 << 20


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With copies at TOKYO."""
    store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    return delhi


def findings(delhi: GridServer) -> list[dict[str, object]]:
    answer = delhi.admin("query reconcile", style="JSON", allow=(0, 11))
    return list(json.loads(answer.text.split("]")[0] + "]"))


# --- the table of the chapter ------------------------------------------------------------------------------------------


def test_volumes_that_agree_are_left_alone(delhi: GridServer, tokyo: GridServer) -> None:
    before = files(tokyo)
    said = reconcile(delhi, "fix=yes")
    assert "2 volumes here and 2 there compared, 2 agree, 0 differ" in said
    assert "The target has taken note." in said
    assert files(tokyo) == before and not any(before.values())


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_a_volume_without_a_file(delhi: GridServer, tokyo: GridServer, fix: str) -> None:
    name, other = volumes(delhi)
    lose_file(tokyo, name)
    said = reconcile(delhi, f"fix={fix}", allow=(4,))
    assert f"ADSM.{name} at server TOKYO: no file" in said
    assert access(delhi, name) == ("UNAVAILABLE" if fix == "yes" else "READWRITE")
    assert access(delhi, other) == "READWRITE"
    assert "Volumes it signed for and lacks: 1" in delhi.admin("query server tokyo f=d").text


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_a_volume_whose_file_is_marked_becomes_active_and_unavailable(
    delhi: GridServer, tokyo: GridServer, fix: str
) -> None:
    name, other = volumes(delhi)
    mark_file(tokyo, name)
    said = reconcile(delhi, f"fix={fix}", allow=(4,))
    assert "file is marked" in said
    assert ("AUDIT VOLUME recommended" in said) == (fix == "yes")
    assert files(tokyo) == {f"ADSM.{name}": fix == "no", f"ADSM.{other}": False}
    assert access(delhi, name) == ("UNAVAILABLE" if fix == "yes" else "READWRITE")
    if fix == "yes":
        delhi.admin(f"update volume {name} access=readonly")
        delhi.admin(f"audit volume {name} wait=yes")
        assert "2 agree" in reconcile(delhi)


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_a_volume_whose_file_is_marked_and_differs_stays_marked(
    delhi: GridServer, tokyo: GridServer, fix: str
) -> None:
    name, _ = volumes(delhi)
    change_file(tokyo, name)
    mark_file(tokyo, name)
    said = reconcile(delhi, f"fix={fix}", allow=(4,))
    assert "file is marked and differs (digest)" in said
    assert "AUDIT VOLUME" not in said
    assert files(tokyo)[f"ADSM.{name}"]
    assert access(delhi, name) == ("UNAVAILABLE" if fix == "yes" else "READWRITE")


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_a_volume_whose_file_differs(delhi: GridServer, tokyo: GridServer, fix: str) -> None:
    name, _ = volumes(delhi)
    change_file(tokyo, name)
    said = reconcile(delhi, f"fix={fix}", allow=(4,))
    assert f"ADSM.{name} at server TOKYO: differs (digest)" in said
    assert ("AUDIT VOLUME recommended" in said) == (fix == "yes")
    assert not files(tokyo)[f"ADSM.{name}"]
    assert access(delhi, name) == ("UNAVAILABLE" if fix == "yes" else "READWRITE")


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_a_file_that_no_volume_knows_is_marked(delhi: GridServer, tokyo: GridServer, fix: str) -> None:
    name, other = volumes(delhi)
    forget_volume(delhi, name)
    said = reconcile(delhi, f"fix={fix}", allow=(0,) if fix == "yes" else (4,))
    assert f"ADSM.{name} at server TOKYO: no volume" in said
    assert files(tokyo) == {f"ADSM.{name}": fix == "yes", f"ADSM.{other}": False}


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_a_marked_file_that_no_volume_knows_is_nothing_to_speak_of(
    delhi: GridServer, tokyo: GridServer, fix: str
) -> None:
    name, other = volumes(delhi)
    forget_volume(delhi, name)
    mark_file(tokyo, name)
    said = reconcile(delhi, f"fix={fix}")
    assert "1 volumes here and 2 there compared, 1 agree, 0 differ" in said
    assert files(tokyo) == {f"ADSM.{name}": True, f"ADSM.{other}": False}


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_what_lies_behind_the_end_of_a_volume_is_marked_and_its_front_stays(
    delhi: GridServer, tokyo: GridServer, fix: str
) -> None:
    """DELHI's catalog was restored: it knows the volume as it was before the last segment."""
    store_files(delhi, 100)
    delhi.admin(COPY)
    with delhi.server.catalog.write() as tx:
        grown = next(one for one in kept_receipts.volumes_here(tx, ["TARGETCLASS"]) if len(one.receipts) > 1)
        last = grown.receipts[-1]
        volume = nouns.get(tx, Volume, grown.name)
        forget_placements(tx, volume.id, last.offset_bytes)
        nouns.update(tx, msgspec.structs.replace(volume, written_bytes=last.offset_bytes))
    said = reconcile(delhi, f"fix={fix}", allow=(0,) if fix == "yes" else (4,))
    assert f"ADSM.{grown.name} at server TOKYO: longer there" in said
    assert access(delhi, grown.name) == "READWRITE"
    if fix == "yes":
        assert "0 differ" in reconcile(delhi)
        delhi.admin("audit volume stgpool=targetcopypool wait=yes")


# --- volume history ------------------------------------------------------------------------------------------------


def in_history(delhi: GridServer, name: str, **values: object) -> None:
    """An entry of the volume history with this volume; the receipts of a pool volume of that name."""
    with delhi.server.catalog.write() as tx:
        known = kept_receipts.volume_here(tx, name)
        given = [one.receipt for one in known.receipts] if known else []
        row = HistoryVolume(
            time=1, type=EXPORT, device_class="TARGETCLASS", volume=name, receipt=receipts.joined(given)
        )
        nouns.insert(tx, msgspec.structs.replace(row, **values))


def outcome(delhi: GridServer, *, fix: bool) -> State:
    server = delhi.server

    def work(running: Process) -> None:
        reconcile_volumes(server.storage, running, server.instance.target, "*", fix=fix)

    return server.processes.start(process.DESCRIPTION, work, wait=True).state


@pytest.mark.parametrize("fix", [False, True])
def test_volumes_of_the_history_are_only_reported(delhi: GridServer, tokyo: GridServer, fix: bool) -> None:
    name, _ = volumes(delhi)
    in_history(delhi, name)
    forget_volume(delhi, name)
    assert outcome(delhi, fix=fix) is State.SUCCESS
    assert findings(delhi) == []
    in_history(delhi, "DELHI.DBB.1", type=BACKUPFULL, stored_bytes=4096)
    assert outcome(delhi, fix=fix) is State.FAILURE
    (found,) = findings(delhi)
    assert (found["volume"], found["kind"], found["finding"], found["actions"]) == (
        "ADSM.DELHI.DBB.1",
        "HISTORY",
        "no file",
        "reported, noted as not provable" if fix else "reported",
    )
    mark_file(tokyo, name)
    assert outcome(delhi, fix=fix) is State.FAILURE
    assert files(tokyo)[f"ADSM.{name}"], "nothing is changed for the history"


def test_a_volume_of_the_history_that_is_being_written_is_no_unknown_file(
    delhi: GridServer, tokyo: GridServer
) -> None:
    name, _ = volumes(delhi)
    in_history(delhi, name, complete=False)
    forget_volume(delhi, name)
    delhi.server.storage.history_in_use.update(range(100))  # housekeeping leaves it alone
    assert outcome(delhi, fix=True) is State.FAILURE
    assert not files(tokyo)[f"ADSM.{name}"]


@pytest.mark.parametrize(("more", "state"), [(0, State.SUCCESS), (1, State.FAILURE)])
def test_an_entry_that_was_found_from_its_media_alone_is_compared_by_length(
    delhi: GridServer, more: int, state: State
) -> None:
    name, _ = volumes(delhi)
    with delhi.server.catalog.read() as r:
        known = kept_receipts.volume_here(r, name)
    assert known is not None
    in_history(delhi, name, receipt=b"", stored_bytes=known.attributes.stored_bytes + more)
    forget_volume(delhi, name)
    assert outcome(delhi, fix=True) is state


def test_database_backups_at_the_target_are_known_and_stay(delhi: GridServer, tokyo: GridServer) -> None:
    delhi.admin("backup db type=full devclass=targetclass wait=yes")
    delhi.admin("backup db type=dbsnapshot devclass=targetclass wait=yes")
    assert len(files(tokyo)) == 6, "each backup has its recovery plan beside it"
    said = reconcile(delhi, "fix=yes")
    assert "0 differ" in said and findings(delhi) == []
    assert not any(files(tokyo).values()), "none is marked"


# --- around it -----------------------------------------------------------------------------------------------------


def test_the_report_is_a_table_and_json_with_what_was_done(delhi: GridServer, tokyo: GridServer) -> None:
    name, _ = volumes(delhi)
    lose_file(tokyo, name)
    said = reconcile(delhi, "fix=yes", allow=(4,))
    assert "Archive File" in said and "volume set UNAVAILABLE" in said
    (found,) = findings(delhi)
    assert found["server"] == "TOKYO" and found["volume"] == f"ADSM.{name}"
    assert found["there_bytes"] == 0 and found["here_bytes"]
    assert found["receipts"], "the receipts that prove it"
    assert "no file" in delhi.admin("query reconcile").text
    (counts,) = json.loads(delhi.admin("query reconcile tokyo f=summary", style="JSON").text)
    assert {key: counts[key] for key in ("here", "there", "same", "differing", "fixed", "left_open")} == {
        "here": 2,
        "there": 1,
        "same": 1,
        "differing": 1,
        "fixed": 1,
        "left_open": 1,
    }


def test_a_volume_in_use_is_said_and_left_alone(delhi: GridServer, tokyo: GridServer) -> None:
    name, _ = volumes(delhi)
    change_file(tokyo, name)
    with delhi.server.catalog.read() as r:
        volume = nouns.get(r, Volume, name)
    with delhi.server.storage.use.hold(volume):
        said = reconcile(delhi, "fix=yes", allow=(4,))
    assert "1 in use and not compared" in said and "not told" in said
    assert access(delhi, name) == "READWRITE"


def test_a_class_whose_prefix_begins_like_anothers_leaves_its_files_alone(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin(
        "define devclass second devtype=server servername=tokyo prefix=adsm.x retryperiod=0 maxcapacity=8m"
    )
    delhi.admin("define stgpool secondcopy second pooltype=copy maxscratch=10")
    delhi.admin("backup stgpool tapepool secondcopy wait=yes")
    before = files(tokyo)
    assert any(name.startswith("ADSM.X.") for name in before)
    said = reconcile(delhi, "fix=yes")
    assert "0 differ" in said and "not told" in said, "a part is not everything"
    assert files(tokyo) == before
    assert "taken note" in delhi.admin("reconcile volumes fix=yes wait=yes").text


def test_a_third_server_may_look_but_not_fix(
    make_server: MakeServer, delhi: GridServer, tokyo: GridServer
) -> None:
    osaka = make_server("OSAKA")
    make_source(osaka, tokyo)
    before = files(tokyo)
    assert "no volume" in osaka.admin("reconcile volumes * wait=yes", allow=(4,)).text
    assert "ANR4802E" in osaka.admin("reconcile volumes * fix=yes wait=yes", allow=(4,)).text
    assert files(tokyo) == before


def test_a_target_that_is_away_fails_the_process_and_changes_nothing(
    delhi: GridServer, tokyo: GridServer
) -> None:
    tokyo.stop()
    assert "ANR4376E" in reconcile(delhi, "fix=yes", allow=(4,))
    assert {access(delhi, name) for name in volumes(delhi)} == {"READWRITE"}


def test_only_one_runs_at_a_time_and_it_needs_a_class(delhi: GridServer) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def rest(_: object) -> None:
        begun.set()
        may_end.wait(PATIENCE_SECONDS)

    running = delhi.server.processes.start(process.DESCRIPTION, rest)
    assert begun.wait(PATIENCE_SECONDS)
    assert "ANR4899E" in delhi.admin("reconcile volumes", allow=(12,)).text
    may_end.set()
    assert running.wait(PATIENCE_SECONDS)
    assert "ANR8201E" in delhi.admin("reconcile volumes nosuch", allow=(11,)).text
    assert "ANR2034E" in delhi.admin("reconcile volumes nosuch*", allow=(11,)).text
    assert "ANR4997E" in delhi.admin("reconcile volumes tapeclass", allow=(3,)).text
    assert "0 = never" in delhi.admin("setopt reconcileinterval 0").text
    assert "24 hours" in delhi.admin("setopt reconcileinterval 24").text


def test_it_runs_by_itself_every_interval_and_fixes_nothing(delhi: GridServer, tokyo: GridServer) -> None:
    name, _ = volumes(delhi)
    lose_file(tokyo, name)
    delhi.admin("setopt challenges 0")
    delhi.server.housekeeping.do_everything()
    assert "ANR4885I" not in delhi.lines.ids, "off by default"
    delhi.admin("setopt reconcileinterval 24")
    delhi.server.housekeeping.do_everything()
    delhi.lines.wait_for("ANR4885I")
    assert access(delhi, name) == "READWRITE"


def test_the_target_believes_only_who_was_told_of_what_is_there(delhi: GridServer, tokyo: GridServer) -> None:
    link = TargetLink(delhi.server.instance.target("TOKYO"))
    with link:
        first, _ = link.inventory("", "")
        name, _ = volumes(delhi)
        mark_file(tokyo, name)
        second, is_last = link.inventory("", "")
        assert is_last and [row.marked for row in first] == [False, False]
        assert sorted(row.marked for row in second) == [False, True]
        assert link.volume("ADSM.NOBODY") is None
    with delhi.server.catalog.read() as r:
        assert target_truth.reconciliations(r, target_truth.server_id(r, "TOKYO")) == []


def test_what_a_reconcile_has_left_is_still_restorable(delhi: GridServer, tokyo: GridServer) -> None:
    ids = store_files(delhi, 200, 201)
    delhi.admin(COPY)
    reconcile(delhi, "fix=yes")
    delhi.admin("update volume * access=unavailable wherestgpool=tapepool")
    assert restored(delhi, ids) == {
        number: file_bytes(seed, MIB) for number, seed in zip(ids, (200, 201), strict=True)
    }
