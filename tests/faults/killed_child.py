"""Run a piece of work in a child of this process that dies by SIGKILL at a crash point: no import, no set-up again."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable

from tests.grid.nursery import die_at
from tests.patience import PATIENCE_SECONDS


def killed_at(label: str, nth: int, work: Callable[[], object]) -> bool:
    """Was it killed there? False where the work ended without coming by often enough. Any other end fails the test."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _die_in(label, nth, work)
    ended = _wait(child)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended, "the child did not end"
    assert status in (0, -signal.SIGKILL), f"the child ended with {status}"
    return status == -signal.SIGKILL


def _wait(child: int) -> bool:
    """For its end; False where that does not come, and then it is killed."""
    descriptor = os.pidfd_open(child)
    try:
        ended = bool(select.select([descriptor], [], [], PATIENCE_SECONDS)[0])
    finally:
        os.close(descriptor)
    if not ended:
        os.kill(child, signal.SIGKILL)
    return ended


def _die_in(label: str, nth: int, work: Callable[[], object]) -> None:
    code = 0
    try:
        die_at(label, nth)
        work()
    except BaseException:
        traceback.print_exc()
        code = 3
    finally:
        os._exit(code)
