"""States of movable volumes: forward only, out and back."""

from __future__ import annotations

import pytest

from farvault.policy.drm_media import STATES, destination

STEPS = [
    ("MOUNTABLE", "", "NOTMOUNTABLE"),
    ("NOTMOUNTABLE", "", "COURIER"),
    ("COURIER", "", "VAULT"),
    ("VAULT", "", ""),
    ("VAULTRETRIEVE", "", "COURIERRETRIEVE"),
    ("COURIERRETRIEVE", "", "ONSITERETRIEVE"),
    ("ONSITERETRIEVE", "", ""),
    ("MOUNTABLE", "VAULT", "VAULT"),
    ("VAULTRETRIEVE", "ONSITERETRIEVE", "ONSITERETRIEVE"),
    ("VAULT", "COURIER", ""),
    ("VAULT", "VAULTRETRIEVE", ""),
    ("MOUNTABLE", "COURIERRETRIEVE", ""),
    ("COURIERRETRIEVE", "VAULT", ""),
]


@pytest.mark.parametrize(("state", "wanted", "expected"), STEPS)
def test_media_go_one_step_or_as_far_as_is_wanted(state: str, wanted: str, expected: str) -> None:
    assert destination(state, wanted) == expected


def test_no_volume_ever_goes_to_where_it_is() -> None:
    assert all(destination(state, state) == "" for state in STATES)
