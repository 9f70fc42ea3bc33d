"""The scrub: checks every volume within SCRUBPERIOD by itself, a part of each at a time (policy/scrub.py).

A run is a process that checks what the plan asks of it, no faster than SCRUBRATE, and marks what is damaged as AUDIT VOLUME
FIX=NO does. How far each volume was checked stands in the catalog, so a restart loses nothing.
"""

from __future__ import annotations

from typing import Final

from farvault.base.errors import Cancelled, FarvaultError, InUse, NotAvailable
from farvault.base.units import MIB
from farvault.catalog import nouns, volume_checks
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy import scrub as policy
from farvault.policy.scrub import Piece, Plan, VolumeState
from farvault.processes.audit_pass import Part
from farvault.processes.audit_volume import audit_part
from farvault.processes.pace import Pace
from farvault.processes.process import Process, Processes
from farvault.storage.storage import Storage

DESCRIPTION: Final = "SCRUB"
PERIOD_SETTING, RATE_SETTING = "SCRUBPERIOD", "SCRUBRATE"
PERIOD_DAYS: Final = 90
RATE_MIB: Final = 50
"""Where SCRUBPERIOD and SCRUBRATE are not set."""


def period_days(r: Snapshot) -> int:
    """0 = no scrub."""
    return int(get_setting(r, PERIOD_SETTING) or PERIOD_DAYS)


def rate_mib(r: Snapshot) -> int:
    """MiB a second; 0 = no limit."""
    return int(get_setting(r, RATE_SETTING) or RATE_MIB)


def look(storage: Storage) -> list[VolumeState]:
    """Every volume with data, as it is now; what is new since the last look is remembered from here on."""
    now = storage.clock.now_seconds()
    with storage.catalog.read() as r:
        found = volume_checks.states(r)
    noticed = [state._replace(check=policy.notice_new(state, now)) for state in found]
    changed = [one.check for one, before in zip(noticed, found, strict=True) if one.check != before.check]
    if changed:
        with storage.catalog.write() as tx:
            for check in changed:
                volume_checks.put(tx, check)
    return noticed


def scrub(storage: Storage, process: Process, plan: Plan, rate: int) -> None:
    """One run. A volume that cannot be read is said; the others are checked all the same."""
    pace = Pace(storage.clock, rate * MIB, process.cancel_event)
    left = plan.budget_bytes
    away: set[str] = set()
    for piece in plan.pieces:
        if left <= 0:
            break
        process.raise_if_cancelled()
        left -= _scrub_piece(storage, process, piece, left, pace, away)
    process.raise_if_cancelled()


def _scrub_piece(
    storage: Storage, process: Process, piece: Piece, budget: int, pace: Pace, away: set[str]
) -> int:
    """Returns how many bytes were checked. `away`: device classes that cannot be reached in this run."""
    with storage.catalog.read() as r:
        found = nouns.select(r, Volume, id=piece.volume_id)
        pool = nouns.by_id(r, StoragePool, found[0].pool_id) if found else None
    if pool is None or pool.device_class in away:
        return 0  # an emptied volume goes at any time
    before = process.bytes
    try:
        audit_part(storage, process, found[0].name, Part(piece.is_new, budget, pace.spend))
    except Cancelled:
        raise
    except FarvaultError as error:
        process.repeat(error.message)
        if not isinstance(error, NotAvailable | InUse):  # its turn comes again
            process.count_failed()
        if not isinstance(error, InUse) and storage.devices.device(pool.device_class).capabilities.remote:
            away.add(pool.device_class)
    return process.bytes - before


class ScrubWhenDue:
    """Starts a run when the last one is long enough ago, unless one is still at work. First an hour after the start."""

    def __init__(self, storage: Storage, processes: Processes) -> None:
        self._storage, self._processes = storage, processes
        self._last: float | None = None

    def __call__(self) -> None:
        with self._storage.catalog.read() as r:
            days, rate = period_days(r), rate_mib(r)
        if not days:
            return
        states = look(self._storage)
        clock = self._storage.clock
        run = policy.run_seconds(days)
        if self._last is not None and clock.monotonic_seconds() < self._last + run:
            return
        if self._processes.is_running(DESCRIPTION):
            return
        self._last = clock.monotonic_seconds()
        plan = policy.plan(states, clock.now_seconds(), days)
        if not plan.budget_bytes:
            return
        if rate and plan.budget_bytes > rate * MIB * run:
            self._too_slow(plan, rate, run, days)
        storage = self._storage
        self._processes.start(DESCRIPTION, lambda process: scrub(storage, process, plan, rate))

    def _too_slow(self, plan: Plan, rate: int, run: int, days: int) -> None:
        needed = -(-plan.budget_bytes // (run * MIB))
        self._storage.log.say("ANR4741W", needed=f"{needed:,}", rate=f"{rate:,}", days=days)
