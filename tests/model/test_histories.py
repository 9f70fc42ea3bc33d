"""Histories that once failed, shortened: each was a defect, and says which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.model.machine import Hierarchy


class Checked:
    """Calls the rules of a machine and checks everything after each."""

    def __init__(self, machine: Hierarchy) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        def call(**values: object) -> None:
            getattr(self._machine, name)(**values)
            self._machine.check()

        return call


@contextmanager
def _checked(hierarchy: type[Hierarchy]) -> Iterator[Checked]:
    machine = hierarchy()
    try:
        yield Checked(machine)
    finally:
        machine.teardown()


@pytest.fixture
def m(hierarchy: type[Hierarchy]) -> Iterator[Checked]:
    with _checked(hierarchy) as checked:
        yield checked


def test_nothing_new_is_built_on_data_that_is_out_of_reach(m: Checked) -> None:
    """BOB's file was acknowledged by reference to a record on a volume that was UNAVAILABLE, and damaged there."""
    m.back_up(node="ANN", files=[(1, 9), (5, 2), (3, 7), (0, 7)])
    m.back_up(node="BOB", files=[(2, 3), (0, 5)])
    m.back_up(node="ANN", files=[(2, 4), (4, 0)])
    m.set_access(which=96, access="UNAVAILABLE")
    m.a_record_is_damaged(which=2, byte=100)
    m.back_up(node="BOB", files=[(2, 0)])


def test_a_copy_made_by_name_is_one_also_where_the_target_has_lost_a_volume(m: Checked) -> None:
    """TOKYO said that it holds records that lay on a lost, UNAVAILABLE volume: the new copies were made of nothing."""
    m.back_up(node="ANN", files=[(0, 1), (1, 2)])
    m.back_up_pool(pool="DISKPOOL")
    m.a_volume_is_lost_at_the_target(which=0)
    m.audit_pool(pool="COPYPOOL", fix=False)
    m.back_up_pool(pool="DISKPOOL")
    m.a_volume_is_lost(which=0)
    m.a_volume_is_lost(which=1)
    m.restore_pool(pool="DISKPOOL")


def test_what_is_needed_no_more_is_no_loss_when_the_target_cannot_prove_it(m: Checked) -> None:
    """A question kept about a record that ANN's deleted file space had needed put away a volume that was whole."""
    m.begin(first=[(2, 5), (5, 2), (1, 3), (0, 2)], second=[(3, 4), (5, 11), (1, 0)])
    m.back_up(node="ANN", files=[(3, 7), (5, 3), (2, 6), (0, 4), (1, 2)])
    m.back_up_pool(pool="DISKPOOL")
    m.archive(node="BOB", files=[(0, 4), (4, 3), (1, 8), (2, 9), (3, 3)])
    m.delete_file_space(node="ANN")
    m.migrate(pool="DISKPOOL", low=0)
    m.a_record_is_damaged_at_the_target(which=19, byte=5)
    m.set_access(which=52, access="UNAVAILABLE")
    m.housekeeping()


def test_a_target_that_finds_its_loss_between_promise_and_reference_spoils_no_volume(m: Checked) -> None:
    """A reclamation's new volume became READONLY because TOKYO did not hold a record any more that it had just promised."""
    m.begin(first=[(2, 0)], second=[(0, 9), (5, 8), (2, 6), (3, 9), (1, 4)])
    m.back_up(node="BOB", files=[(2, 3), (4, 6), (0, 10), (3, 0)])
    m.back_up(node="BOB", files=[(1, 6), (0, 5), (5, 7), (2, 6), (4, 9)])
    m.back_up(node="ANN", files=[(3, 2), (2, 3)])
    m.back_up_pool(pool="DISKPOOL")
    m.move_data(which=54, to="")
    m.archive(node="ANN", files=[(4, 4), (0, 5), (5, 11), (2, 10)])
    m.set(setting="COPYPOOL reclaim=10")
    m.a_volume_is_lost_at_the_target(which=57)
    m.housekeeping()
