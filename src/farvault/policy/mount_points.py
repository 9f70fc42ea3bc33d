"""Who may have a mount point, who waits, who gives one back (TSM reference, storage 3.11). Pure: no clock, no threads.

A resource is a device class with its MOUNTLIMIT, or a node with its MAXNUMMP. A request asks for all it needs at once
and gets all or nothing. The order among those that wait is priority, then age; a point that an earlier one needs is
not given to a later one. Who holds a point already is served as soon as there is one, so that it comes to its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Priority(IntEnum):
    """A larger number goes first. Processes give their points back when a larger one waits for them."""

    COPY = 1
    """BACKUP STGPOOL, audits: what can be done at any time."""
    RECLAMATION = 2
    """Reclamation and moves."""
    MIGRATION = 3
    """Makes room for what clients store."""
    RESTORE_POOL = 4
    """RESTORE VOLUME, RESTORE STGPOOL."""
    STORE = 5
    """Clients that back up and archive, sources that send."""
    RESTORE = 6
    """Clients that restore and retrieve, sources that read, database backups."""


def useful_workers(wanted: int, mount_limit: int, *, reads_there: bool) -> int:
    """How many of these can write volumes of one class at once, at least one: more would only wait.

    `mount_limit` 0: no limit. `reads_there`: what each copies comes from volumes of the same class, so it needs two points.
    """
    points_each = 2 if reads_there else 1
    return max(1, min(wanted, mount_limit // points_each) if mount_limit else wanted)


Points = Mapping[str, int]
"""Resource -> how many of it."""


@dataclass(eq=False, slots=True)
class Request:
    """Somebody that waits."""

    worker: int
    priority: Priority
    wants: Points
    is_paused: bool = False
    """It waits for something else at the moment (a volume): points need not be kept for it."""


@dataclass(slots=True)
class MountTable:
    """All points in use and all that wait for one. `limits`: a resource that is not there, or 0, has no limit."""

    limits: dict[str, int] = field(default_factory=dict)
    held: dict[int, Counter[str]] = field(default_factory=dict)
    """Worker -> its points."""
    waiting: list[Request] = field(default_factory=list)
    """Best first."""

    def ask(self, request: Request) -> None:
        """Stand in line: behind everybody of the same priority."""
        place = next(
            (at for at, other in enumerate(self.waiting) if other.priority < request.priority),
            len(self.waiting),
        )
        self.waiting.insert(place, request)

    def leave(self, request: Request) -> None:
        """Stand in line no more, with or without what was asked for."""
        self.waiting.remove(request)

    def used(self, resource: str) -> int:
        return sum(points[resource] for points in self.held.values())

    def fits(self, wants: Points) -> bool:
        """Is there room for all of it at this moment?"""
        return all(self._room(resource) >= number for resource, number in wants.items())

    def can_ever_fit(self, worker: int, wants: Points) -> bool:
        """Would it fit if everybody else gave back what they hold?"""
        own = self.held.get(worker, Counter[str]())
        return all(
            not self._limit(resource) or own[resource] + number <= self._limit(resource)
            for resource, number in wants.items()
        )

    def may_take(self, request: Request) -> bool:
        """Whether it is its turn. Who holds something need not let others go first: they may be waiting for that."""
        if not self.fits(request.wants):
            return False
        if self.held.get(request.worker):
            return True
        kept: Counter[str] = Counter()
        for other in self.waiting:
            if other is request:
                break
            if not other.is_paused:
                kept.update(other.wants)
        return all(
            self._room(resource) - kept[resource] >= number for resource, number in request.wants.items()
        )

    def take(self, worker: int, wants: Points) -> None:
        """It has them now."""
        if not self.fits(wants):
            raise AssertionError(f"more than the limit of {dict(wants)}")
        self.held.setdefault(worker, Counter()).update(wants)

    def give(self, worker: int, resource: str, number: int = 1) -> None:
        """Back they are."""
        points = self.held[worker]
        if points[resource] < number:
            raise AssertionError(f"{resource}: {number} given back, {points[resource]} held")
        points[resource] -= number
        if not points[resource]:
            del points[resource]
        if not points:
            del self.held[worker]

    def is_wanted(self, worker: int, priority: Priority) -> bool:
        """Does somebody of a higher priority wait for a point this worker holds?"""
        points = self.held.get(worker)
        if not points:
            return False
        for other in self.waiting:
            if other.priority <= priority:
                return False
            short = (one for one, number in other.wants.items() if self._room(one) < number)
            if not other.is_paused and any(points[resource] for resource in short):
                return True
        return False

    def is_stuck(self, request: Request) -> bool:
        """Will it wait for ever? So it is where everybody who could give it something waits as well, in a circle.

        Whoever holds points and does not wait will come to an end and give them back. Then others can go on and do the
        same. Who is left over in the end is stuck.
        """
        room = {resource: self._room(resource) for other in self.waiting for resource in other.wants}
        busy = {other.worker: other for other in self.waiting if not other.is_paused}
        going_on = [worker for worker in self.held if worker not in busy]
        while True:
            for worker in going_on:
                for resource, number in self.held.get(worker, Counter[str]()).items():
                    room[resource] = room.get(resource, self._room(resource)) + number
                busy.pop(worker, None)
            if request.worker not in busy:
                return False
            going_on = [
                worker
                for worker, other in busy.items()
                if all(room[resource] >= number for resource, number in other.wants.items())
            ]
            if not going_on:
                return True

    def _limit(self, resource: str) -> int:
        return self.limits.get(resource, 0)

    def _room(self, resource: str) -> int:
        limit = self._limit(resource)
        return limit - self.used(resource) if limit else 1 << 30
