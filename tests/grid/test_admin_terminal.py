"""`farvault admin` against a running server: batch, scripts, macros, redirection, pins, questions, exit codes."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from tests.grid.grid_server import GridServer
from tests.patience import PATIENCE_SECONDS

from farvault.apps.admin_prompt import CommandWords, read_commands
from farvault.apps.admin_terminal import main


@pytest.fixture
def delhi(
    make_server: Callable[[str], GridServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GridServer:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return make_server("DELHI")


Run = Callable[..., tuple[int, str, str]]


class Person(io.StringIO):
    """Input that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(delhi: GridServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("query node", typed="...")`: as the local administrator; (exit code, output, errors)."""

    def run(
        *arguments: str, typed: str = "", local: bool = True, terminal: bool = False
    ) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", Person(typed) if terminal else io.StringIO(typed))
        capsys.readouterr()
        code = main([f"-instance={delhi.folder}", *arguments] if local else arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


class TestBatch:
    def test_the_skeleton_of_the_output(self, run: Run) -> None:
        code, out, _ = run("query domain")
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == "Farvault"
        assert lines[3] == "Session established with server DELHI"
        assert "ANS8000I Server command: 'query domain'" in lines
        assert lines[-1] == "ANS8002I Highest return code was 0."
        assert "ANS8001I" not in out

    def test_a_failed_command_says_its_code_and_exits_with_it(self, run: Run) -> None:
        code, out, _ = run("query node nobody")
        assert code == 11
        assert "ANR2034E" in out and "ANS8001I Return code 11." in out
        assert out.splitlines()[-1] == "ANS8002I Highest return code was 11."

    def test_the_echo_of_a_command_hides_its_passwords(self, run: Run) -> None:
        _, out, err = run("register node ann hush-hush-1 contact=x")
        assert "ANS8000I Server command: 'register node ann ?***? contact=x'" in out
        assert "hush" not in out + err
        _, out, err = run(
            typed="define server t password=hush-hush-2 hla=h lla=1\nupdate admin admin 'hush\n"
        )
        assert "ANR1667I" in out and "hush" not in out + err

    @pytest.mark.parametrize("typed", ["ANR2034E", "2034"])
    def test_help_tells_what_a_message_means_and_what_to_do(self, run: Run, typed: str) -> None:
        code, out, _ = run("-dataonly=yes", f"help {typed}")
        assert code == 0
        assert out.startswith("ANR2034E ") and "User response:" in out
        code, out, _ = run("help ANR9998E")
        assert code == 11 and "ANR4973E There is no message ANR9998E." in out

    def test_data_only_is_only_data(self, run: Run) -> None:
        code, out, _ = run("-dataonly=yes", "-comma", "query domain")
        assert (code, out) == (0, "STANDARD,STANDARD,STANDARD,0,Installed default policy domain\n")

    def test_json_is_json_and_messages_stand_aside(self, run: Run) -> None:
        code, out, err = run("-json", "query node")
        assert code == 11
        assert json.loads(out) == []
        assert "ANR2034E" in err

    def test_words_need_no_quotes(self, run: Run) -> None:
        assert run("register", "node", "ann", "secret1", "contact=room 5")[0] == 0
        assert "room 5" in run("-displaymode=list", "query node ann f=d")[1]

    def test_a_copy_goes_to_the_outfile(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "out.txt"
        _, out, _ = run(f"-outfile={path}", "-quiet", "query domain")
        assert out == ""
        assert "STANDARD" in path.read_text()

    def test_output_can_be_redirected_and_appended(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "out.txt"
        assert "STANDARD" not in run("-dataonly=yes", f"query domain > {path}")[1]
        first = path.read_text()
        run("-dataonly=yes", f"query domain >> {path}")
        assert path.read_text() == 2 * first and "STANDARD" in first

    def test_the_width_follows_columns(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        assert "Policy Domain Name: STANDARD" in run("-dataonly=yes", "query domain")[1]

    def test_no_terminal_means_no(self, run: Run) -> None:
        code, _, err = run("delete domain standard")
        assert code == 4
        assert "ANR1504W" in err and "ANS8020E" in err
        assert run("-noconfirm", "delete domain standard")[0] == 0

    @pytest.mark.parametrize(
        ("answers", "code"),
        [("n\n", 4), ("\n", 4), ("", 4), ("maybe\nno\n", 4), ("perhaps\nYES\n", 0)],
    )
    def test_a_question_is_asked_until_the_answer_is_yes_or_no(
        self, run: Run, answers: str, code: int
    ) -> None:
        given, _, err = run("delete domain standard", typed=answers, terminal=True)
        assert given == code
        assert ("ANS8021E" in err) == bool(code)
        assert run("-dataonly=yes", "query domain")[0] == (0 if code else 11)

    def test_control_characters_never_reach_the_screen(self, run: Run, delhi: GridServer) -> None:
        delhi.server.log.say("ANR0902W", path="\x1b[2J\x07evil", mode=0)
        delhi.restart()  # whatever is queued for the activity log is written before a server stops
        out = run("query actlog", "msgno=902", "begindate=today-1")[1] + run("help \x1bx")[1]
        assert "evil" in out
        assert "\x1b" not in out and "\x07" not in out


class TestScripts:
    def test_commands_come_from_standard_input(self, run: Run) -> None:
        script = """
/* a comment of
   two lines */
register node ann secret1
define stgpool targetpool filedev
  maxscratch=20
query node -
  ann
query node nobody
quit
register node never secret1
"""
        code, out, _ = run(typed=script)
        assert code == 11
        assert out.count("ANS8000I") == 4
        assert "ANR2200I" in out
        assert "NEVER" not in out

    def test_a_macro_gets_values_and_stops_at_a_failure(self, run: Run, tmp_path: Path) -> None:
        macro = tmp_path / "nodes.mac"
        macro.write_text("register node %1 %2\nregister node %1 %2\nregister node after %2\n")
        code, _, err = run("-dataonly=yes", f"macro {macro} ann secret1")
        assert code == 10
        assert "ANS8017W" in err
        assert run("query node after")[0] == 11
        assert run("-itemcommit", f"macro {macro} bob secret1")[0] == 10
        assert run("query node after")[0] == 0

    def test_macros_that_call_each_other_end(self, run: Run, tmp_path: Path) -> None:
        macro = tmp_path / "ring.mac"
        macro.write_text(f"macro {macro}\n")
        code, _, err = run(f"macro {macro}")
        assert code == 3 and "ANS8016E" in err

    def test_commit_and_rollback_are_told_the_truth(self, run: Run) -> None:
        code, out, err = run(typed="commit\nrollback\n")
        assert code == 4 and "ANS8018I" in out and "ANS8019E" in err

    def test_a_macro_that_is_not_there(self, run: Run) -> None:
        code, _, err = run("macro /nowhere/x")
        assert code == 3 and "ANS8013E" in err


class TestSignOn:
    def test_the_first_contact_is_pinned_with_a_notice(
        self, run: Run, delhi: GridServer, tmp_path: Path
    ) -> None:
        delhi.admin("register admin ann secret1")
        where = (f"-se=127.0.0.1:{delhi.port}", "-id=ann", "-pa=secret1")
        _, _, err = run(*where, "query status", local=False)
        assert "ANS8014I" in err
        assert delhi.server.fingerprint in (tmp_path / "config/farvault/known_servers").read_text()
        assert "ANS8014I" not in run(*where, "query status", local=False)[2]

    def test_another_certificate_at_a_known_address_is_refused(
        self, run: Run, delhi: GridServer, tmp_path: Path
    ) -> None:
        delhi.admin("register admin ann secret1")
        pins = tmp_path / "config/farvault/known_servers"
        pins.parent.mkdir(parents=True)
        pins.write_text(f"127.0.0.1:{delhi.port} " + ":".join(["AA"] * 32) + "\n")
        where = (f"-se=127.0.0.1:{delhi.port}", "-id=ann", "-pa=secret1")
        code, _, err = run(*where, "query status", local=False)
        assert code == 9 and "ANS8023E" in err and "AA:AA" in err

    def test_a_given_fingerprint_must_fit(self, run: Run, delhi: GridServer) -> None:
        delhi.admin("register admin ann secret1")
        where = (f"-se=127.0.0.1:{delhi.port}", "-id=ann", "-pa=secret1")
        assert run(*where, "-fingerprint=" + "AB" * 32, "query status", local=False)[0] == 9
        assert run(*where, f"-fingerprint={delhi.server.fingerprint}", "query status", local=False)[0] == 0

    def test_a_wrong_password_has_its_own_message(self, run: Run, delhi: GridServer) -> None:
        code, _, err = run(f"-se=127.0.0.1:{delhi.port}", "-id=admin", "-pa=x", "q st", local=False)
        assert code == 9 and "ANR0424W" in err

    def test_the_password_may_come_from_a_file(self, run: Run, delhi: GridServer, tmp_path: Path) -> None:
        delhi.admin("register admin ann 'se cret'")
        (tmp_path / "pw").write_text("se cret\nignored\n")
        where = (f"-se=127.0.0.1:{delhi.port}", "-id=ann", f"-passwordfile={tmp_path / 'pw'}")
        assert run(*where, "query status", local=False)[0] == 0

    def test_without_a_terminal_nobody_is_asked(self, run: Run, delhi: GridServer) -> None:
        code, _, err = run(f"-se=127.0.0.1:{delhi.port}", "query status", local=False)
        assert code == 3 and "ANS8012E" in err

    def test_a_server_that_does_not_run(self, run: Run, delhi: GridServer) -> None:
        delhi.stop()
        code, _, err = run("query status")
        assert code == 14 and "ANS8023E" in err

    def test_a_folder_without_an_instance_is_named(self, run: Run, tmp_path: Path) -> None:
        code, _, err = run(f"-instance={tmp_path}/nothing", "query status", local=False)
        assert code == 11 and "ANR0994E" in err

    def test_an_unknown_option_is_a_syntax_error(self, run: Run) -> None:
        assert run("-frobnicate", "query status", local=False)[0] == 3


def test_the_console_is_shown_until_the_server_ends(run: Run, delhi: GridServer) -> None:
    found: list[tuple[int, str, str]] = []
    watcher = threading.Thread(target=lambda: found.append(run("-consolemode", "-dataonly=yes")))
    watcher.start()
    delhi.lines.wait_for("ANR0407I")
    while not any(entry.bytes_sent > 2000 for entry in delhi.server.session_table.list()):
        delhi.server.log.say("ANR0902W", path="/somewhere", mode=0)
    delhi.stop()
    watcher.join(PATIENCE_SECONDS)
    (_, out, _) = found[0]
    assert "ANR0902W" in out


@pytest.fixture
def typed() -> Iterator[Callable[[str], list[str]]]:
    """What `read_commands` makes of keys."""

    def type_keys(keys: str) -> list[str]:
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text(keys)
            return list(read_commands(lambda: "farvault: DELHI>"))

    yield type_keys


def test_the_prompt_joins_continued_lines_and_ends_with_the_input(typed: Callable[[str], list[str]]) -> None:
    assert typed("query stgpool\rquery -\rnode\r\x04") == ["query stgpool", "query -\nnode"]


def test_a_pasted_block_is_several_commands(typed: Callable[[str], list[str]]) -> None:
    block = "\x1b[200~define stgpool a b\n  maxscratch=2\nquery node\x1b[201~\r\x04"
    assert typed(block) == ["define stgpool a b\n  maxscratch=2", "query node"]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("que", {"query"}),
        ("query stg", {"stgpool"}),
        ("q vol", {"volhistory", "volume"}),
        ("define stgpool a b rec", {"reclaim=", "reclaimprocess=", "reclaimstgpool="}),
        ("zz", set()),
    ],
)
def test_the_prompt_offers_the_words_that_may_follow(text: str, offered: set[str]) -> None:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    found = CommandWords().get_completions(Document(text), CompleteEvent())
    assert {completion.text for completion in found} >= offered
    assert offered or not list(found)
