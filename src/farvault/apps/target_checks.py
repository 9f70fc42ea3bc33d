"""What a server does by itself to find out whether its targets still have what they signed for.

Challenges in four parts of a day's number, the first an hour after the start. RECONCILE VOLUMES FIX=NO every
RECONCILEINTERVAL hours, where that is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from farvault.apps.housekeeping import HOUR_SECONDS, SLACK_SECONDS, Piece
from farvault.base.clock import Clock
from farvault.catalog import kept_receipts, nouns, volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.media.target import Target
from farvault.model.server import Server
from farvault.processes import challenge_server, reconcile_volumes
from farvault.processes.process import Processes
from farvault.storage.storage import Storage

CHALLENGE_SECONDS: Final = 6 * HOUR_SECONDS
RUNS_A_DAY: Final = 4


class TargetChecks:
    """The pieces of housekeeping that ask targets. `open_target`: a server's name -> how to sign on to it."""

    def __init__(
        self,
        catalog: Catalog,
        storage: Storage,
        processes: Processes,
        clock: Clock,
        open_target: Callable[[str], Target],
    ) -> None:
        self._catalog, self._storage, self._processes = catalog, storage, processes
        self._clock, self._open_target = clock, open_target
        self._challenge_from = self._reconcile_from = clock.monotonic_seconds()
        self._share = 0

    def pieces(self) -> list[Piece]:
        return [Piece("challenge targets", self.challenge), Piece("reconcile volumes", self.reconcile)]

    def challenge(self) -> None:
        now = self._clock.monotonic_seconds()
        if now < self._challenge_from:
            return
        self._challenge_from = now + CHALLENGE_SECONDS - SLACK_SECONDS
        count = self._count()
        with self._catalog.read() as r:
            targets = [
                one.name
                for one in nouns.select(r, Server)
                if one.is_target
                and (
                    any(kept_receipts.random_places(r, one.name, [0.0]))
                    or volume_history.provable_at(r, one.name)
                )
            ]
        if not count or not targets or self._processes.is_running(challenge_server.DESCRIPTION):
            return
        self._processes.start(
            challenge_server.DESCRIPTION,
            lambda process: challenge_server.challenge_targets(
                self._storage, process, self._open_target, targets, count
            ),
        )

    def reconcile(self) -> None:
        with self._catalog.read() as r:
            hours = int(get_setting(r, "RECONCILEINTERVAL") or 0)
            has_targets = bool(reconcile_volumes.servers_of(r, "*"))
        now = self._clock.monotonic_seconds()
        if not hours or now < self._reconcile_from:
            return
        self._reconcile_from = now + hours * HOUR_SECONDS - SLACK_SECONDS
        if has_targets and not self._processes.is_running(reconcile_volumes.DESCRIPTION):
            self._processes.start(
                reconcile_volumes.DESCRIPTION,
                lambda process: reconcile_volumes.reconcile_volumes(
                    self._storage, process, self._open_target, "*"
                ),
            )

    def _count(self) -> int:
        """This run's part of the day's number: four of them make it up exactly."""
        with self._catalog.read() as r:
            a_day = challenge_server.challenges_a_day(r)
        before, self._share = self._share, self._share + 1
        return a_day * (before + 1) // RUNS_A_DAY - a_day * before // RUNS_A_DAY
