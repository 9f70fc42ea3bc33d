"""TOKYO is killed with SIGKILL while DELHI backs up a pool to it: two real processes, and TOKYO comes back on its port."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.two_servers import BACKUP, farvault_admin, prepare_source, prepare_target
from tests.grid.grid_server import GridServer
from tests.grid.server_process import ServerProcess
from tests.grid.vaults import store_files
from tests.patience import PATIENCE_SECONDS

from farvault.base.units import KIB, MIB
from farvault.transport.ports import unused_port

pytestmark = pytest.mark.slow

SEEDS = tuple(range(160))
SIZE = 256 * KIB
"""40 MiB: TOKYO makes what it received durable at 16 and 32 MiB and at the end."""
SIGN_ON_AND_NAMES = MIB
"""A resumed transfer may send this much besides records."""
NO_RETRY, RETRY = "retryperiod=0", "retryperiod=2 retryinterval=1"
WAITS_LONG = "retryperiod=9999 retryinterval=9999"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(where the two servers' folders must lie, a copy of them as they were when TAPEPOOL had just been filled)."""
    root = tmp_path_factory.mktemp("killed") / "servers"
    tokyo = GridServer("TOKYO", str(root / "tokyo"), data_port=unused_port()).start()
    delhi = GridServer("DELHI", str(root / "delhi"), data_port=unused_port()).start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    delhi.admin("update devclass targetclass maxcapacity=500m")
    store_files(delhi, *SEEDS, size=SIZE)
    delhi.stop()
    tokyo.stop()
    kept = root.parent / "kept"
    shutil.copytree(root, kept)
    return root, kept


@dataclass
class Servers:
    """The running processes and their folders."""

    root: Path
    delhi: ServerProcess
    tokyo: ServerProcess

    def admin(self, name: str, *words: str) -> tuple[int, str]:
        return farvault_admin(str(self.root / name), "-dataonly=yes", *words)

    def start_backup(self) -> subprocess.Popen[str]:
        """`farvault admin` with BACKUP STGPOOL WAIT=YES, as a program of its own."""
        words = ["admin", f"-instance={self.root / 'delhi'}", "-dataonly=yes", BACKUP]
        return subprocess.Popen(
            [sys.executable, "-m", "farvault", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def restart_tokyo(self) -> None:
        self.tokyo = ServerProcess(str(self.root / "tokyo"))
        assert self.tokyo.port

    def durable_at_tokyo(self) -> int:
        """Bytes of records that a dead TOKYO has in its catalog; read from a copy, so nothing is repaired by looking."""
        copy = self.root.parent / "look"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.root / "tokyo" / "catalog", copy)
        (catalog,) = copy.glob("*.db")
        with sqlite3.connect(catalog) as connection:
            (size,) = connection.execute("SELECT coalesce(sum(stored_bytes), 0) FROM aggregates").fetchone()
        return int(size)

    def received_by_tokyo(self) -> int:
        """Bytes that came over the sessions TOKYO has with servers since it was started."""
        rows = json.loads(self.admin("tokyo", "-json", "query session")[1])
        return sum(row["bytes_received"] for row in rows if row["type"] == "Server")

    def stop(self) -> None:
        for server in (self.delhi, self.tokyo):
            if server.process.poll() is None:
                server.process.terminate()
                assert server.wait() == 0


@pytest.fixture
def start(prepared: tuple[Path, Path]) -> Iterator[Callable[..., Servers]]:
    """`start(RETRY, crash_at)`: both servers; TOKYO dies at that point."""
    root, kept = prepared
    shutil.rmtree(root)
    shutil.copytree(kept, root)
    started: list[Servers] = []

    def start(retry: str, crash_at: str = "") -> Servers:
        tokyo = ServerProcess(str(root / "tokyo"), FARVAULT_CRASH_AT=crash_at)
        servers = Servers(root, ServerProcess(str(root / "delhi")), tokyo)
        started.append(servers)
        code, output = servers.admin("delhi", f"update devclass targetclass {retry}")
        assert code == 0, output
        return servers

    yield start
    for servers in started:
        servers.stop()


def assert_all_is_copied(servers: Servers) -> None:
    """Nothing left to copy, and TOKYO finds every record of every volume good."""
    code, output = servers.admin("delhi", BACKUP)
    assert code == 0 and "Records copied: 0 " in output, output
    volumes = json.loads(servers.admin("delhi", "-json", "query volume * stgpool=targetcopypool")[1])
    assert volumes
    for volume in volumes:
        code, output = servers.admin("delhi", f"audit volume {volume['name']} fix=no wait=yes")
        assert code == 0 and "0 marked as damaged" in output, output


@pytest.mark.parametrize(
    ("crash_at", "durable_at_least"),
    [
        ("vault.records.before_sync#1", 0),
        ("vault.records.after_commit#1", 1),
        ("vault.segment.before_close#1", 32 * MIB),
        ("vault.segment.after_close#1", 40 * MIB),
    ],
)
def test_delhi_goes_on_when_tokyo_is_back_and_sends_again_only_what_was_not_durable(
    start: Callable[..., Servers], crash_at: str, durable_at_least: int
) -> None:
    servers = start(RETRY, crash_at)
    backup = servers.start_backup()
    assert servers.tokyo.wait() == -9
    durable = servers.durable_at_tokyo()
    assert durable >= durable_at_least
    servers.delhi.wait_for("ANR4800W")  # it tries again every RETRYINTERVAL, for RETRYPERIOD
    servers.restart_tokyo()
    output, _ = backup.communicate(timeout=PATIENCE_SECONDS)
    assert backup.returncode == 0 and "completion state of SUCCESS" in output, output
    assert f"Records copied: {len(SEEDS)} " in output
    whole = len(SEEDS) * (SIZE + 4 * KIB)
    assert servers.received_by_tokyo() <= whole - durable + SIGN_ON_AND_NAMES
    assert_all_is_copied(servers)


def test_without_a_retry_period_the_process_fails_the_server_lives_and_the_next_run_names_what_is_there(
    start: Callable[..., Servers],
) -> None:
    servers = start(NO_RETRY, "vault.segment.before_close#1")
    backup = servers.start_backup()
    assert servers.tokyo.wait() == -9
    output, _ = backup.communicate(timeout=PATIENCE_SECONDS)
    assert backup.returncode == 4 and "completion state FAILURE" in output and "ANR4376E" in output
    durable = servers.durable_at_tokyo()
    assert durable >= 32 * MIB
    assert servers.admin("delhi", "query status")[0] == 0
    assert "ANR4376E" in servers.admin("delhi", BACKUP)[1], "TOKYO is still away"

    servers.restart_tokyo()
    code, output = servers.admin("delhi", BACKUP)
    assert code == 0, output
    found = re.search(r"Records copied: (\d+) .* of which (\d+) were at the target already", output)
    assert found and int(found[1]) == len(SEEDS)
    at_tokyo = SIZE + 8 * KIB  # sealed by DELHI, then wrapped by TOKYO: a block each
    assert int(found[2]) >= durable // at_tokyo, "all that was durable"
    whole = len(SEEDS) * (SIZE + 4 * KIB)
    assert servers.received_by_tokyo() <= whole - durable + SIGN_ON_AND_NAMES
    assert_all_is_copied(servers)


def test_a_kill_between_two_volumes_keeps_the_volume_that_was_complete(start: Callable[..., Servers]) -> None:
    servers = start(RETRY)
    assert servers.admin("delhi", "update devclass targetclass maxcapacity=4m")[0] == 0
    backup = servers.start_backup()
    servers.tokyo.wait_for("ANR4850I", 3)
    servers.tokyo.kill()
    durable = servers.durable_at_tokyo()
    assert durable >= 3 * 3 * MIB
    servers.delhi.wait_for("ANR4800W")
    servers.restart_tokyo()
    output, _ = backup.communicate(timeout=PATIENCE_SECONDS)
    assert backup.returncode == 0, output
    assert servers.received_by_tokyo() <= len(SEEDS) * (SIZE + 4 * KIB) - durable + SIGN_ON_AND_NAMES
    assert_all_is_copied(servers)


def test_while_delhi_waits_for_tokyo_the_process_can_be_cancelled(start: Callable[..., Servers]) -> None:
    servers = start(WAITS_LONG, "vault.records.before_sync#1")
    backup = servers.start_backup()
    servers.delhi.wait_for("trying again in 9999 seconds")
    number = json.loads(servers.admin("delhi", "-json", "query process")[1])[0]["number"]
    assert servers.admin("delhi", f"cancel process {number}")[0] == 0
    output, _ = backup.communicate(timeout=PATIENCE_SECONDS)
    assert backup.returncode == 4 and "completion state CANCELED" in output, output


def test_while_delhi_waits_for_tokyo_it_can_be_stopped(start: Callable[..., Servers]) -> None:
    servers = start(WAITS_LONG, "vault.records.before_sync#1")
    backup = servers.start_backup()
    servers.delhi.wait_for("trying again in 9999 seconds")
    servers.delhi.process.terminate()
    assert servers.delhi.wait() == 0
    backup.communicate(timeout=PATIENCE_SECONDS)
