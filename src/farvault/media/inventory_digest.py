"""One digest over everything a source was told its target holds: what both must agree on before a reconcile counts."""

from __future__ import annotations

from typing import Final

import msgspec
from blake3 import blake3

_ENCODE: Final = msgspec.msgpack.Encoder().encode


class InventoryDigest:
    """Active virtual volumes, added in order of their names."""

    def __init__(self) -> None:
        self._state = blake3()
        self.volumes = self.stored_bytes = 0

    def add(self, volume: str, stored_bytes: int, records: int, digest: bytes) -> None:
        self._state.update(_ENCODE((volume, stored_bytes, records, digest)))
        self.volumes += 1
        self.stored_bytes += stored_bytes

    def digest(self) -> bytes:
        return self._state.digest()
