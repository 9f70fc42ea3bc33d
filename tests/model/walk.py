"""A long random walk over the rules of the machine, weighted as life weighs them; and the shortest walk that still fails.

Hypothesis chooses rules evenly and leaves many out; most servers see a thousand backups for one lost disk. A step is a name
and plain values that mean something in every state, so that steps can be left out: that is how a failing walk is shortened.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.model.machine import SETTINGS, Hierarchy
from tests.model.world import COPY_POOL, NODES, POOLS, PRIMARY_POOLS

Step = tuple[str, dict[str, Any]]
_Chance = random.Random


def _files(chance: _Chance) -> list[tuple[int, int]]:
    return [(name, chance.randrange(12)) for name in chance.sample(range(6), chance.randint(1, 5))]


def _node(chance: _Chance) -> str:
    return chance.choice(NODES)


def _index(chance: _Chance) -> int:
    return chance.randrange(100)


RULES: dict[str, tuple[int, Callable[[_Chance], dict[str, Any]]]] = {
    "back_up": (24, lambda c: {"node": _node(c), "files": _files(c)}),
    "archive": (10, lambda c: {"node": _node(c), "files": _files(c)}),
    "files_are_gone": (4, lambda c: {"node": _node(c), "names": c.sample(range(6), 2)}),
    "node_deletes": (4, lambda c: {"node": _node(c), "which": [_index(c), _index(c)]}),
    "delete_file_space": (1, lambda c: {"node": _node(c)}),
    "days_pass": (4, lambda c: {"days": c.randint(1, 5)}),
    "expire_inventory": (5, lambda c: {}),
    "housekeeping": (5, lambda c: {}),
    "housekeeping_at_the_target": (3, lambda c: {}),
    "work_at_the_target": (2, lambda c: {"reclaims": c.random() < 0.7}),
    "migrate": (8, lambda c: {"pool": c.choice(("DISKPOOL", "TAPEPOOL")), "low": c.choice((0, 0, 30))}),
    "reclaim": (6, lambda c: {"pool": c.choice(POOLS[1:]), "threshold": c.choice((1, 1, 20, 50))}),
    "move_data": (4, lambda c: {"which": _index(c), "to": c.choice(("", *PRIMARY_POOLS))}),
    "move_nodedata": (
        2,
        lambda c: {"node": _node(c), "source": c.choice(POOLS[1:3]), "to": c.choice(POOLS[1:3])},
    ),
    "back_up_pool": (14, lambda c: {"pool": c.choice(PRIMARY_POOLS)}),
    "restore_pool": (6, lambda c: {"pool": c.choice(PRIMARY_POOLS)}),
    "restore_volume": (2, lambda c: {"which": _index(c)}),
    "audit_pool": (4, lambda c: {"pool": c.choice(POOLS), "fix": c.random() < 0.5}),
    "audit_catalog": (3, lambda c: {}),
    "delete_volume": (1, lambda c: {"which": _index(c)}),
    "a_record_is_damaged": (2, lambda c: {"which": _index(c), "byte": c.choice((5, 40, 100, 300))}),
    "a_volume_is_lost": (1, lambda c: {"which": _index(c)}),
    "a_record_is_damaged_at_the_target": (2, lambda c: {"which": _index(c), "byte": c.choice((5, 100))}),
    "a_volume_is_lost_at_the_target": (1, lambda c: {"which": _index(c)}),
    "arm_kill": (
        8,
        lambda c: {"of_target": c.random() < 0.35, "at": c.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 14))},
    ),
    "restart": (1, lambda c: {"of_target": c.random() < 0.5}),
    "link": (3, lambda c: {"up": c.random() < 0.7}),
    "set": (6, lambda c: {"setting": c.choice(SETTINGS)}),
    "set_access": (
        2,
        lambda c: {
            "which": _index(c),
            "access": c.choice(("READWRITE", "READONLY", "UNAVAILABLE", "UNAVAILABLE", "DESTROYED")),
        },
    ),
    "everything_is_given_back": (6, lambda c: {}),
}
assert COPY_POOL in POOLS


def steps_of(seed: int, count: int) -> list[Step]:
    """The walk with this number, the same one every time."""
    chance = random.Random(seed)
    names, weights = list(RULES), [weight for weight, _ in RULES.values()]
    chosen = chance.choices(names, weights, k=count)
    return [("begin", {"first": _files(chance), "second": _files(chance)})] + [
        (name, RULES[name][1](chance)) for name in chosen
    ]


def replay(make: Callable[[], Hierarchy], steps: Iterable[Step]) -> None:
    """Do these steps, and check after each. Raises what is wrong, with the number of the step."""
    machine = make()
    try:
        for number, (name, values) in enumerate(steps):
            try:
                getattr(machine, name)(**values)
                machine.check()
            except BaseException as error:
                error.add_note(f"in step {number}: {name} {values}")
                raise
    finally:
        machine.teardown()


def shortened(make: Callable[[], Hierarchy], steps: Sequence[Step], failure: BaseException) -> list[Step]:
    """Leave steps out as long as it fails in the same way."""
    left = list(steps)
    size = len(left) // 2
    while size:
        at = 0
        while at < len(left):
            tried = left[:at] + left[at + size :]
            if _fails_alike(make, tried, failure):
                left = tried
            else:
                at += size
        size //= 2
    return left


def _fails_alike(make: Callable[[], Hierarchy], steps: Sequence[Step], failure: BaseException) -> bool:
    try:
        replay(make, steps)
    except Exception as error:
        return type(error) is type(failure) and _place(error) == _place(failure)
    return False


def _place(error: BaseException) -> tuple[str, int]:
    """Where in the tests it was raised."""
    place = ("", 0)
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.endswith("machine.py"):
            place = (trace.tb_frame.f_code.co_name, trace.tb_lineno)
        trace = trace.tb_next
    return place


def as_text(steps: Iterable[Step]) -> str:
    """To be pasted into `test_histories.py`."""
    return "\n".join(
        f"        m.{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"
        for name, values in steps
    )
