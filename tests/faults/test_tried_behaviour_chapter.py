"""Every command of the chapter runs as it is printed there: line ends, blanks and all."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.faults.two_servers import Pair, back_up_some_files, farvault_admin

NOT_YET = "ANR2990E"

BACK_UP_A_STORAGE_POOL = """\
define stgpool targetcopypool targetclass pooltype=copy
  maxscratch=20
backup stgpool tapepool targetcopypool 
"""  # noqa: W291 - the blank at the end stands in the chapter
STORE_CLIENT_DATA = """\
define stgpool targetpool targetclass maxscratch=20
  reclaim=100
"""
MIGRATE_DATA = """\
define stgpool tapepool tapeclass nextstgpool=targetpool
  maxscratch=20
"""


@pytest.fixture
def chapter(pair: Pair) -> Pair:
    """The two servers before the chapter's examples: the pools that it defines are not there yet."""
    for command in (
        "update copygroup standard standard standard type=backup destination=backuppool",
        "activate policyset standard standard",
        "delete stgpool targetcopypool",
        "delete stgpool tapepool",
    ):
        pair.delhi.admin(command)
    return pair


def test_the_examples_run_one_after_the_other_from_a_macro(chapter: Pair, tmp_path: Path) -> None:
    macro = tmp_path / "chapter.mac"
    macro.write_text(STORE_CLIENT_DATA + MIGRATE_DATA + BACK_UP_A_STORAGE_POOL)
    code, output = farvault_admin(chapter.delhi.folder, f"macro {macro}")
    assert code == 0, output
    pools = chapter.delhi.admin("query stgpool f=d").text
    assert {"TARGETCOPYPOOL", "TAPEPOOL", "TARGETPOOL"} <= set(pools.split())
    assert "completion state SUCCESS" in str(chapter.delhi.lines.wait_for("ANR0985I"))


def test_the_examples_run_from_standard_input(chapter: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(STORE_CLIENT_DATA + MIGRATE_DATA + BACK_UP_A_STORAGE_POOL))
    code, output = farvault_admin(chapter.delhi.folder)
    assert code == 0, output
    assert output.count("ANS8000I") == 4


@pytest.mark.parametrize("continued", ["\n  ", " -\n", "\\\n  ", " "])
def test_an_example_of_two_lines_is_one_command_on_the_command_line(chapter: Pair, continued: str) -> None:
    typed = STORE_CLIENT_DATA.rstrip().replace("\n  ", continued)
    code, output = farvault_admin(chapter.delhi.folder, typed)
    assert code == 0, output
    detailed = chapter.delhi.admin("query stgpool targetpool f=d").text
    assert "Reclamation Threshold: 100" in detailed
    assert "Maximum Scratch Volumes Allowed: 20" in detailed


def test_what_is_backed_up_as_printed_arrives(chapter: Pair, tmp_path: Path) -> None:
    delhi = chapter.delhi
    code, output = farvault_admin(delhi.folder, "define stgpool tapepool tapeclass maxscratch=20")
    assert code == 0, output
    delhi.admin("update copygroup standard standard standard type=backup destination=tapepool")
    delhi.admin("activate policyset standard standard")
    back_up_some_files(delhi, tmp_path / "tree")
    for typed in BACK_UP_A_STORAGE_POOL.split("\nb"):
        code, output = farvault_admin(delhi.folder, typed if typed[0] == "d" else f"b{typed}")
        assert code == 0, output
    delhi.lines.wait_for("ANR0986I")
    assert "ADSM.SERVER" in chapter.tokyo.admin("query filespace delhi").text


def test_the_database_is_backed_up_as_printed(chapter: Pair) -> None:
    """The chapter's incremental backup follows a full one; its trigger has an effect in LOGMODE ROLLFORWARD."""
    folder = chapter.delhi.folder
    incremental = "backup db type=incremental devclass=targetclass"
    code, output = farvault_admin(folder, incremental)
    assert code == 14 and "ANR2361E" in output
    for typed in (
        "set logmode rollforward",
        "backup db type=full devclass=targetclass wait=yes",
        f"{incremental} wait=yes",
        "define dbbackuptrigger devclass=targetclass logfullpct=60",
    ):
        code, output = farvault_admin(folder, typed)
        assert code == 0, output
    assert "ANR2282I" in output
    assert "BACKUPINCR" in chapter.delhi.admin("query volhistory type=dbbackup").text


def test_volumes_and_archive_files_are_reconciled_as_printed(chapter: Pair) -> None:
    code, output = farvault_admin(chapter.delhi.folder, "reconcile volumes targetclass fix=yes")
    assert code == 0 and "ANS8003I" in output, output
    chapter.delhi.lines.wait_for("ANR4885I")


@pytest.mark.parametrize(
    "command",
    [
        "export server devclass=targetclass",
        "import server devclass=targetclass",
    ],
)
def test_what_comes_later_is_understood_as_printed_and_refused_clearly(chapter: Pair, command: str) -> None:
    code, output = farvault_admin(chapter.delhi.folder, command)
    assert NOT_YET in output and code == 14, output
    code, output = farvault_admin(chapter.delhi.folder, command + " nonsense=1")
    assert "ANR2021E" in output and code == 3, "its words are read before it is refused"
