"""kill -9 at any point: what was acknowledged is there, nothing is half there, the file is whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.catalog.catalog_world import KEY, World

from farvault.base.clock import ManualClock
from farvault.catalog import audit
from farvault.catalog.catalog import Catalog

WRITER = Path(__file__).with_name("catalog_writer.py")
ROOT = Path(__file__).parents[3]


def run_until_killed(path: str, *, crash_at: str = "", after_acks: int = 0) -> int:
    """Start the writer and let it die; returns the last transaction it acknowledged (0 = none)."""
    environment = {**os.environ, "FARVAULT_CRASH_AT": crash_at}
    command = [sys.executable, str(WRITER), path, str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as writer:
        assert writer.stdout is not None
        last = 0
        for count, line in enumerate(writer.stdout, 1):
            last = int(line)
            if after_acks and count == after_acks:
                writer.kill()
                after_acks = 0
    assert writer.returncode == -9
    return last


def check(path: str, acknowledged: int) -> int:
    """Open what is left and look at everything; returns the newest transaction found."""
    catalog = Catalog.open(path, KEY, ManualClock())
    with catalog.read() as r:
        newest = (r.all("SELECT MAX(inserted_time) FROM objects")[0][0]) or 0
        kept = dict(r.all("SELECT inserted_time, COUNT(*) FROM objects GROUP BY inserted_time"))
        assert r.all("PRAGMA integrity_check") == [("ok",)]
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []
    catalog.close()
    assert acknowledged <= newest <= acknowledged + 1, "an acknowledged transaction is there, one more may be"
    assert kept == dict.fromkeys(range(max(1, newest - 10), newest + 1), 20), "all of each or nothing"
    return int(newest)


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = str(tmp_path / "catalog.db")
    catalog = Catalog.create(path, KEY, ManualClock())
    World(catalog)
    catalog.close()
    return path


@pytest.mark.parametrize(
    ("point", "committed"),
    [
        ("test.body.end#8", False),
        ("catalog.commit.before#8", False),
        ("catalog.commit.after#8", True),
        ("catalog.checkpoint.before#2", True),
        ("catalog.checkpoint.after#2", True),
    ],
)
def test_killed_at_a_named_point(path: str, point: str, committed: bool) -> None:
    acknowledged = run_until_killed(path, crash_at=point)
    assert check(path, acknowledged) == acknowledged + committed


def test_killed_at_random_again_and_again(path: str) -> None:
    chance = random.Random(7)
    for _ in range(5):
        check(path, run_until_killed(path, after_acks=chance.randint(1, 40)))


def test_killed_while_the_catalog_is_made(tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.db")
    make = f"from farvault.catalog.catalog import *; Catalog.create({path!r}, b'k'*32, __import__('farvault.base.clock').base.clock.ManualClock())"
    environment = {**os.environ, "FARVAULT_CRASH_AT": "catalog.migrate.before_commit"}
    assert subprocess.run([sys.executable, "-c", make], env=environment).returncode == -9
    catalog = Catalog.open(path, KEY, ManualClock())
    World(catalog)
    catalog.close()
