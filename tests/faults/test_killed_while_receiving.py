"""TOKYO dies by SIGKILL at every step of receiving a virtual volume; DELHI goes on when it is back, and nothing is missing."""

from __future__ import annotations

import pytest
from tests.faults.killed_target import KilledTarget, write_while_it_dies


@pytest.mark.parametrize(
    "crash_at",
    [
        "vault.records.before_sync#1",
        "vault.records.after_sync#1",
        "vault.records.after_commit#1",
        "vault.records.before_sync#3",
        "vault.segment.before_close#1",
        "vault.segment.after_close#1",
        "vault.segment.before_close#2",
        "vault.segment.after_close#2",
        "volume.scratch.before_create#1",
        "writer.sync.before#2",
        "writer.sync.after#2",
    ],
)
def test_a_target_killed_while_receiving_loses_nothing_it_acknowledged(
    killed_target: KilledTarget, crash_at: str
) -> None:
    write_while_it_dies(killed_target, crash_at, records=40, more=10)
