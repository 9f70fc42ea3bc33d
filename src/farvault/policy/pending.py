"""Changes Pending: where the policy set that was activated differs from its copy ACTIVE, which clients use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from farvault.model.attribute import Noun
from farvault.model.policy import ACTIVE, Domain

Key = tuple[str, ...]

_NOT_CONTENT = frozenset({"id", "name", "policy_set", "updated_time", "updated_by"})


def key_of(noun: Noun) -> Key:
    """What names it: a domain (D), a set (D, S), a class (D, S, C), a copy group (D, S, C, BACKUP)."""
    return tuple(getattr(noun, field) for field in noun.KEY)


def pending(domains: Iterable[Domain], parts: Sequence[Noun]) -> frozenset[Key]:
    """Keys of domains, sets, classes and copy groups that differ, or have something below them that differs.

    `parts`: all sets, classes and copy groups. A set that is not the activated one is a draft: nothing of it is
    pending. Neither is anything where the activated set has been deleted, since ACTIVATE could not bring it.
    """
    by_key = {key_of(part): part for part in parts}
    activated = {domain.name: domain.activated_set for domain in domains}
    found: set[Key] = set()
    for key, part in by_key.items():
        source = activated.get(key[0], "")
        if (key[0], source) not in by_key or key[1] not in (source, ACTIVE):
            continue
        twin = (key[0], ACTIVE if key[1] == source else source, *key[2:])
        if _differs(part, by_key.get(twin)):
            found |= _with_what_is_above(key, by_key) | _with_what_is_above(twin, by_key)
    return frozenset(found)


def _differs(part: Noun, twin: Noun | None) -> bool:
    return twin is None or _content(part) != _content(twin)


def _content(part: Noun) -> dict[str, object]:
    return {
        field: value for field, value in msgspec.structs.asdict(part).items() if field not in _NOT_CONTENT
    }


def _with_what_is_above(key: Key, there: Mapping[Key, Noun]) -> set[Key]:
    return {key[:1]} | {key[:length] for length in range(2, len(key) + 1) if key[:length] in there}
