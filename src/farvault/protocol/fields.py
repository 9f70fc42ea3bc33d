"""What message bodies are made of: their two forms, and fields with limits that are checked while they are decoded."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

LIST_MAX = 262_144
"""No list in a body is longer. The decoder checks it before it makes room, so a claimed length costs nothing."""

T = TypeVar("T")
Many = Annotated[tuple[T, ...], msgspec.Meta(max_length=LIST_MAX)]
"""A list of any length up to `LIST_MAX`."""
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Counts, sizes, times, numbers of rows: what the catalog can hold."""
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
"""BLAKE3-256."""
Nonce = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
"""Random, used once."""
TransactionId = Annotated[bytes, msgspec.Meta(max_length=16)]
"""16 random bytes; empty = none."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A message body as a map."""


class Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message part that travels in long lists."""
