"""`farvault` starts fast: a subcommand loads its own modules and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from farvault.apps.cli import main


def _modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_program_itself_loads_nothing_of_the_server() -> None:
    loaded = _modules_after("import farvault.apps.cli")
    assert not {
        name for name in loaded if name.startswith("farvault.") and not name.startswith("farvault.apps")
    }
    assert "cryptography" not in loaded
    assert "apsw" not in loaded


def test_the_client_does_not_load_the_server() -> None:
    loaded = _modules_after("from farvault.apps.cli import main; main.get_command(None, 'client')")
    assert not loaded & {
        "apsw",
        "farvault.apps.server",
        "farvault.catalog.catalog",
        "farvault.storage.storage",
    }


def test_the_administrative_terminal_does_not_load_the_server_to_send_a_command() -> None:
    loaded = _modules_after("from farvault.apps.cli import main; main.get_command(None, 'admin')")
    assert not loaded & {
        "apsw",
        "farvault.admin.registry",
        "farvault.catalog.catalog",
        "farvault.storage.storage",
    }


@pytest.mark.parametrize("name", ["server", "admin", "client", "volume", "demo"])
def test_every_subcommand_is_there_and_has_help(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"], prog_name="farvault")
    assert done.exit_code == 0, done.output
    assert f"farvault {name}" in done.output


def test_help_names_the_subcommands() -> None:
    done = CliRunner().invoke(main, ["--help"])
    assert done.exit_code == 0
    for name in ("server", "admin", "client", "volume", "demo"):
        assert f"  {name} " in done.output


def test_an_unknown_subcommand_is_refused() -> None:
    assert CliRunner().invoke(main, ["frobnicate"]).exit_code == 2


def test_what_recover_cannot_read_is_told_in_a_line(tmp_path: Path) -> None:
    good, binary, empty = (tmp_path / name for name in ("good", "binary", "empty"))
    good.write_text("secret\n")
    binary.write_bytes(b"\xe2\x28\xa1")
    empty.touch()
    for node, password in (("", good), ("DEL HI", good), ("DELHI", binary), ("DELHI", empty)):
        typed = ["recover", str(tmp_path / "new"), "--from", "127.0.0.1:1", "--node", node]
        files = ["--password-file", str(password), "--recovery-code-file", str(good)]
        done = CliRunner().invoke(main, [*typed, *files])
        assert done.exit_code == 3 and "ANR0999E" in done.output, done.output
