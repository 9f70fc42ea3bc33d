"""Volumes here that a target keeps, under their names there: of pools and of the volume history, in order of those names."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from farvault.base.units import show_numbers
from farvault.catalog import kept_receipts
from farvault.catalog.catalog import Catalog
from farvault.catalog.kept_receipts import VolumeHere
from farvault.policy.reconcile import Attributes, Kind
from farvault.processes.reconcile_history import VolumeOfHistory, volumes_of_history

PAGE: Final = 1000


class OwnVolume(NamedTuple):
    """`attributes` None: it is being written. `receipts`: their numbers as people read them."""

    at_target: str
    name: str
    kind: Kind
    attributes: Attributes | None
    receipts: str
    number: int = 0
    """Of its entry in the volume history."""


def own_volumes(catalog: Catalog, prefix: str, class_names: Sequence[str]) -> Iterator[OwnVolume]:
    """Those of the device classes with this prefix. The ones of pools are read page by page."""
    with catalog.read() as r:
        listed = [volumes_of_history(r, name) for name in class_names]
    history = heapq.merge(*listed, key=lambda one: one.name)
    from_history = (_of_history(prefix, one) for one in history)
    return heapq.merge(_of_pools(catalog, prefix, class_names), from_history, key=lambda one: one.at_target)


def _of_pools(catalog: Catalog, prefix: str, class_names: Sequence[str]) -> Iterator[OwnVolume]:
    after = ""
    while True:
        with catalog.read() as r:
            page = kept_receipts.volumes_here(r, class_names, after, PAGE)
        yield from (of_pool(prefix, one) for one in page)
        if len(page) < PAGE:
            return
        after = page[-1].name


def of_pool(prefix: str, volume: VolumeHere) -> OwnVolume:
    numbers = [one.number for one in volume.receipts]
    return OwnVolume(
        f"{prefix}.{volume.name}", volume.name, Kind.POOL, volume.attributes, show_numbers(numbers)
    )


def _of_history(prefix: str, volume: VolumeOfHistory) -> OwnVolume:
    receipts = show_numbers(volume.receipts)
    at_target = f"{prefix}.{volume.name}"
    return OwnVolume(at_target, volume.name, Kind.HISTORY, volume.attributes, receipts, volume.number)
