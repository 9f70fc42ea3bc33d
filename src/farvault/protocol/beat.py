"""Heartbeats between servers: no requests, no answers. They may come at any time between two frames after sign-on."""

from __future__ import annotations

from farvault.protocol.fields import Body


class SourceBeat(Body, frozen=True, kw_only=True):
    """The source lives and the link carries."""


class TargetBeat(Body, frozen=True, kw_only=True):
    """The target lives, also while it works on a request."""
