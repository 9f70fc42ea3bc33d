"""The digest of a vault's inventory: how a source and its target find in 32 bytes that they speak of the same volumes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from farvault.media.target import TargetSession
from farvault.protocol.messages import Done, ReconcileDone
from farvault.seal.digest import digest_parts


def inventory_digest(volumes: Iterable[tuple[str, int]]) -> bytes:
    """BLAKE3 over (name at the target, length) of every volume that is not marked for deletion, in the order of names.

    The length of a volume is where its last complete segment ends.
    """
    return digest_parts(_line(name, length) for name, length in sorted(volumes))


def _line(name: str, length_bytes: int) -> bytes:
    encoded = name.encode()
    return len(encoded).to_bytes(4, "little") + encoded + length_bytes.to_bytes(8, "little")


def say_reconciled(session: TargetSession, volumes: Collection[tuple[str, int]]) -> None:
    """Tell a target that no open difference is left. Raises its refusal where it counts otherwise."""
    session.connection.call(ReconcileDone(volumes=len(volumes), digest=inventory_digest(volumes)), Done)
