"""Finding what a command names: by patterns and lists of patterns, with one answer where nothing matches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from farvault.admin.command import Call
from farvault.base.errors import NotFound
from farvault.base.wildcard import matches
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Noun
from farvault.model.policy import ACTIVE, CopyGroup, Domain, ManagementClass, PolicySet

N = TypeVar("N", bound=Noun)


def select(r: Snapshot, noun: type[N], patterns: Iterable[str], **equal: str | int | bool) -> list[N]:
    """All that match one of the patterns, in order of their key, each once."""
    found: dict[int, N] = {}
    for pattern in patterns:
        found.update((item.id, item) for item in nouns.select(r, noun, pattern, **equal))
    return sorted(found.values(), key=lambda item: tuple(str(getattr(item, field)) for field in noun.KEY))


def select_by(r: Snapshot, noun: type[N], **patterns: str) -> list[N]:
    """All whose fields match the patterns given by field name; for nouns with keys of several parts."""
    return [
        item
        for item in nouns.select(r, noun)
        if all(matches(pattern, str(getattr(item, field))) for field, pattern in patterns.items())
    ]


def some(found: list[N], call: Call) -> list[N]:
    """The same list; `NotFound` (ANR2034E) where it is empty."""
    if not found:
        raise NotFound("ANR2034E", command=call.command.name)
    return found


def archive_destination(r: Snapshot, domain_name: str) -> str:
    """Where virtual volumes of the domain's nodes go: the archive copy group of its active default class; else ''."""
    domain = nouns.find(r, Domain, domain_name)
    if domain is None or not domain.activated_set:
        return ""
    default = default_class(r, domain_name, ACTIVE)
    group = nouns.find(r, CopyGroup, domain_name, ACTIVE, default, "ARCHIVE") if default else None
    return group.destination if group else ""


def default_class(r: Snapshot, domain: str, policy_set: str) -> str:
    """Name of the default management class of a set; '' where it has none or the class is gone."""
    found = nouns.find(r, PolicySet, domain, policy_set)
    if found is None or not found.default_class:
        return ""
    return (
        found.default_class if nouns.find(r, ManagementClass, domain, policy_set, found.default_class) else ""
    )
