"""Days pass, and what policy no longer keeps goes: from the client's session to the bytes on the volume.

The server's clock is ours; nobody waits.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient, some_files
from tests.patience import PATIENCE_SECONDS

from farvault.apps.server import Server
from farvault.base.clock import ManualClock
from farvault.base.log import Log
from farvault.catalog import audit
from farvault.model.stored_object import ObjectKind
from farvault.processes import expire_inventory
from farvault.protocol.messages import ExpireObjects, ObjectRow, Objects, QueryObjects

DAY = 86_400
START = 1_800_000_000
ARCHIVE = ObjectKind.ARCHIVE


class Days:
    """A server whose days pass when we say so, and one client of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.server = GridServer("DELHI", str(folder), change=self._take_clock)
        self.server.start()
        self.admin("setopt expinterval 0")
        self.admin(f"register node ann {PASSWORD} backdelete=yes archdelete=yes")
        self.ann = self.client("ANN")

    def _take_clock(self, server: Server) -> None:
        server.clock, server.log = self.clock, Log(self.clock)

    def client(self, node: str) -> NodeClient:
        client = NodeClient(self.server.sign_on(node), node)
        client.register()
        return client

    def pass_days(self, days: float) -> None:
        self.clock.advance(days * DAY)

    def admin(self, command: str, *allow: int) -> str:
        return self.server.admin(command, allow=allow or (0,)).text

    def expire(self, options: str = "") -> str:
        return self.admin(f"expire inventory wait=yes {options}")

    def policy(self, *changes: str) -> None:
        for change in changes:
            self.admin(f"update copygroup standard standard standard {change}")
        self.admin("activate policyset standard standard")

    def versions(self, kind: int = ObjectKind.BACKUP) -> list[tuple[bytes, int]]:
        """(name, state) of all the client is shown."""
        return [(row.name, row.state) for row in self.rows(kind)]

    def rows(self, kind: int = ObjectKind.BACKUP) -> list[ObjectRow]:
        query = QueryObjects(file_space=self.ann.file_space, kind=kind, active_only=False)
        self.ann.connection.send(query)
        found: list[ObjectRow] = []
        while True:
            frame, _ = self.ann.connection.expect(Objects)
            found += frame.rows
            if frame.last:
                return found

    def find_gone(self, name: bytes) -> None:
        """What an incremental backup tells about a file that is not there any more."""
        (row,) = (row for row in self.rows() if row.name == name and row.state == 1)
        self.ann.begin()
        self.ann.connection.send(ExpireObjects(ids=(row.id,)))
        self.ann.commit()

    def count(self, table: str) -> int:
        with self.server.server.catalog.read() as r:
            assert list(audit.check_row_digests(r)) == [] and list(audit.check_sums(r)) == []
            return int(r.all(f"SELECT COUNT(*) FROM {table}")[0][0])

    def retention(self, options: str = "") -> list[dict[str, Any]]:
        text = self.server.admin(f"query retention ann {options}", style="JSON").text
        return list(json.loads(text))


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    made = Days(tmp_path / "delhi")
    yield made
    made.ann.close()
    made.server.stop()


def test_a_version_too_many_vanishes_when_the_next_is_stored_and_its_bytes_with_expiration(
    days: Days,
) -> None:
    for number in range(3):
        days.ann.store({b"file": b"version %d" % number})
        days.pass_days(1)
    assert days.versions() == [(b"file", 2), (b"file", 1)]
    assert days.count("objects") == 3 and days.count("aggregates") == 3
    assert "deleting 1 backup objects" in days.expire()
    assert days.count("objects") == 2 and days.count("aggregates") == 2


def test_an_expired_version_cannot_be_restored_deleted_or_brought_back(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    (first,) = days.rows()
    for content in (b"two", b"three"):
        days.ann.store({b"file": content})
    assert days.ann.read([first.id]).contents == {}
    with pytest.raises(Exception, match="ANR0558W"):
        days.ann.delete([first.id])


def test_days_after_a_version_became_inactive_it_goes(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.pass_days(30)
    assert "deleting 0 backup objects" in days.expire()
    days.pass_days(0.01)
    assert "1 inactive: RETEXTRA" in days.expire()
    assert days.versions() == [(b"file", 1)]
    assert days.ann.read_all() == {b"file": b"two"}


def test_a_deleted_file_keeps_verdeleted_versions_and_the_last_for_retonly(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.find_gone(b"file")
    assert days.versions() == [(b"file", 2)], "VERDELETED=1"
    days.expire()
    days.pass_days(59)
    days.expire()
    assert days.versions() == [(b"file", 2)]
    days.pass_days(2)
    assert "RETONLY" in days.expire()
    assert days.count("objects") == days.count("extents") == days.count("directories") == 0


def test_with_verdeleted_0_nothing_is_left_to_be_seen(days: Days) -> None:
    days.policy("verdeleted=0")
    days.ann.store({b"file": b"one"})
    days.find_gone(b"file")
    assert days.versions() == []


def test_a_file_that_comes_back_is_kept_as_one_that_exists(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.find_gone(b"file")
    days.pass_days(20)
    days.ann.store({b"file": b"two"})
    assert days.versions() == [(b"file", 2), (b"file", 1)]
    days.pass_days(11)
    assert "RETEXTRA" in days.expire()
    days.ann.store({b"file": b"three"})
    assert days.versions() == [(b"file", 2), (b"file", 1)]


def test_archive_copies_go_by_retver_and_never_by_count(days: Days) -> None:
    for content in (b"one", b"two", b"three"):
        days.ann.store({b"file": content}, kind=ARCHIVE)
    days.pass_days(365)
    days.expire()
    assert len(days.versions(ARCHIVE)) == 3
    days.pass_days(1)
    assert "deleting 0 backup objects, 3 archive objects" in days.expire()
    assert days.count("objects") == 0


def test_retention_may_wait_for_an_event(days: Days) -> None:
    days.policy("type=archive retinit=event retver=10 retmin=20")
    days.ann.store({b"early": b"one", b"late": b"two"}, kind=ARCHIVE)
    days.pass_days(1000)
    days.expire()
    assert len(days.versions(ARCHIVE)) == 2
    assert "of 1 archive copies" in days.admin("signal object ann * /late").replace("event of", "of")
    assert "1 more had theirs" in days.admin("signal object ann * /late date=-3")
    days.pass_days(9)
    days.expire()
    assert len(days.versions(ARCHIVE)) == 2
    days.pass_days(2)
    days.expire()
    assert days.versions(ARCHIVE) == [(b"early", 1)]
    assert days.count("retention_events") == 0
    assert "ANR4431E" in days.admin("signal object ann * date=+1", 3)


def test_only_what_waits_for_an_event_can_be_signalled(days: Days) -> None:
    days.ann.store({b"file": b"one"}, kind=ARCHIVE)
    assert "ANR4432E" in days.admin("signal object ann", 11)


# --- policy that changes ---------------------------------------------------------------------------------------------------


def test_policy_counts_from_its_activation_for_what_is_there(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.pass_days(31)
    days.policy("retextra=100")
    days.expire()
    assert len(days.versions()) == 2
    days.policy("verexists=1")
    assert "VEREXISTS" in days.expire()
    assert len(days.versions()) == 1


def test_without_a_copy_group_inactive_versions_have_a_grace_and_active_ones_stay(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.ann.store({b"file": b"archived"}, kind=ARCHIVE)
    days.admin("update domain standard backretention=5 archretention=7")
    days.admin("define mgmtclass standard standard bare")
    days.admin("assign defmgmtclass standard standard bare")
    assert "ANR1563I" in days.admin("delete mgmtclass standard standard standard")
    days.admin("activate policyset standard standard")
    days.pass_days(6)
    said = days.expire()
    assert "ANR0832W" in said and "BACKRETENTION" in said
    assert days.versions() == [(b"file", 1)]
    days.pass_days(2)
    assert "ANR0833W" in days.expire()
    assert days.versions(ARCHIVE) == []
    assert "ANR083" not in days.expire("quiet=yes")


def test_the_default_class_stands_in_for_a_class_that_is_gone(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.admin("copy mgmtclass standard standard standard other")
    days.admin("update copygroup standard standard other retextra=3")
    days.admin("assign defmgmtclass standard standard other")
    days.admin("delete mgmtclass standard standard standard")
    assert "ANR1559W" in days.admin("activate policyset standard standard")
    days.pass_days(4)
    said = days.expire()
    assert "ANR0831I" in said and "OTHER" in said and "RETEXTRA" in said


def test_nothing_expires_in_a_domain_without_an_active_set(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.admin("define domain empty")
    days.admin("update node ann domain=empty")
    days.pass_days(9000)
    assert "ANR0830W" in days.expire()
    assert len(days.versions()) == 2
    assert {row["why"] for row in days.retention()} == {"no active policy set"}


# --- asking beforehand -----------------------------------------------------------------------------------------------------


def test_preview_and_query_retention_foretell_what_expiration_does(days: Days) -> None:
    files = some_files(3, 100)
    days.ann.store(files)
    days.ann.store(dict.fromkeys(files, b"new"))
    days.find_gone(b"file0000")
    days.ann.store({b"archived": b"old"}, kind=ARCHIVE)
    days.pass_days(40)
    told = [(row["path"], row["kind"], row["goes"], row["why"]) for row in days.retention("/home")]
    assert ("/file0001", "Bkup", "never", "active version") in told
    assert ("/file0000", "Bkup", "next expiration", "expired already") in told
    assert [row["why"] for row in days.retention("/home /archived")] == ["archive copy: RETVER"]
    preview = days.expire("preview=yes")
    assert "3 backup objects and 0 archive objects would be deleted" in preview and "ANR4392I" in preview
    assert days.count("objects") == 7
    assert "deleting 3 backup objects, 0 archive objects" in days.expire()
    left = [(row["path"], row["why"]) for row in days.retention()]
    assert left == [
        ("/archived", "archive copy: RETVER"),
        ("/file0000", "last version of a deleted file: RETONLY"),
        ("/file0001", "active version"),
        ("/file0002", "active version"),
    ]
    assert days.retention("/home")[1]["by"] == "STANDARD"


# --- which, when, how long ---------------------------------------------------------------------------------------------------


def _two_nodes(days: Days) -> None:
    days.admin("copy domain standard other")
    days.admin("activate policyset other standard")
    days.admin(f"register node bob {PASSWORD} domain=other")
    bob = days.client("BOB")
    for client in (days.ann, bob):
        client.store({b"file": b"one"})
        client.store({b"file": b"two"})
    bob.close()
    days.pass_days(31)


@pytest.mark.parametrize("which", ["node=ann", "node=a*", "domain=standard", "domain=stan* node=*"])
def test_one_may_say_whose_files(days: Days, which: str) -> None:
    _two_nodes(days)
    assert "deleting 1 backup" in days.expire(which)
    assert len(days.versions()) == 1
    assert days.count("objects") == 3
    assert "deleting 1 backup" in days.expire()


def test_a_run_that_is_stopped_is_gone_on_with(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    files = some_files(12, 20)
    days.ann.store(files)
    days.ann.store(dict.fromkeys(files, b"new"))
    days.pass_days(31)
    monkeypatch.setattr(expire_inventory, "PIECE_OBJECTS", 4)
    monkeypatch.setattr(expire_inventory, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(expire_inventory._Run, "_is_over", lambda run: run._totals is not None)
    said = days.expire("duration=1")
    assert "ANR0813I" in said and "examined 4 objects" in said
    monkeypatch.undo()
    with days.server.server.catalog.read() as r:
        assert r.all("SELECT object_id > 0, completed_time FROM expirations") == [(1, 0)]
    assert "deleting 10 backup objects" in days.expire()
    with days.server.server.catalog.read() as r:
        assert r.all("SELECT object_id, completed_time > 0 FROM expirations") == [(-1, 1)]
    assert days.count("objects") == 12


def test_only_one_runs_at_a_time(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait(storage: object) -> int:
        inside.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return 0

    monkeypatch.setattr(expire_inventory, "collect_deleted", wait)
    days.admin("expire inventory")
    assert inside.wait(PATIENCE_SECONDS)
    assert "ANR0815E" in days.admin("expire inventory", 12)
    go_on.set()
    days.server.lines.wait_for("ANR0812I")


def test_it_runs_by_itself(days: Days) -> None:
    days.admin("setopt expinterval 24")
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.pass_days(31)
    days.server.lines.wait_for("ANR0812I")
    assert len(days.versions()) == 1
    days.clock.advance(3600)
    days.pass_days(1)
    days.server.lines.wait_for("ANR0812I", 2)


def test_it_does_not_run_by_itself_where_the_interval_is_0(days: Days) -> None:
    days.server.server.housekeeping.do_everything()
    assert "ANR0811I" not in days.server.lines.ids
    assert "ANR0816I" in days.admin("setopt expinterval 12")
    days.server.server.housekeeping.do_everything()
    days.server.lines.wait_for("ANR0812I")


def test_another_interval_counts_from_the_last_run(days: Days) -> None:
    days.admin("setopt expinterval 200")
    housekeeping = days.server.server.housekeeping
    housekeeping.do_everything()
    days.server.lines.wait_for("ANR0812I")
    days.clock.advance(2 * 3600)
    housekeeping.do_everything()
    days.admin("setopt expinterval 2")
    assert days.server.lines.ids.count("ANR0811I") == 1
    housekeeping.do_everything()
    days.server.lines.wait_for("ANR0812I", 2)


def test_how_much_it_says_may_be_set_for_all_runs(days: Days) -> None:
    def one_goes(options: str = "") -> str:
        days.ann.store({b"file": b"one"})
        days.ann.store({b"file": b"two"})
        days.pass_days(31)
        return days.expire(options)

    assert "ANR4391I" in one_goes()
    assert "ANR2980I EXPQUIET is YES" in days.admin("setopt expquiet yes")
    assert "ANR4391I" not in one_goes() and "ANR4391I" in one_goes("quiet=no")
    days.ann.store({b"file": b"three"})
    days.pass_days(31)
    said = days.server.lines.ids.count("ANR0812I")
    days.admin("setopt expinterval 1")
    days.server.server.housekeeping.do_everything()
    days.server.lines.wait_for("ANR0812I", said + 1)
    assert days.server.lines.ids.count("ANR4391I") == 2
    status = days.admin("query status")
    assert re.search(r"Expiration Interval \(hours\): 1$", status, re.MULTILINE)
    assert re.search(r"Expiration Quiet: Yes$", status, re.MULTILINE)


def test_directories_may_be_left(days: Days) -> None:
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"two"})
    days.pass_days(31)
    with days.server.server.catalog.write() as tx:
        tx.run("UPDATE objects SET type = 2")
    assert "0 backup objects" in days.expire("skipdirs=yes preview=yes")
    assert "1 backup objects" in days.expire("preview=yes")


# --- holds ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(days: Days) -> Days:
    """Two files with two versions each; those of `letter` are held."""
    days.admin('define hold trial reason="the trial"')
    for content in (b"one", b"two"):
        days.ann.store({b"letter": content, b"other": content})
    assert "2 objects" in days.admin("hold object trial ann /home /let*")
    return days


def test_what_is_held_does_not_expire_until_it_is_released(held: Days) -> None:
    held.pass_days(9000)
    assert "1 held objects stay" in held.expire()
    assert held.versions() == [(b"letter", 2), (b"letter", 1), (b"other", 1)]
    assert [row["why"] for row in held.retention()] == ["held", "held", "active version"]
    assert held.retention()[0]["by"] == "TRIAL"
    assert "ANR4404W" in held.admin("release object trial *")
    assert "deleting 1 backup objects" in held.expire()


def test_held_versions_beyond_the_limits_stay_in_sight(held: Days) -> None:
    for content in (b"three", b"four"):
        held.ann.store({b"letter": content, b"other": content})
    assert [name for name, _ in held.versions()] == [b"letter"] * 4 + [b"other"] * 2
    held.find_gone(b"letter")
    assert [name for name, _ in held.versions()] == [b"letter"] * 4 + [b"other"] * 2
    held.admin("release object trial ann")
    assert "deleting 5 backup objects" in held.expire()


def test_a_client_cannot_delete_what_is_held(held: Days) -> None:
    answer = held.ann.delete([row.id for row in held.rows()])
    assert answer.expired == 2 and len(answer.held) == 2 and answer.holds == "TRIAL"
    assert [name for name, _ in held.versions()] == [b"letter", b"letter"]
    held.server.lines.wait_for("ANR4407W")


def test_a_file_space_with_held_objects_stays(held: Days) -> None:
    said = held.admin("delete filespace ann /home wait=yes", 4)
    assert "ANR4408W" in said and "TRIAL" in said and "ANR0807I" not in said
    assert [name for name, _ in held.versions()] == [b"letter", b"letter"]
    held.admin("release object trial ann")
    assert "ANR0807I" in held.admin("delete filespace ann /home wait=yes")
    assert held.count("hold_rules") == 0


def test_a_volume_with_held_data_is_not_discarded(held: Days) -> None:
    with held.server.server.catalog.read() as r:
        (name,) = (
            row[0]
            for row in r.all("SELECT DISTINCT v.name FROM volumes v JOIN placements p ON p.volume_id = v.id")
        )
    said = held.admin(f"delete volume {name} discarddata=yes wait=yes", 4)
    assert "ANR4409E" in said and "2 objects" in said
    assert len(held.versions()) == 4


def test_a_hold_outlives_a_new_name_and_its_last_rule_decides(held: Days) -> None:
    held.admin("hold object trial *")
    held.admin("release object trial ann /home /other")
    held.admin("rename filespace ann /home /house")
    text = held.server.admin("query hold", style="JSON").text
    assert [(row["name"], row["objects"]) for row in json.loads(text)] == [("TRIAL", 2)]
    assert "release ANN /house /other" in held.admin("query hold trial format=detailed")


def test_dates_and_types_narrow_a_hold(days: Days) -> None:
    days.admin("define hold early")
    days.ann.store({b"file": b"one"})
    days.ann.store({b"file": b"kept"}, kind=ARCHIVE)
    days.pass_days(3)
    days.ann.store({b"file": b"two"})
    assert "1 objects" in days.admin("hold object early ann type=backup todate=-1")
    days.admin("define hold late")
    assert "1 objects" in days.admin("hold object late ann fromdate=today")
    assert "2 objects" in days.admin("hold object late ann type=archive")


@pytest.mark.parametrize(
    ("command", "message_id", "return_code"),
    [
        ("hold object nothing ann", "ANR4420E", 11),
        ("hold object trial nobody", "ANR2034E", 11),
        ("hold object trial ann /nowhere", "ANR2034E", 11),
        ("hold object trial ann fromdate=today todate=-1", "ANR2106E", 3),
        ("hold object trial source", "ANR4406E", 3),
        ("define hold trial", "ANR4421E", 10),
        ("delete hold trial", "ANR4405E", 13),
        ("delete hold nothing", "ANR4420E", 11),
        ("expire inventory node=nobody", "ANR2034E", 11),
        ("expire inventory domain=nothing", "ANR2034E", 11),
        ("expire inventory duration=0", "ANR2020E", 3),
        ("expire inventory duration=1000000", "ANR2020E", 3),
        ("expire inventory resource=11", "ANR2020E", 3),
        ("setopt expinterval 337", "ANR2020E", 3),
        ("setopt expinterval -1", "ANR2020E", 3),
        ("query retention nobody", "ANR2146E", 11),
        ("query retention ann /nowhere", "ANR2034E", 11),
        ("signal object nobody", "ANR2146E", 11),
        ("signal object ann /nowhere", "ANR2034E", 11),
        ("update copygroup standard standard standard retextra=-1", "ANR2020E", 3),
        ("update copygroup standard standard standard retonly=10000", "ANR2020E", 3),
        ("update copygroup standard standard standard verexists=0", "ANR2020E", 3),
        ("update copygroup standard standard standard type=archive retver=30001", "ANR2020E", 3),
        ("update domain standard backretention=-1", "ANR2020E", 3),
    ],
)
def test_a_mistake_gets_a_message_and_does_nothing(
    held: Days, command: str, message_id: str, return_code: int
) -> None:
    held.admin(f"register node source {PASSWORD} type=server")
    assert message_id in held.admin(command, return_code)
    assert "ANR4401I" in held.admin("release object trial *") + held.admin("delete hold trial")
