"""Runs the state machine: bounded and the same each time in `make test`, at random for long in `make soak`."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.model.machine import Hierarchy
from tests.model.walk import as_text, replay, shortened, steps_of

COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, database=None)


@pytest.mark.slow
def test_the_model_holds(hierarchy: type[Hierarchy]) -> None:
    runs, steps = int(os.environ.get("MODEL_RUNS", "6")), int(os.environ.get("MODEL_STEPS", "40"))
    phases = (Phase.generate, Phase.shrink) if os.environ.get("MODEL_SHRINK") else (Phase.generate,)
    chosen = settings(COMMON, derandomize=True, max_examples=runs, stateful_step_count=steps, phases=phases)
    run_state_machine_as_test(hierarchy, settings=chosen)


@pytest.mark.slow
def test_a_long_walk_breaks_nothing(hierarchy: type[Hierarchy]) -> None:
    first, walks = int(os.environ.get("MODEL_SEED", "1")), int(os.environ.get("MODEL_WALKS", "4"))
    steps = int(os.environ.get("MODEL_STEPS", "150"))
    for seed in range(first, first + walks):
        walk = steps_of(seed, steps)
        try:
            replay(hierarchy, walk)
        except Exception as failure:
            if not os.environ.get("MODEL_SHORTEN"):
                failure.add_note(f"walk {seed}")
                raise
            at = int(failure.__notes__[0].split()[2].rstrip(":"))
            short = shortened(hierarchy, walk[: at + 1], failure)
            failure.add_note(f"walk {seed}; shortened:\n{as_text(short)}")
            print(f"\n=== WALK {seed}\n{as_text(short)}\n", file=sys.stderr)
            raise
