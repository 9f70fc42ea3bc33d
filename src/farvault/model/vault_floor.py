"""What a vault lock that was lowered still promises to the volumes received before."""

from __future__ import annotations

from typing import ClassVar

from farvault.model.attribute import Noun


class VaultFloor(Noun, frozen=True, kw_only=True):
    """For segments received while the server had run for at most `received_running` seconds."""

    TABLE: ClassVar[str] = "vault_floors"
    KEY: ClassVar[tuple[str, ...]] = ("node_id", "received_running")
    TITLE: ClassVar[str] = "vault floor"

    node_id: int
    received_running: int
    min_retention_days: int
    min_grace_days: int
