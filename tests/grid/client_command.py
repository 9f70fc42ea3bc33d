"""The client in this process, against a grid server: what its grid tests drive."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.client.commands import run


@dataclass(frozen=True)
class Outcome:
    """What one command line did. `count("expired")` is a figure of the summary."""

    code: int
    output: str
    errors: str

    def count(self, word: str) -> int:
        found = re.search(rf"^Total number of objects {word}: +([\d,]+)$", self.output, re.MULTILINE)
        assert found, f"no figure for {word} in\n{self.output}{self.errors}"
        return int(found[1].replace(",", ""))

    def size(self, label: str) -> float:
        """A figure in bytes."""
        found = re.search(rf"^{label}: +([\d.,]+) +(\w+)$", self.output, re.MULTILINE)
        assert found, f"no figure {label} in\n{self.output}"
        unit = {"B": 0, "KB": 1, "MB": 2, "GB": 3, "TB": 4}[found[2]]
        return float(found[1].replace(",", "")) * 1024**unit


def own_file_space(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the client an option file that makes `folder` a file space.

    Folders above the tree are objects too; those of the machine change while other tests run, these do not.
    """
    config = folder / "config" / "farvault"
    config.mkdir(parents=True)
    (config / "client.opt").write_text(f"VIRTUALMOUNTPOINT {folder}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.delenv("FARVAULT_CLIENT_CONFIG", raising=False)


class Client:
    """A node's command lines."""

    def __init__(
        self, server: GridServer, node: str = "ann", password: str = PASSWORD, *, port: int = 0
    ) -> None:
        """`port`: of what stands in between."""
        self.server = server
        self.port = port
        self.node = node
        self.password = password

    def run(self, *words: str) -> Outcome:
        output, errors = io.StringIO(), io.StringIO()
        address = f"-se=127.0.0.1:{self.port or self.server.port}"
        named = [address, f"-nodename={self.node}", f"-password={self.password}", "-verbose"]
        code = run([*words, *named], output=output, errors=errors)
        return Outcome(code, output.getvalue(), errors.getvalue())

    def succeed(self, *words: str) -> Outcome:
        outcome = self.run(*words)
        assert outcome.code == 0, f"{words}: {outcome.code}\n{outcome.output}{outcome.errors}"
        return outcome
