"""Versions as the client sees them over the years: stored, superseded, deleted, back again, bound anew, of any moment.

The server's clock is ours; what the client shows and asks in local time is that clock's.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.client_command import Client, own_file_space
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.apps.server import Server
from farvault.base.clock import ManualClock
from farvault.base.log import Log

START = 1_800_000_000
HOUR = 3600
DAY = 24 * HOUR


class Years:
    """A server whose clock we move, a node of it, and a folder that is backed up."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.server = GridServer("DELHI", str(folder / "delhi"), change=self._take_clock).start()
        self.server.admin(f"register node ann {PASSWORD} backdelete=yes")
        self.policy("update copygroup standard standard standard verexists=nolimit verdeleted=nolimit")
        self.client = Client(self.server)
        self.tree = folder / "tree"
        self.tree.mkdir()
        self.targets = 0

    def _take_clock(self, server: Server) -> None:
        server.clock, server.log = self.clock, Log(self.clock)

    def policy(self, *commands: str) -> None:
        for command in (*commands, "activate policyset standard standard"):
            self.server.admin(command)

    def add_class(self, name: str, attributes: str = "") -> None:
        self.policy(
            f"define mgmtclass standard standard {name}",
            f"define copygroup standard standard {name} destination=backuppool {attributes}",
        )

    def write(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(0, self.clock.now_seconds() * 10**9))

    def backup(self, *options: str) -> dict[str, int]:
        outcome = self.client.succeed("incremental", f"{self.tree}/", "-subdir=yes", *options)
        return {
            word: outcome.count(word) for word in ("inspected", "backed up", "updated", "rebound", "expired")
        }

    def full_backup(self, *options: str) -> dict[str, int]:
        outcome = self.client.succeed("incremental", str(self.tree), *options)
        return {word: outcome.count(word) for word in ("backed up", "rebound", "expired")}

    def versions(self, name: str, *options: str) -> list[tuple[str, str]]:
        """(class, A or I) of each version, oldest first."""
        outcome = self.client.run("query", "backup", f"{self.tree}/{name}", "-inactive", *options)
        rows = [line.split() for line in outcome.output.splitlines() if line.endswith(f"{self.tree}/{name}")]
        return [(row[4], row[5]) for row in rows]

    def restored(self, *options: str, code: int = 0) -> dict[str, str]:
        """What a restore of everything into an empty folder gives."""
        self.targets += 1
        target = self.tree.parent / f"back{self.targets}"
        outcome = self.client.run(
            "restore", f"{self.tree}/*", f"{target}/", "-subdir=yes", "-preservepath=nobase", *options
        )
        assert outcome.code == code, outcome.output + outcome.errors
        return contents(target)

    def options_at(self, moment: int) -> tuple[str, str]:
        local = time.localtime(moment)
        return time.strftime("-pitdate=%m/%d/%Y", local), time.strftime("-pittime=%H:%M:%S", local)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def years(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Years]:
    own_file_space(tmp_path, monkeypatch)
    made = Years(tmp_path)
    yield made
    made.server.stop()


# --- points in time --------------------------------------------------------------------------------------------------


def test_every_moment_restores_as_it_was(years: Years) -> None:
    """Ten days of changes; afterwards each evening comes back, byte by byte, deleted files included."""
    evenings = []
    for day in range(10):
        years.write("always", f"day {day}")
        years.write(f"only/{day}", "x" * day)
        if day >= 2:
            (years.tree / "only" / f"{day - 2}").unlink()
        if day % 3 == 0:
            years.write("sometimes/deep/file", f"third day {day}")
        elif (years.tree / "sometimes").exists() and day % 3 == 2:
            (years.tree / "sometimes/deep/file").unlink()
        years.backup()
        evenings.append((years.clock.now_seconds(), contents(years.tree)))
        years.clock.advance(DAY)
    for moment, expected in evenings:
        assert years.restored(*years.options_at(moment)) == expected
        assert years.restored(*years.options_at(moment + DAY - 1)) == expected
    assert years.restored(*years.options_at(START - 1), code=12) == {}


def test_a_date_in_the_other_notation_means_the_same(years: Years) -> None:
    years.write("a", "one")
    years.backup()
    years.clock.advance(DAY)
    years.write("a", "two")
    years.backup()
    day = time.strftime("%Y-%m-%d", time.localtime(START))
    assert years.restored(f"-pitdate={day}") == {"a": "one"}
    shown = years.client.succeed("query", "backup", f"{years.tree}/a", f"-pitdate={day}").output
    assert shown.count(f"{years.tree}/a") == 1 and "  I  " in shown


def test_a_deleted_tree_comes_back_whole(years: Years) -> None:
    years.write("sub/deep/file", "kept")
    os.chmod(years.tree / "sub" / "deep", 0o750)
    years.backup()
    before = years.clock.now_seconds()
    years.clock.advance(HOUR)
    (years.tree / "sub/deep/file").unlink()
    (years.tree / "sub/deep").rmdir()
    (years.tree / "sub").rmdir()
    assert years.backup()["expired"] == 3
    assert years.restored(code=12) == {}
    years.client.succeed("restore", f"{years.tree}/", "-subdir=yes", *years.options_at(before))
    assert (years.tree / "sub/deep/file").read_text() == "kept"
    assert (years.tree / "sub/deep").stat().st_mode & 0o777 == 0o750


def test_an_interval_names_the_days_of_storing(years: Years) -> None:
    for day in range(3):
        years.write("a", f"day {day}")
        years.write(f"new{day}", f"day {day}")
        years.backup()
        years.clock.advance(DAY)
    second = time.strftime("%m/%d/%Y", time.localtime(START + DAY))
    assert years.restored(f"-fromdate={second}", f"-todate={second}") == {"new1": "day 1"}
    of_that_day = years.restored(f"-fromdate={second}", f"-todate={second}", "-inactive")
    assert of_that_day == {"a": "day 1", "new1": "day 1"}
    assert years.restored(f"-todate={second}", "-latest") == {"a": "day 1", "new0": "day 0", "new1": "day 1"}
    assert len(years.versions("a", f"-fromdate={second}")) == 2


# --- the life of a file ----------------------------------------------------------------------------------------------


def test_a_file_that_comes_back_is_a_new_version_of_the_old_one(years: Years) -> None:
    for text in ("one", "two", "three"):
        years.write("a", text)
        years.backup()
        years.clock.advance(HOUR)
    assert years.versions("a") == [("STANDARD", "I"), ("STANDARD", "I"), ("STANDARD", "A")]
    (years.tree / "a").unlink()
    assert years.backup()["expired"] == 1
    assert [state for _, state in years.versions("a")] == ["I", "I", "I"]
    years.clock.advance(HOUR)
    years.write("a", "back")
    years.backup()
    assert [state for _, state in years.versions("a")] == ["I", "I", "I", "A"]
    assert years.restored("-inactive") == {"a": "back"}


def test_latest_brings_back_what_is_gone_and_inactive_prefers_what_is_active(years: Years) -> None:
    years.write("gone", "last")
    years.write("here", "old")
    years.backup()
    years.clock.advance(HOUR)
    (years.tree / "gone").unlink()
    years.write("here", "new")
    years.backup()
    assert years.restored() == {"here": "new"}
    assert years.restored("-latest") == years.restored("-inactive") == {"gone": "last", "here": "new"}


def test_expire_makes_versions_inactive_and_the_next_backup_sends_them_anew(years: Years) -> None:
    years.write("a", "still here")
    years.write("b", "not named")
    years.backup()
    years.clock.advance(HOUR)
    outcome = years.client.succeed("expire", f"{years.tree}/a*", "-noprompt")
    assert (
        outcome.count("expired") == 1 and f"Expiring-->                    0 {years.tree}/a" in outcome.output
    )
    assert years.restored() == {"b": "not named"}
    assert (years.tree / "a").exists()
    assert years.backup()["backed up"] == 1
    assert [state for _, state in years.versions("a")] == ["I", "A"]


# --- classes ---------------------------------------------------------------------------------------------------------


def test_another_class_takes_all_versions_along(years: Years) -> None:
    years.add_class("longer")
    for text in ("one", "two"):
        years.write("a", text)
        years.backup()
        years.clock.advance(HOUR)
    rules = years.tree.parent / "rules"
    rules.write_text(f"include {years.tree}/a LONGER\n")
    counts = years.backup(f"-inclexcl={rules}")
    assert (counts["rebound"], counts["updated"]) == (1, 0), "one file, whatever the number of its versions"
    assert years.versions("a") == [("LONGER", "I"), ("LONGER", "A")]


def test_a_new_version_in_another_class_takes_the_older_ones_along(years: Years) -> None:
    years.add_class("longer")
    years.write("a", "one")
    years.write("gone", "one")
    years.backup()
    (years.tree / "gone").unlink()
    years.backup()
    years.clock.advance(HOUR)
    years.write("a", "two")
    years.write("gone", "back")
    rules = years.tree.parent / "rules"
    rules.write_text(f"include {years.tree}/* LONGER\n")
    years.client.succeed("selective", f"{years.tree}/*", f"-inclexcl={rules}")
    assert years.versions("a") == years.versions("gone") == [("LONGER", "I"), ("LONGER", "A")]


def test_folders_go_to_the_class_that_keeps_longest_and_move_when_that_changes(years: Years) -> None:
    years.write("sub/a", "a")
    years.backup()
    assert years.versions("sub") == [("STANDARD", "A")]
    years.add_class("forever", "retonly=nolimit")
    assert years.backup()["rebound"] >= 2  # the folder and the one it is in
    assert years.versions("sub") == [("FOREVER", "A")]
    assert years.versions("sub/a") == [("STANDARD", "A")]
    years.add_class("chosen")
    assert years.backup("-dirmc=chosen")["rebound"] >= 2
    assert years.versions("sub") == [("CHOSEN", "A")]


def test_a_class_that_is_not_there_is_said_once_for_a_list_and_refused_on_the_command_line(
    years: Years,
) -> None:
    years.write("a", "a")
    years.write("b", "b")
    rules = years.tree.parent / "rules"
    rules.write_text(f"include {years.tree}/* NOWHERE\n")
    outcome = years.client.run("incremental", f"{years.tree}/", f"-inclexcl={rules}")
    assert outcome.code == 8 and outcome.errors.count("ANS9807W") == 1
    outcome = years.client.run("archive", f"{years.tree}/a", "-archmc=nowhere")
    assert outcome.code == 12 and "ANS9816E" in outcome.errors
    assert years.client.run("query", "archive", f"{years.tree}/*").code == 8, "nothing was archived"


def test_where_the_default_class_takes_no_backups_other_classes_do(years: Years) -> None:
    """Files bound to it are counted as failed, the others go on: stored, rebound, gone, expired by command."""
    years.write("plain", "one")
    for name in ("log/kept", "log/gone", "log/given up"):
        years.write(name, "one")
    years.backup()
    years.add_class("logs")
    years.policy("define mgmtclass standard standard none", "assign defmgmtclass standard standard none")
    rules = years.tree.parent / "rules"
    rules.write_text(f"include {years.tree}/log/* LOGS\n")
    years.clock.advance(HOUR)
    years.write("log/kept", "two!")
    (years.tree / "log/gone").unlink()
    outcome = years.client.run("incremental", f"{years.tree}/", "-subdir=yes", f"-inclexcl={rules}")
    assert outcome.code == 12 and outcome.errors.count("ANS9803E") == 1
    assert [outcome.count(word) for word in ("backed up", "expired", "failed")] == [
        2,
        1,
        1,
    ]  # a file, its folder
    assert years.versions("log/given up") == [("LOGS", "A")]
    assert years.versions("log/kept") == [("LOGS", "I"), ("LOGS", "A")]
    assert years.versions("plain") == [("STANDARD", "A")], "what cannot be stored anew stays as it is"
    assert years.client.succeed("expire", f"{years.tree}/log/given up", "-noprompt").count("expired") == 1
    for command in ("selective", "preview backup"):
        ran = years.client.run(*command.split(), f"{years.tree}/log/kept", f"-inclexcl={rules}", "-console")
        assert "ANS9802E" not in ran.errors


def test_where_no_class_takes_backups_nothing_is_begun(years: Years) -> None:
    years.write("a", "one")
    years.backup()
    years.policy("delete copygroup standard standard standard type=backup")
    (years.tree / "a").unlink()
    outcome = years.client.run("incremental", f"{years.tree}/", "-subdir=yes")
    assert outcome.code == 12 and "ANS9802E" in outcome.errors
    assert years.versions("a") == [("STANDARD", "A")]
    assert years.client.run("expire", f"{years.tree}/a", "-noprompt").code == 12


def test_archmc_chooses_the_class_of_an_archive(years: Years) -> None:
    years.policy(
        "define mgmtclass standard standard keep",
        "define copygroup standard standard keep type=archive destination=archivepool retver=nolimit",
    )
    years.write("a", "a")
    years.client.succeed("archive", f"{years.tree}/a", "-archmc=keep")
    shown = years.server.admin("query retention ann * *", allow=(0, 3, 11)).text
    assert "KEEP" in shown


def test_query_archive_says_when_each_copy_goes(years: Years) -> None:
    """The day after which expiration takes it, as policy says today: by its class, the default class, or the grace."""
    name = "copygroup standard standard"
    years.policy(
        "define mgmtclass standard standard forever",
        f"define {name} forever type=archive destination=archivepool retver=nolimit",
        "define mgmtclass standard standard event",
        f"define {name} event type=archive destination=archivepool retver=5 retinit=event",
        "define mgmtclass standard standard passing",
        f"define {name} passing type=archive destination=archivepool retver=3",
        f"update {name} standard type=archive retver=10",
    )
    years.write("a", "a")
    for each in ("standard", "forever", "event", "passing"):
        years.client.succeed("archive", f"{years.tree}/a", f"-archmc={each}", f"-description={each}")

    def shown() -> dict[str, str]:
        lines = years.client.succeed("query", "archive", f"{years.tree}/a").output.splitlines()
        return {line.split()[-1]: line.split()[-2] for line in lines if f"{years.tree}/a " in line}

    def day(days: int) -> str:
        return time.strftime("%m/%d/%Y", time.localtime(START + days * DAY))

    expected = {"standard": day(10), "forever": "Never", "event": "Event", "passing": day(3)}
    assert shown() == expected
    years.policy("delete mgmtclass standard standard passing")
    assert shown() == {**expected, "passing": day(10)}
    years.policy(f"delete {name} standard type=archive")
    assert shown() == {**expected, "standard": day(365), "passing": day(365)}
    years.server.admin("define domain empty")
    years.server.admin("update node ann domain=empty")
    assert set(shown().values()) == {"Never"}


# --- what the copy group says ----------------------------------------------------------------------------------------


def test_absolute_sends_what_is_unchanged(years: Years) -> None:
    years.write("a", "a")
    years.backup()
    assert years.backup()["backed up"] == 0
    assert years.backup("-absolute")["backed up"] == 2  # the file and its folder
    years.policy("update copygroup standard standard standard mode=absolute")
    assert years.backup()["backed up"] == 2


def test_frequency_counts_by_the_servers_clock_in_a_full_incremental_only(
    years: Years, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = years.tree.parent / "full.opt"
    options.write_text(f"VIRTUALMOUNTPOINT {years.tree}\n")
    years.policy("update copygroup standard standard standard frequency=3")
    full = f"-optfile={options}"
    years.write("a", "one")
    assert years.full_backup(full)["backed up"] == 1
    years.clock.advance(2 * DAY)
    years.write("a", "two")
    assert years.full_backup(full)["backed up"] == 0, "too early"
    years.clock.advance(DAY)
    assert years.full_backup(full)["backed up"] == 1
    years.clock.advance(DAY)
    years.write("a", "three")
    outcome = years.client.succeed("incremental", f"{years.tree}/a", full)
    assert outcome.count("backed up") == 1, "a partial one does not count days"


def test_by_date_sends_what_was_modified_since_and_expires_nothing(years: Years) -> None:
    options = years.tree.parent / "full.opt"
    options.write_text(f"VIRTUALMOUNTPOINT {years.tree}\n")
    full = f"-optfile={options}"
    for name in ("changed", "gone", "same"):
        years.write(name, "first")
    years.clock.advance(HOUR)
    assert years.full_backup(full, "-incrbydate")["backed up"] == 3, "never backed up: everything"
    years.clock.advance(DAY)
    years.write("changed", "second")
    (years.tree / "gone").unlink()
    years.write("old", "moved here with an old date")
    os.utime(years.tree / "old", ns=(0, (START - DAY) * 10**9))
    years.clock.advance(HOUR)
    assert years.full_backup(full, "-incrbydate") == {"backed up": 1, "rebound": 0, "expired": 0}
    years.clock.advance(DAY)
    assert years.full_backup(full, "-incrbydate")["backed up"] == 0, "the date has moved"
    assert years.full_backup(full) == {"backed up": 1, "rebound": 0, "expired": 1}
    assert years.client.run("incremental", "-incrbydate", "-absolute").code == 12


# --- deleting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deltype", "left"),
    [("active", ["I", "I"]), ("inactive", ["A"]), ("all", [])],
    ids=lambda each: str(each),
)
def test_delete_backup_takes_what_deltype_says(years: Years, deltype: str, left: list[str]) -> None:
    for text in ("one", "two", "three"):
        years.write("a", text)
        years.write("other", text)
        years.backup()
        years.clock.advance(HOUR)
    outcome = years.client.succeed("delete", "backup", f"{years.tree}/a", f"-deltype={deltype}", "-noprompt")
    assert outcome.count("deleted") == 3 - len(left)
    assert [state for _, state in years.versions("a")] == left
    assert len(years.versions("other")) == 3
    assert years.restored()["other"] == "three"


def test_delete_needs_the_right_and_an_answer(years: Years, monkeypatch: pytest.MonkeyPatch) -> None:
    years.write("a", "a")
    years.backup()
    years.client.succeed("archive", f"{years.tree}/a", "-description=first")
    command = ("delete", "backup", f"{years.tree}/a")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    unasked = years.client.run(*command)
    assert unasked.code == 12 and "ANS9817E" in unasked.errors
    years.server.admin("update node ann backdelete=no archdelete=no")
    refused = years.client.run(*command, "-noprompt")
    assert refused.code == 12 and "ANS1126E" in refused.errors and "BACKDELETE=YES" not in refused.output
    assert years.client.run("delete", "archive", f"{years.tree}/a", "-noprompt").code == 12
    space = years.client.run("delete", "filespace", str(years.tree.parent), "-noprompt")
    assert space.code == 12 and "ANR0563W" in space.errors
    assert years.versions("a") == [("STANDARD", "A")]


def test_delete_archive_chooses_by_description(years: Years) -> None:
    years.write("a", "a")
    for description in ("first one", "second one"):
        years.client.succeed("archive", f"{years.tree}/a", f"-description={description}")
    outcome = years.client.succeed("delete", "archive", f"{years.tree}/a", "-description=first*", "-noprompt")
    assert outcome.count("deleted") == 1
    listed = years.client.succeed("query", "archive", f"{years.tree}/a").output
    assert "second one" in listed and "first one" not in listed


def test_deleting_what_is_not_there_is_an_error(years: Years) -> None:
    years.write("a", "a")
    years.backup()
    outcome = years.client.run("delete", "backup", f"{years.tree}/b", "-noprompt")
    assert outcome.code == 12 and "ANS1302E" in outcome.errors


def test_a_file_space_goes_by_name_or_number(years: Years) -> None:
    years.write("a", "a")
    years.backup()
    years.client.succeed("archive", f"{years.tree}/a")
    assert years.client.run("delete", "filespace", "/nowhere", "-noprompt").code == 12
    outcome = years.client.succeed("delete", "filespace", "1", "-noprompt")
    assert f"File space {years.tree.parent} is deleted." in outcome.output
    assert years.client.run("query", "filespace").code == 8
    assert years.backup()["backed up"] == 2, "it begins anew"


def test_what_is_held_stays_and_is_named(years: Years) -> None:
    years.write("held", "a")
    years.write("free", "a")
    years.backup()
    years.server.admin("define hold lawsuit")
    years.server.admin(f"hold object lawsuit ann {years.tree.parent} /tree/held")
    outcome = years.client.run("delete", "backup", f"{years.tree}/*", "-noprompt")
    assert outcome.code == 8
    assert f"ANS9818W '{years.tree}/held' is held (LAWSUIT) and stays." in outcome.errors
    assert (outcome.count("deleted"), outcome.count("failed")) == (1, 1)
    assert years.restored() == {"held": "a"}
    space = years.client.run("delete", "filespace", str(years.tree.parent), "-noprompt")
    assert space.code == 8 and "ANS9819W" in space.errors
    assert years.restored() == {"held": "a"}


# --- looking ---------------------------------------------------------------------------------------------------------


def test_query_mgmtclass_shows_the_active_set(years: Years) -> None:
    years.add_class("longer", "verexists=7 retextra=nolimit serialization=dynamic frequency=2")
    years.server.admin("copy policyset standard standard autumn")
    years.server.admin("activate policyset standard autumn")
    shown = years.client.succeed("query", "mgmtclass").output
    assert "Activated Policy Set Name : AUTUMN" in shown, "its own name, not that of the copy"
    assert "Default Mgmt Class Name   : STANDARD" in shown and "MgmtClass Name            : LONGER" in shown
    detail = years.client.succeed("query", "mgmtclass", "-detail").output
    for line in (
        "Backup: Versions Exist    : 7",
        "Backup: Retain Extra      : No limit",
        "Backup: Serialization     : DYNAMIC",
        "Backup: Frequency         : 2 day(s)",
        "Archive: Retain Version   : 365 day(s)",
    ):
        assert line in detail
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(START)) in shown


def test_query_inclexcl_shows_the_order_and_judges_a_path(years: Years) -> None:
    rules = years.tree.parent / "rules"
    rules.write_text(
        "exclude /.../*.o\ninclude /.../keep.o LONGER\nexclude.dir /skip\nexclude.archive /x/*\n"
    )
    option = f"-inclexcl={rules}"
    lines = years.client.succeed("query", "inclexcl", option, "-detail").output.splitlines()
    shown = [line.split()[:3] for line in lines[3:]]
    assert shown == [
        ["Excl", "Directory", "/skip"],
        ["Excl", "Archive", "/x/*"],
        ["Incl", "All", "/.../keep.o"],
        ["Excl", "All", "/.../*.o"],
    ]
    judged = years.client.succeed("query", "inclexcl", "/a/keep.o", option).output
    assert "Backup  : included, class LONGER, by INCLUDE /.../keep.o LONGER" in judged
    below = years.client.succeed("query", "inclexcl", "/skip/deep/file", option).output
    assert below.count("excluded, by EXCLUDE.DIR /skip") == 2
    assert years.client.run("query", "inclexcl").code == 8


def test_preview_tells_what_would_be_sent_and_sends_nothing(years: Years) -> None:
    years.add_class("longer")
    for name in ("a.c", "a.o", "skip/inside", "sub/b.c"):
        years.write(name, name)
    rules = years.tree.parent / "rules"
    rules.write_text(f"exclude /.../*.o\nexclude.dir {years.tree}/skip\ninclude {years.tree}/sub/* LONGER\n")
    report = years.tree.parent / "report.txt"
    years.client.succeed("preview", "backup", f"{years.tree}/", f"-inclexcl={rules}", f"-filename={report}")
    rows = {line.split("\t")[4]: line.split("\t") for line in report.read_text().splitlines()}
    assert rows[f"{years.tree}/a.c"][:4] == ["Included", "File", "3", "STANDARD"]
    assert rows[f"{years.tree}/sub/b.c"][3] == "LONGER"
    assert rows[f"{years.tree}/a.o"][0] == "Excluded" and "EXCLUDE /.../*.o" in rows[f"{years.tree}/a.o"][5]
    assert rows[f"{years.tree}/skip"][0] == "Excluded"
    assert f"{years.tree}/skip/inside" not in rows
    shown = years.client.succeed("preview", "archive", f"{years.tree}/", "-console", "-traverse=no").output
    assert f"{years.tree}/a.o" in shown and f"{years.tree}/sub/b.c" not in shown
    assert years.client.run("query", "filespace").code == 8, "not even a file space was made"


def test_a_file_named_though_it_is_excluded_is_said(years: Years) -> None:
    years.write("a.o", "x")
    rules = years.tree.parent / "rules"
    rules.write_text("exclude /.../*.o\n")
    outcome = years.client.run("selective", f"{years.tree}/a.o", f"-inclexcl={rules}")
    assert outcome.code == 4 and "ANS1115W" in outcome.errors
