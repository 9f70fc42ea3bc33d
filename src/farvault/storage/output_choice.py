"""Which volume of a pool is written next, and how much room a pool has.

Which is best is decided in `policy/collocation.py`; here it is found out what there is to choose from: what its access
and status allow, what nobody else uses, and a new scratch volume while there are fewer than MAXSCRATCH.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

from farvault.catalog import nouns, owners
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Snapshot
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import EMPTY, FILLING, ONLINE, READWRITE, Volume
from farvault.policy.collocation import GROUP, NEW_SCRATCH, Candidate, Key, Owner, key_of, order_of_choice
from farvault.storage.free_space import FreeSpaces
from farvault.storage.volume_use import VolumeUse


class Wanted(NamedTuple):
    """What is to be written. `exclude`: volumes the writer has filled or found broken. `key`: what is kept together on
    one volume. `continuing`: the writer has just filled another."""

    pool: StoragePool
    size_bytes: int
    exclude: Container[int]
    key: Key | None
    continuing: bool


class OutputChoice:
    """Looks at the catalog and at who uses what; takes nothing. What is said holds while the lock of `use` is held."""

    def __init__(self, catalog: Catalog, spaces: FreeSpaces, use: VolumeUse) -> None:
        self._catalog, self._spaces, self._use = catalog, spaces, use

    def key_of(self, pool: StoragePool, owner: Owner | None) -> Key | None:
        """What is kept together in this pool; None where it keeps nobody apart."""
        if owner is None or pool.is_random:
            return None
        group_id: int | None = None
        if pool.collocate == GROUP:
            with self._catalog.read() as r:
                group_id = owners.group_of(r, owner.node_id)
        return key_of(pool.collocate, owner, group_id)

    def volumes(self, wanted: Wanted, broken: Container[int]) -> tuple[dict[int, Volume], list[int]]:
        """What may be written, and in which order; a new scratch volume stands in it only where one may be made.

        `broken`: volumes that could not be opened a moment ago.
        """

        def may_be_used(volume: Volume) -> bool:
            excluded = volume.id in wanted.exclude or volume.id in broken
            return not excluded and not self._use.is_held(volume.id)

        pool, key = wanted.pool, wanted.key
        with self._catalog.read() as r:
            own = owners.volumes_of(r, pool.id, key) if key else set()
            found = None if wanted.continuing else self._free_one_of(r, own, may_be_used)
            if found is not None:
                return {found.id: found}, [found.id]
            usable = {one.id: one for one in self._candidates(r, pool, wanted.size_bytes) if may_be_used(one)}
            if pool.is_random:
                return usable, list(usable)
            scratch = nouns.count(r, Volume, pool_id=pool.id, scratch=True)
            of_node = owners.volumes_of_node(r, pool.id, key.node_id) if key and key.node_id else set()
        candidates = [
            Candidate(
                number,
                volume.status == FILLING,
                volume.written_bytes,
                volume.capacity_bytes,
                number in own,
                number in of_node,
            )
            for number, volume in usable.items()
        ]
        order = order_of_choice(key, candidates, continuing=wanted.continuing)
        if scratch + self._use.being_made(pool.id) >= pool.max_scratch:
            order.remove(NEW_SCRATCH)
        return usable, order

    def _free_one_of(
        self, r: Snapshot, own: set[int], may_be_used: Callable[[Volume], bool]
    ) -> Volume | None:
        """First in every order of choice: the fullest that holds data of the same owner. A pool may have thousands of others."""
        volumes = (nouns.by_id(r, Volume, number) for number in own if not self._use.is_written(number))
        free = [one for one in volumes if one.access == READWRITE and may_be_used(one)]
        return max(free, key=lambda one: (one.written_bytes, -one.id), default=None)

    def _candidates(self, r: Snapshot, pool: StoragePool, size_bytes: int) -> list[Volume]:
        if pool.is_random:
            volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=ONLINE)
            spaces = [(one, self._spaces.find(one)) for one in volumes]
            has_room = [one for one, free in spaces if free is not None and free.largest_bytes >= size_bytes]
            makes_room = [one for one, free in spaces if free is not None and free.cached_bytes]
            return [*has_room, *(one for one in makes_room if one not in has_room)]
        filling = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=FILLING)
        return [
            *filling,
            *nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=EMPTY, scratch=False),
        ]

    def more_may_come(self, wanted: Wanted) -> bool:
        """Are there scratch volumes that somebody writes for the first time? They can be had when that is stored."""
        if self._use.being_made(wanted.pool.id):
            return True
        with self._catalog.read() as r:
            new = nouns.select(
                r, Volume, pool_id=wanted.pool.id, access=READWRITE, status=EMPTY, scratch=True
            )
        return any(self._use.may_come_free(one.id) and one.id not in wanted.exclude for one in new)

    def free_bytes(self, r: Snapshot, pool: StoragePool) -> int | None:
        """Room for new data in the pool, cached copies not counted; None where a scratch volume may still be made."""
        if pool.is_random:
            volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE, status=ONLINE)
            spaces = map(self._spaces.find, volumes)
            return sum(free.free_bytes + free.cached_bytes for free in spaces if free is not None)
        if nouns.count(r, Volume, pool_id=pool.id, scratch=True) < pool.max_scratch:
            return None
        volumes = nouns.select(r, Volume, pool_id=pool.id, access=READWRITE)
        usable = (one for one in volumes if one.status in (FILLING, EMPTY))
        return sum(max(one.capacity_bytes - one.written_bytes, 0) for one in usable)
