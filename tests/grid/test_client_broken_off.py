"""A restore that is broken off, by a kill, by Ctrl-C, by a defect: no half file has its name, nobody works on, all is told."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.proxy import DOWN, Proxy, Silence
from tests.grid.client_command import Client
from tests.grid.grid_server import PASSWORD, GridServer
from tests.patience import PATIENCE_SECONDS

from farvault.client import restore as client_restore
from farvault.client.fetching import Fetch
from farvault.client.placing import TEMPORARY_PREFIX

FILE_BYTES = 300_000
FILES = 40
RECORDS = 300
"""Of TLS: the first batch of a worker has come then, the last has not."""
DEFECT = """
import farvault.client.fetching

def broken(*_):
    raise ZeroDivisionError("nobody expects this")

farvault.client.fetching.Fetch._unpack = broken
"""


@pytest.fixture
def tree(tmp_path: Path, client: Client) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"file{number}").write_bytes(os.urandom(FILE_BYTES))
    client.succeed("selective", f"{folder}/*")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "restored"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def restoring(server: GridServer, tree: Path, target: Path) -> Iterator[subprocess.Popen[str]]:
    """A client process with two workers, both of which the server has left waiting in the middle of what they fetch."""
    with contextlib.closing(Proxy(lambda: server.port)) as proxy:
        proxy.plan = [None, Silence(DOWN, RECORDS), Silence(DOWN, RECORDS)]
        program = (
            # whoever runs the tests in the background has had interrupts ignored
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from farvault.client import restore; restore.BATCH_OBJECTS = 10\n"
            "from farvault.client.commands import run; import sys; sys.exit(run(sys.argv[1:]))"
        )
        words = ["restore", f"{tree}/*", f"{target}/", "-preservepath=none", "-resourceutilization=4"]
        named = [f"-se=127.0.0.1:{proxy.port}", "-nodename=ann", f"-password={PASSWORD}"]
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words, *named],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with proxy.changed:
                assert proxy.changed.wait_for(
                    lambda: sum(each.records[DOWN] >= RECORDS for each in proxy.connections) == 2,
                    PATIENCE_SECONDS,
                )
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def all_it_says(process: subprocess.Popen[str]) -> str:
    """Until the last process that can say something has ended, which are the workers."""
    assert process.stderr is not None
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive(), "its workers work on"
    return said[0]


def check_that_the_rest_comes(client: Client, tree: Path, target: Path) -> None:
    whole = {
        path.name for path in target.iterdir() if not path.name.startswith(os.fsdecode(TEMPORARY_PREFIX))
    }
    assert len(whole) < FILES
    outcome = client.run("restore", f"{tree}/*", f"{target}/", "-preservepath=none", "-replace=no")
    assert outcome.count("restored") == FILES - len(whole)
    for path in tree.iterdir():
        assert (target / path.name).read_bytes() == path.read_bytes()


def test_when_the_client_is_killed_its_workers_end_and_the_next_restore_brings_the_rest(
    client: Client, server: GridServer, tree: Path, target: Path
) -> None:
    with restoring(server, tree, target) as process:
        process.kill()
        assert all_it_says(process) == ""
    check_that_the_rest_comes(client, tree, target)


def test_when_a_person_interrupts_nothing_is_left_half_done(
    client: Client, server: GridServer, tree: Path, target: Path
) -> None:
    with restoring(server, tree, target) as process:
        process.send_signal(signal.SIGINT)
        said = all_it_says(process)
        assert process.wait(PATIENCE_SECONDS) == 12
    assert "ANS2820E" in said and "Traceback" not in said
    assert not [path for path in target.iterdir() if path.name.startswith(os.fsdecode(TEMPORARY_PREFIX))]
    check_that_the_rest_comes(client, tree, target)


@pytest.mark.parametrize("resources", [1, 4])
def test_a_defect_of_a_worker_ends_the_command_and_is_told(
    client: Client, tree: Path, target: Path, monkeypatch: pytest.MonkeyPatch, resources: int
) -> None:
    """In a thread of this process or in processes of their own, which find the defect on their path."""
    (tree.parent / "defect").mkdir()
    (tree.parent / "defect" / "sitecustomize.py").write_text(DEFECT)
    monkeypatch.setenv("PYTHONPATH", str(tree.parent / "defect"))
    monkeypatch.setattr(client_restore, "BATCH_OBJECTS", 10)
    if resources == 1:

        def broken(*_: object) -> None:
            raise ZeroDivisionError("nobody expects this")

        monkeypatch.setattr(Fetch, "_unpack", broken)
    outcome = client.run(
        "restore", f"{tree}/*", f"{target}/", "-preservepath=none", f"-resourceutilization={resources}"
    )
    assert outcome.code == 12
    assert "ANS9830E" in outcome.errors and "ZeroDivisionError: nobody expects this" in outcome.errors
    assert "ANS9804E" in outcome.errors and "Traceback" not in outcome.errors
    assert not list(target.iterdir())
