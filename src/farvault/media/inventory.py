"""The digest of a vault's inventory: how a source and its target find in 32 bytes that they speak of the same volumes."""

from __future__ import annotations

from collections.abc import Iterable

from farvault.seal.digest import digest_parts


def inventory_digest(volumes: Iterable[tuple[str, int]]) -> bytes:
    """BLAKE3 over (name at the target, length) of every volume that is not marked for deletion, in the order of names.

    The length of a volume is where its last complete segment ends.
    """
    return digest_parts(_line(name, length) for name, length in sorted(volumes))


def _line(name: str, length_bytes: int) -> bytes:
    encoded = name.encode()
    return len(encoded).to_bytes(4, "little") + encoded + length_bytes.to_bytes(8, "little")
