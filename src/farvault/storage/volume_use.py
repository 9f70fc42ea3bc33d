"""Who uses which volume at this moment: written by one, examined by many, or held by one alone for what suffers nobody else.

In memory only; nobody uses anything when a server starts. The lock is that of the mount points (`mount_points.py`): who
waits for a volume or for a point hears of both, and who decides with both holds it once, from looking to taking.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from farvault.base.clock import Clock
from farvault.base.errors import InUse
from farvault.model.volume import Volume


class OpenVolume(NamedTuple):
    """A volume in use now: what QUERY MOUNT shows."""

    name: str
    device_class: str
    is_written: bool


class VolumeUse:
    """Thread safe; the lock may be held already by who calls."""

    def __init__(self, changed: threading.Condition, clock: Clock) -> None:
        self._changed, self._clock = changed, clock
        self._writers: Counter[int] = Counter()
        self._set_aside: set[int] = set()
        self._examined: Counter[int] = Counter()
        self._held: set[int] = set()
        self._being_made: Counter[int] = Counter()
        self._open_now: Counter[OpenVolume] = Counter()

    # --- open ----------------------------------------------------------------------------------------------------

    @property
    def open_now(self) -> list[OpenVolume]:
        """What is open for reading or writing at this moment, by name."""
        with self._changed:
            return sorted(self._open_now)

    def opened(self, volume: OpenVolume) -> None:
        with self._changed:
            self._open_now[volume] += 1

    def closed(self, volume: OpenVolume) -> None:
        with self._changed:
            self._open_now[volume] -= 1
            if not self._open_now[volume]:
                del self._open_now[volume]

    # --- written -------------------------------------------------------------------------------------------------

    def is_written(self, volume_id: int) -> bool:
        with self._changed:
            return bool(self._writers[volume_id])

    def begin_writing(self, volume_id: int) -> None:
        with self._changed:
            self._writers[volume_id] += 1

    def end_writing(self, volume_id: int) -> None:
        with self._changed:
            self._writers[volume_id] -= 1
            self._set_aside.discard(volume_id)
            self._changed.notify_all()

    def set_aside(self, volume_id: int) -> None:
        """It is closed, and nobody else's before its writer has stored what lies on it."""
        with self._changed:
            self._set_aside.add(volume_id)

    def may_come_free(self, volume_id: int) -> bool:
        """Somebody writes it and may leave room on it."""
        with self._changed:
            return self.is_written(volume_id) and volume_id not in self._set_aside

    # --- made ----------------------------------------------------------------------------------------------------

    def being_made(self, pool_id: int) -> int:
        """Scratch volumes of the pool that are counted already and have no row yet, or are not open yet."""
        with self._changed:
            return self._being_made[pool_id]

    def begin_making(self, pool_id: int) -> None:
        with self._changed:
            self._being_made[pool_id] += 1

    def end_making(self, pool_id: int, made: Volume | None) -> None:
        """`made`: its maker writes it now."""
        with self._changed:
            self._being_made[pool_id] -= 1
            if made is not None:
                self.begin_writing(made.id)
            self._changed.notify_all()

    # --- examined, and held alone --------------------------------------------------------------------------------

    def is_held(self, volume_id: int) -> bool:
        with self._changed:
            return volume_id in self._held

    def is_in_use(self, volume_id: int) -> bool:
        with self._changed:
            return self.is_held(volume_id) or self.is_written(volume_id)

    @contextlib.contextmanager
    def examining(self, volume: Volume, wait_seconds: float) -> Iterator[None]:
        """Others may write it meanwhile, nobody may hold it. `InUse` where somebody does, for longer than that."""
        deadline = self._clock.monotonic_seconds() + wait_seconds
        with self._changed:
            while self.is_held(volume.id):
                if self._clock.monotonic_seconds() >= deadline:
                    raise InUse("ANR2405E", volume=volume.name)
                self._changed.wait(1.0)
            self._examined[volume.id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._examined[volume.id] -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def hold(self, volume: Volume) -> Iterator[None]:
        """Nobody writes or examines this volume inside the block; `InUse` where somebody does."""
        if not self._try_hold(volume.id):
            raise InUse("ANR2405E", volume=volume.name)
        try:
            yield
        finally:
            self._end_hold(volume.id)

    def alone(self, volume_id: int, work: Callable[[], None]) -> bool:
        """Do it while nobody writes or examines the volume; False where somebody does."""
        if not self._try_hold(volume_id):
            return False
        try:
            work()
        finally:
            self._end_hold(volume_id)
        return True

    def _try_hold(self, volume_id: int) -> bool:
        with self._changed:
            if self.is_in_use(volume_id) or self._examined[volume_id]:
                return False
            self._held.add(volume_id)
            return True

    def _end_hold(self, volume_id: int) -> None:
        with self._changed:
            self._held.discard(volume_id)
            self._changed.notify_all()
