"""Runs the model: the same steps each time in `make test`, at random for hours in `make soak`.

The threads of two servers race, so one seed may end in two ways, and both must be right. What fails is shortened and
printed as lines for `test_histories.py`. Replay and look closer:

    MODEL_SEED=4711 MODEL_WALKS=1 MODEL_STEPS=80 pytest tests/model/test_model.py -k long_walk
    MODEL_HOURS=8 make soak
"""

from __future__ import annotations

import os
import random
import sys
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.model.machine import Hierarchy
from tests.model.walk import as_text, replay, shortened, steps_of

COMMON = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
)
SEED, WALKS, STEPS = (
    int(os.environ.get(f"MODEL_{name}", value))
    for name, value in (("SEED", "1"), ("WALKS", "10"), ("STEPS", "90"))
)


def walk(hierarchy: type[Hierarchy], seed: int, count: int) -> None:
    """One walk; where it fails, its shortest form is told."""
    steps = steps_of(seed, count)
    try:
        replay(hierarchy, steps)
    except Exception as failure:
        print(f"walk {seed} fails; making it shorter", file=sys.stderr, flush=True)
        failed_at = int(failure.__notes__[-1].split()[2].rstrip(":"))
        failure.add_note(
            f"walk {seed}, shortened:\n{as_text(shortened(hierarchy, steps[: failed_at + 1], failure))}"
        )
        raise


@pytest.mark.slow
def test_whatever_happens_nothing_is_lost(hierarchy: type[Hierarchy]) -> None:
    chosen = settings(COMMON, derandomize=True, max_examples=10, stateful_step_count=30)
    run_state_machine_as_test(hierarchy, settings=chosen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + WALKS))
def test_a_long_walk_breaks_nothing(hierarchy: type[Hierarchy], seed: int) -> None:
    walk(hierarchy, seed, STEPS)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_walks_at_random_for_hours(hierarchy: type[Hierarchy]) -> None:
    end = time.monotonic() + float(os.environ.get("MODEL_HOURS", "2")) * 3600
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"walk {seed}, {STEPS} steps", file=sys.stderr, flush=True)
        walk(hierarchy, seed, STEPS)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_histories_that_hypothesis_finds(hierarchy: type[Hierarchy]) -> None:
    chosen = settings(COMMON, max_examples=500, stateful_step_count=60)
    run_state_machine_as_test(hierarchy, settings=chosen)
