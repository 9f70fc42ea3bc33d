"""Mount points at work: the table of `policy/mount_points.py` with its waits, and the workers that hold points.

A worker is one session's reader or writer, or one strand of a process. Two rules keep everybody going:

* Processes never wait while they hold something: they raise `GiveWay`, make durable what they have done, give everything
  back and then ask for all they need at once. The same where somebody of a higher priority waits for what they hold.
* Sessions may wait while they hold something (a pool's successor may be of another class), unless the table shows that
  this would never end: then they are refused at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from farvault.base.cancel import cancel_event
from farvault.base.clock import Clock
from farvault.base.errors import NotAvailable
from farvault.policy.mount_points import MountTable, Points, Priority, Request

MOUNT_WAIT_SECONDS = 60.0
"""How long a session waits: a client is told to try again, its transaction is small."""
PROCESS_WAIT_SECONDS = 3600.0
"""How long a process waits that has given way: TSM's default MOUNTWAIT."""
LOOK_AGAIN_SECONDS = 1.0
"""Waits end early by a notification; in between they look whether the work was cancelled or a limit changed."""


class GiveWay(Exception):
    """Raised in a process that must give its points back before it goes on. `wants`: what it could not get."""

    def __init__(self, wants: Points, *, for_volume: bool = False) -> None:
        super().__init__(dict(wants))
        self.wants = wants
        self.for_volume = for_volume
        """It was not a point that was missing, but a volume that nobody uses."""


class Waiting(NamedTuple):
    """One that waits, for QUERY MOUNT."""

    who: str
    wants: tuple[str, ...]
    since: float


class Worker:
    """Holds points from the first use to `rest`. Several threads of one strand may share it."""

    def __init__(
        self, points: MountPoints, number: int, priority: Priority, who: str, node: str, *, gives_way: bool
    ) -> None:
        self.priority, self.who = priority, who
        self.number = number
        self.gives_way = gives_way
        self.keeps = False
        """Points of closed volumes stay with it, until `rest`."""
        self.is_idle = False
        """What it keeps may be taken away by somebody of a higher priority."""
        self.spare: Counter[str] = Counter()
        """Points it holds and has no volume open for."""
        self.node = node
        """Resource that counts its node's points; '' where nothing counts them."""
        self._points = points

    def claim(self, wants: Points) -> None:
        """Wait, holding nothing, for all of these; they stay with it until `rest`.

        `NotAvailable` where they do not come free in time, or can never be had together.
        """
        self._points.claim(self, wants)

    def rest(self) -> None:
        """Give back what is not in use."""
        self._points.rest(self)

    @property
    def is_wanted(self) -> bool:
        """Does somebody of a higher priority wait for what it holds?"""
        return self.gives_way and self._points.is_wanted(self)


class MountPoints:
    """All points of one server. Thread safe; `changed` is also the lock of who else decides with them (`volume_use.py`).

    `limit_of`: MOUNTLIMIT of a class, 0 = none.
    """

    def __init__(
        self, limit_of: Callable[[str], int], clock: Clock, wait_seconds: float = MOUNT_WAIT_SECONDS
    ) -> None:
        self.changed = threading.Condition()
        self.wait_seconds = wait_seconds
        self._table = MountTable()
        self._limit_of, self._clock = limit_of, clock
        self._workers: dict[int, Worker] = {}
        self._asked: dict[Request, tuple[str, float]] = {}
        self._next = 1

    def worker(
        self,
        priority: Priority,
        who: str = "",
        *,
        node: str = "",
        most: int = 0,
        gives_way: bool = False,
    ) -> Worker:
        """Somebody new. `node` with `most`: its node and how many points (MAXNUMMP) that may hold at once."""
        with self.changed:
            number, self._next = self._next, self._next + 1
            resource = f"node {node}" if node else ""
            if resource:
                self._table.limits[resource] = most or -1  # MAXNUMMP=0: none at all
            return Worker(self, number, priority, who, resource, gives_way=gives_way)

    # --- one volume ----------------------------------------------------------------------------------------------

    @contextmanager
    def asking(self, worker: Worker, device_class: str) -> Iterator[Asked]:
        """Ask for a point of a class. Inside the block the lock is held: `may_take`, `take`, or `wait` and look again."""
        wants = self._wants(worker, {device_class: 1})
        with self.changed:
            request = Request(worker.number, worker.priority, wants)
            self._table.ask(request)
            self._asked[request] = (worker.who, self._clock.monotonic_seconds())
            self.changed.notify_all()  # who holds a point and waits for another one looks whether it is wanted
            try:
                yield Asked(self, worker, request, device_class)
            finally:
                del self._asked[request]
                self._table.leave(request)
                self.changed.notify_all()

    def take(self, worker: Worker, device_class: str) -> None:
        """Wait for a point of a class and take it. The lock must not be held."""
        with self.asking(worker, device_class) as asked:
            while not asked.may_take():
                asked.wait()
            asked.take()

    def give(self, worker: Worker, device_class: str) -> None:
        """The volume is closed: the point goes back, or stays with a worker that keeps them."""
        with self.changed:
            held = self._table.held.get(worker.number, Counter[str]())[device_class]
            if worker.keeps and held > worker.spare[device_class]:
                worker.spare[device_class] += 1
            else:
                self._give(worker, device_class)
            self.changed.notify_all()

    # --- a worker's points ---------------------------------------------------------------------------------------

    def claim(self, worker: Worker, wants: Points) -> None:
        """See `Worker.claim`."""
        everything = self._wants(worker, wants)
        deadline = self._deadline(worker)
        with self.changed:
            everything = {one: number for one, number in everything.items() if self._table.limits.get(one)}
            if not self._table.can_ever_fit(worker.number, everything):
                raise NotAvailable("ANR4761E", who=worker.who, points=_shown(wants))
            request = Request(worker.number, worker.priority, everything)
            self._table.ask(request)
            self._asked[request] = (worker.who, self._clock.monotonic_seconds())
            self.changed.notify_all()  # who holds a point and waits for another one looks whether it is wanted
            try:
                while not self._may_take(worker, request):
                    self._wait(worker, request, deadline)
                self._table.take(worker.number, everything)
            finally:
                del self._asked[request]
                self._table.leave(request)
                self.changed.notify_all()
            self._workers[worker.number] = worker
            worker.spare.update({one: number for one, number in everything.items() if one != worker.node})
            worker.keeps = True

    def rest(self, worker: Worker) -> None:
        """See `Worker.rest`."""
        with self.changed:
            worker.keeps = worker.is_idle = False
            self._take_away(worker)
            self.changed.notify_all()

    def idle(self, worker: Worker, is_idle: bool) -> None:
        """A session between two transactions that keeps its points."""
        with self.changed:
            worker.is_idle = is_idle
            self.changed.notify_all()

    def wait_for_change(self, worker: Worker) -> None:
        """A moment, holding nothing, until somebody has let go of something."""
        self.rest(worker)
        with self.changed:
            self.changed.wait(LOOK_AGAIN_SECONDS)

    def is_wanted(self, worker: Worker) -> bool:
        with self.changed:
            return self._table.is_wanted(worker.number, worker.priority)

    def has_spare(self, worker: Worker, wants: Points) -> bool:
        """Does it keep all of these, ready for use?"""
        with self.changed:
            return all(worker.spare[one] >= number for one, number in wants.items())

    def holds(self, worker: Worker) -> bool:
        """Has it any point, in use or not?"""
        with self.changed:
            return bool(self._table.held.get(worker.number))

    def is_over_limit(self, wants: Points, worker: Worker) -> bool:
        """Can these never be had together?"""
        everything = self._wants(worker, wants)
        with self.changed:
            return not self._table.can_ever_fit(worker.number, everything)

    @property
    def waiting(self) -> list[Waiting]:
        """Who waits at the moment, best first."""
        with self.changed:
            return [
                Waiting(
                    self._asked[one][0],
                    tuple(sorted(resource for resource in one.wants if not resource.startswith("node "))),
                    self._clock.monotonic_seconds() - self._asked[one][1],
                )
                for one in self._table.waiting
            ]

    @property
    def kept(self) -> dict[tuple[str, str], int]:
        """(class, who) -> points kept without a volume open."""
        with self.changed:
            return {
                (device_class, worker.who): number
                for worker in self._workers.values()
                for device_class, number in worker.spare.items()
                if number
            }

    # --- the lock is held ----------------------------------------------------------------------------------------

    def _may_take(self, worker: Worker, request: Request) -> bool:
        if self._table.may_take(request):
            return True
        for other in list(self._workers.values()):
            is_less = other.is_idle and other.priority < worker.priority
            if is_less and any(other.spare[resource] for resource in request.wants):
                self._take_away(other)
        return self._table.may_take(request)

    def _take_away(self, worker: Worker) -> None:
        for device_class, number in list(worker.spare.items()):
            for _ in range(number):
                self._give(worker, device_class)
        worker.spare.clear()
        if not self._table.held.get(worker.number):
            self._workers.pop(worker.number, None)

    def _give(self, worker: Worker, device_class: str) -> None:
        if self._table.held.get(worker.number, Counter[str]())[device_class]:
            self._table.give(worker.number, device_class)
            if worker.node and self._table.held.get(worker.number, Counter[str]())[worker.node]:
                self._table.give(worker.number, worker.node)

    def _wait(self, worker: Worker, request: Request, deadline: float) -> None:
        """Until something changed. Raises where waiting is over, would never end, or this worker does not wait."""
        holds = bool(self._table.held.get(worker.number))
        if holds and worker.gives_way:
            raise GiveWay(request.wants, for_volume=request.is_paused)
        if not self._table.can_ever_fit(worker.number, request.wants):
            raise NotAvailable("ANR4761E", who=worker.who, points=_shown(request.wants))
        if holds and self._table.is_stuck(request):
            raise NotAvailable("ANR4762E", who=worker.who, points=_shown(request.wants))
        left = deadline - self._clock.monotonic_seconds()
        event = cancel_event()
        if left <= 0 or (event is not None and event.is_set()):
            waited = PROCESS_WAIT_SECONDS if worker.gives_way else self.wait_seconds
            raise NotAvailable(
                "ANR0535W", device_class=" and ".join(sorted(request.wants)), seconds=int(waited)
            )
        self.changed.wait(min(left, LOOK_AGAIN_SECONDS))
        self._table.limits.update(self._limits(request.wants))

    def _deadline(self, worker: Worker) -> float:
        seconds = max(self.wait_seconds, PROCESS_WAIT_SECONDS) if worker.gives_way else self.wait_seconds
        return self._clock.monotonic_seconds() + seconds

    # --- before the lock -----------------------------------------------------------------------------------------

    def _wants(self, worker: Worker, classes: Points) -> dict[str, int]:
        """With the points of its node, which count wherever a class has a limit. The table knows the limits then."""
        limits = self._limits(classes)
        with self.changed:
            self._table.limits.update(limits)
        counted = sum(number for one, number in classes.items() if limits[one])
        return {**classes, worker.node: counted} if worker.node and counted else dict(classes)

    def _limits(self, wants: Points) -> dict[str, int]:
        return {one: self._limit_of(one) for one in wants if not one.startswith("node ")}


class Asked:
    """One request for one point, while the lock is held."""

    def __init__(self, points: MountPoints, worker: Worker, request: Request, device_class: str) -> None:
        self._points, self._worker, self._request = points, worker, request
        self._class = device_class
        self._deadline = points._deadline(worker)

    def may_take(self) -> bool:
        self._request.is_paused = False
        if self._worker.spare[self._class] > 0:
            return True
        return self._points._may_take(self._worker, self._request)

    def take(self) -> None:
        worker, points = self._worker, self._points
        if worker.spare[self._class] > 0:
            worker.spare[self._class] -= 1
            return
        wants = {one: number for one, number in self._request.wants.items() if points._table.limits.get(one)}
        if wants:
            points._table.take(worker.number, wants)
            points._workers[worker.number] = worker

    def wait(self, *, for_volume: bool = False) -> None:
        """Until something changed. `for_volume`: there is a point, but every volume it could be used for is taken."""
        self._request.is_paused = for_volume
        self._points._wait(self._worker, self._request, self._deadline)


def _shown(wants: Points) -> str:
    return ", ".join(f"{number} of {one}" for one, number in wants.items())
