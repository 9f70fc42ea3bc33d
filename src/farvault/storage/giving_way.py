"""How one strand of a process goes on where a volume breaks, a pool is full, or mount points are short.

What copying and rebuilding share. Where mount points are short it holds nothing, then waits for all it needs at once.
Everything written is stored before, so giving way costs nothing but time. Where all it needs can never be had together,
because reading and writing need the only point of one class, they take turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from farvault.base.errors import Cancelled, CatalogFull, MediaFailed, MediaFull, NotAvailable
from farvault.base.units import show_size
from farvault.storage.mount_points import PROCESS_WAIT_SECONDS, GiveWay, Worker
from farvault.storage.storage import Storage

TRIES = 3
"""How often what was not stored is written again after a volume broke under it; each time on other volumes."""


class GivingWay:
    """Of one worker that gives way. `turn_bytes`: how much is read before it is written where they take turns."""

    def __init__(
        self, storage: Storage, worker: Worker, raise_if_cancelled: Callable[[], None], turn_bytes: int
    ) -> None:
        self._storage, self._worker, self._turn_bytes = storage, worker, turn_bytes
        self._raise_if_cancelled = raise_if_cancelled
        self._waits_since: float | None = None
        self.takes_turns = False
        """It was found that all it needs can never be had together."""

    def until_stored(
        self,
        write: Callable[[], None],
        store: Callable[[], None],
        give_way: Callable[[GiveWay], None],
        forget: Callable[[], None],
    ) -> None:
        """`write` what is left, `store` it; where that is broken off, once more for what is left then.

        `give_way` closes everything and comes to `wait`. `forget`: a volume broke, what was written since the last `store`
        is lost. Raises what ended the work; what was written by then is stored where it can be.
        """
        failures = 0
        while True:
            try:
                write()
                store()
                return
            except GiveWay as way:
                store()
                give_way(way)
            except CatalogFull:
                raise
            except (Cancelled, NotAvailable, MediaFull):
                store()  # what is written is worth keeping
                self._raise_if_cancelled()  # then nothing was waited for any longer
                raise
            except MediaFailed:
                failures += 1
                forget()
                if failures == TRIES:
                    raise

    def raise_if_wanted(self, device_class: str) -> None:
        """`GiveWay` where somebody of a higher priority waits for what the worker holds."""
        if self._worker.is_wanted:
            self._storage.log.say("ANR4763I", who=self._worker.who, device_class=device_class)
            raise GiveWay({})

    def wait(self, way: GiveWay, written_class: str, read_class: str, more: Counter[str]) -> None:
        """Everything is stored and closed. Returns when all points are there, or it `takes_turns`.

        `read_class`: of the volume read last, '' before the first. `more`: points for what is written beside.
        """
        if way.for_volume:
            self._wait_for_volume(written_class)
            return
        self._worker.rest()
        needed = more + Counter([written_class]) + Counter([read_class] if read_class else [])
        if self._storage.volumes.mounts.is_over_limit(needed, self._worker):
            if not self.takes_turns:
                size = show_size(self._turn_bytes)
                self._storage.log.say("ANR4760I", device_class=written_class, size=size)
            self.takes_turns = True
            return
        try:
            self._worker.claim(needed)
        except NotAvailable:
            self._raise_if_cancelled()  # it was not waited any longer because of that
            raise

    def stored(self) -> None:
        """It has come on: a wait that follows is another one."""
        self._waits_since = None

    def _wait_for_volume(self, written_class: str) -> None:
        """There are mount points, but others write every volume that could be used: a moment, and not for ever."""
        now = self._storage.clock.monotonic_seconds()
        self._waits_since = now if self._waits_since is None else self._waits_since
        if now - self._waits_since > PROCESS_WAIT_SECONDS:
            raise NotAvailable("ANR0535W", device_class=written_class, seconds=int(PROCESS_WAIT_SECONDS))
        self._storage.volumes.mounts.wait_for_change(self._worker)
        self._raise_if_cancelled()
