"""Changes Pending: what of the activated set differs from ACTIVE, and what lies above it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from farvault.model.attribute import Noun
from farvault.model.policy import ACTIVE, ARCHIVE, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.policy.pending import Key, key_of, pending

DOMAIN = Domain(name="D", activated_set="S")
OTHER = Domain(name="E", activated_set="S")


def tree(policy_set: str, updated_by: str = "ANN") -> list[Noun]:
    """A set with one class and both copy groups."""
    return [
        PolicySet(domain="D", name=policy_set, default_class="C", updated_by=updated_by),
        ManagementClass(domain="D", policy_set=policy_set, name="C", updated_by=updated_by),
        *(
            CopyGroup(domain="D", policy_set=policy_set, management_class="C", type=kind, destination="POOL")
            for kind in ("BACKUP", ARCHIVE)
        ),
    ]


def changed(parts: Sequence[Noun], key: Key, **values: object) -> list[Noun]:
    return [msgspec.structs.replace(part, **values) if key_of(part) == key else part for part in parts]


def without(parts: Sequence[Noun], *keys: Key) -> list[Noun]:
    return [part for part in parts if key_of(part) not in keys]


SAME = [*tree("S"), *tree(ACTIVE, updated_by="BOB")]
SETS = {("D",), ("D", "S"), ("D", ACTIVE)}
CLASSES = SETS | {("D", "S", "C"), ("D", ACTIVE, "C")}
GROUPS = CLASSES | {("D", "S", "C", ARCHIVE), ("D", ACTIVE, "C", ARCHIVE)}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(SAME, set(), id="a copy as it was made"),
        pytest.param(changed(SAME, ("D", "S"), default_class="X"), SETS, id="another default class"),
        pytest.param(changed(SAME, ("D", "S", "C"), description="X"), CLASSES, id="a class was updated"),
        pytest.param(
            changed(SAME, ("D", "S", "C", ARCHIVE), retain_version_days=1),
            GROUPS,
            id="a copy group was updated",
        ),
        pytest.param(
            without(SAME, ("D", "S", "C", ARCHIVE)),
            GROUPS - {("D", "S", "C", ARCHIVE)},
            id="a copy group was deleted",
        ),
        pytest.param(
            [*SAME, ManagementClass(domain="D", policy_set="S", name="N")],
            {*SETS, ("D", "S", "N")},
            id="a class was added",
        ),
        pytest.param([*SAME, *tree("DRAFT")], set(), id="a set that is not the activated one"),
        pytest.param(
            changed([*SAME, *tree("DRAFT")], ("D", "DRAFT", "C"), description="X"),
            set(),
            id="a change of a draft",
        ),
        pytest.param(tree(ACTIVE), set(), id="the activated set was deleted"),
    ],
)
def test_what_differs_is_pending_with_what_lies_above_it(parts: list[Noun], expected: set[Key]) -> None:
    assert pending([DOMAIN, OTHER], parts) == expected


def test_nothing_is_pending_where_no_set_was_activated() -> None:
    assert pending([Domain(name="D")], tree("S")) == frozenset()
