"""DELHI is killed while a client backs up with the real program: what it acknowledged restores, nothing else is seen.

`test_killed_while_storing` kills at every step with raw messages; here the client's own bookkeeping is on trial too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.two_servers import contents, make_files
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.server_process import ServerProcess
from tests.patience import PATIENCE_SECONDS

from farvault.transport.ports import unused_port

pytestmark = pytest.mark.slow

FILES, SIZE = 60, 400_000
FOLDERS = 10
"""The tree and what leads to it, some of which change while the test writes there."""


@dataclass
class Delhi:
    """A server process that may be started again on its port, and what clients do with it."""

    folder: str
    port: int
    process: ServerProcess

    def client(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        named = [f"-se=127.0.0.1:{self.port}", "-nodename=ann", f"-password={PASSWORD}"]
        return subprocess.Popen(
            [sys.executable, "-m", "farvault", "client", *words, *named],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        client = self.client(*words)
        output, _ = client.communicate(timeout=PATIENCE_SECONDS)
        return client.returncode, output

    def restart(self) -> None:
        self.process = ServerProcess(self.folder)
        assert self.process.port == self.port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Delhi]]:
    started: list[Delhi] = []

    def start(crash_at: str) -> Delhi:
        server = GridServer("DELHI", str(tmp_path / "delhi"), data_port=unused_port()).start()
        server.admin(f"define devclass tapeclass devtype=file directory={server.folder}/tapes maxcapacity=8m")
        server.admin("define stgpool tapepool tapeclass maxscratch=20")
        server.admin("update copygroup standard standard standard type=backup destination=tapepool")
        server.admin("activate policyset standard standard")
        server.admin(f"register node ann {PASSWORD} txngroupmax=8")
        port = server.port
        server.stop()
        delhi = Delhi(server.folder, port, ServerProcess(server.folder, FARVAULT_CRASH_AT=crash_at))
        started.append(delhi)
        return delhi

    yield start
    for delhi in started:
        delhi.process.process.terminate()
        assert delhi.process.wait() == 0


def backed_up(output: str) -> int:
    found = re.search(r"Total number of objects backed up: +([\d,]+)", output)
    assert found, output
    return int(found[1].replace(",", ""))


POINTS = (
    "transaction.commit.before_catalog#3",
    "transaction.commit.after_catalog#3",
    "volume.append.after_sync#2",
)


@pytest.mark.parametrize("crash_at", POINTS)
def test_what_was_acknowledged_restores_nothing_else_is_visible_and_the_next_incremental_completes(
    start: Callable[[str], Delhi], tmp_path: Path, crash_at: str
) -> None:
    delhi = start(crash_at)
    tree = make_files(tmp_path / "tree", FILES, SIZE)
    code, output = delhi.run("incremental", f"{tree}/", "-subdir=yes", "-commrestartduration=0")
    assert delhi.process.wait() == -9
    assert code == 12 and "ANS1811S" in output, output
    acknowledged = set(re.findall(r"^Normal File.*/(file\d+) \[Sent\]", output, re.MULTILINE))
    delhi.restart()

    code, output = delhi.run("restore", f"{tree}/*", f"{tmp_path}/first/", "-subdir=yes")
    first = contents(tmp_path / "first" / "tree") if (tmp_path / "first").exists() else {}
    whole = contents(tree)
    assert first.items() <= whole.items(), "every version that is visible is whole and true"
    assert acknowledged <= set(map(os.fsdecode, first)), "what the client called sent is there"
    if acknowledged:
        assert code == 0, output

    code, output = delhi.run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0, output
    assert backed_up(output) <= FILES - len(first) + FOLDERS, "what is there is not sent again"
    code, output = delhi.run("restore", f"{tree}/*", f"{tmp_path}/second/", "-subdir=yes")
    assert code == 0 and contents(tmp_path / "second" / "tree") == whole, output


def test_a_client_that_finds_the_server_again_completes_the_backup_by_itself(
    start: Callable[[str], Delhi], tmp_path: Path
) -> None:
    delhi = start("transaction.commit.after_catalog#2")
    tree = make_files(tmp_path / "tree", FILES, SIZE)
    client = delhi.client("incremental", f"{tree}/", "-subdir=yes", "-commrestartinterval=1")
    assert delhi.process.wait() == -9
    delhi.restart()
    output, _ = client.communicate(timeout=PATIENCE_SECONDS)
    assert client.returncode in (4, 8) and "ANS1810E" in output, output
    code, output = delhi.run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0 and backed_up(output) <= FOLDERS, output
    code, output = delhi.run("restore", f"{tree}/*", f"{tmp_path}/again/", "-subdir=yes")
    assert code == 0 and contents(tmp_path / "again" / "tree") == contents(tree), output
