"""A virtual volume that is gone at its source and whose target does not know it yet."""

from __future__ import annotations

from typing import ClassVar

from farvault.model.attribute import Noun


class PendingDeletion(Noun, frozen=True, kw_only=True):
    """`volume` is its name here; the device class says how it is called at the target."""

    TABLE: ClassVar[str] = "pending_deletions"
    KEY: ClassVar[tuple[str, ...]] = ("device_class", "volume")
    TITLE: ClassVar[str] = "pending deletion"

    server_name: str
    device_class: str
    volume: str
    since_time: int
    tries: int = 0
    last_try_time: int = 0
    last_error: str = ""
