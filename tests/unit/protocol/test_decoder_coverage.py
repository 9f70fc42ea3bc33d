"""The decoder reads what strangers send: `test_frames.py` alone takes it through every branch.

By hand: `coverage run --branch -m pytest tests/unit/protocol/test_frames.py; coverage report -m --include='*/frames.py'`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_branch_of_the_decoder_is_taken(tmp_path: Path) -> None:
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")}

    def coverage(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    tests = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/unit/protocol/test_frames.py")
    coverage("run", "--branch", "--source=farvault.protocol", *tests)
    coverage("report", "-m", "--include=*/protocol/frames.py", "--fail-under=100")
