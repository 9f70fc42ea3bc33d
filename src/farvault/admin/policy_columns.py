"""The end of each detailed policy query: who changed it, and whether a change waits for ACTIVATE POLICYSET."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farvault.admin.output import Column, time_column, yes_column
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Noun
from farvault.model.policy import CopyGroup, Domain, ManagementClass, PolicySet
from farvault.policy.pending import Key, key_of, pending

CHANGE_COLUMNS = (
    Column(key="updated_by", label="Last Update by (administrator)"),
    time_column("updated_time", "Last Update Date/Time"),
    Column(key="managing_profile", label="Managing Profile"),
    yes_column("changes_pending", "Changes Pending"),
)
"""Nothing is managed from another server: Managing Profile is always empty, see decision 65."""


def pending_keys(r: Snapshot) -> frozenset[Key]:
    """Of every domain, see `policy/pending.py`."""
    parts: list[Noun] = [
        *nouns.select(r, PolicySet),
        *nouns.select(r, ManagementClass),
        *nouns.select(r, CopyGroup),
    ]
    return pending(nouns.select(r, Domain), parts)


def change_values(noun: Noun, changed: frozenset[Key]) -> Mapping[str, Any]:
    """What `CHANGE_COLUMNS` show beside the noun's own attributes."""
    return {"managing_profile": "", "changes_pending": key_of(noun) in changed}
