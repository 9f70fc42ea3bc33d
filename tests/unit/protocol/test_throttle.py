"""Failed sign-ons: guessing gets slow, owners get in, nothing lasts for ever."""

from __future__ import annotations

import pytest

from farvault.base.clock import ManualClock
from farvault.base.errors import LoginRefused
from farvault.protocol import throttle as module
from farvault.protocol.throttle import Throttle


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def throttle(clock: ManualClock) -> Throttle:
    return Throttle(clock)


def is_paused(throttle: Throttle, name: str, host: str) -> bool:
    try:
        throttle.check(name, host)
    except LoginRefused:
        return True
    return False


def pause(throttle: Throttle, clock: ManualClock, name: str, host: str) -> int:
    """Fail once, from a host that has failed nowhere else, and wait until the name may try again."""
    throttle.failed(name, host)
    seconds = 0
    while is_paused(throttle, name, "unused"):
        clock.advance(1)
        seconds += 1
    return seconds


def test_five_tries_are_free_then_the_pause_doubles_to_fifteen_minutes(
    throttle: Throttle, clock: ManualClock
) -> None:
    pauses = [pause(throttle, clock, "DELHI", f"host {n}") for n in range(17)]
    assert pauses == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_the_refusal_says_how_long(throttle: Throttle) -> None:
    for _ in range(7):
        throttle.failed("DELHI", "host")
    with pytest.raises(LoginRefused, match="4 seconds"):
        throttle.check("DELHI", "host")


def test_what_was_refused_without_a_try_does_not_count(throttle: Throttle, clock: ManualClock) -> None:
    for _ in range(5):
        throttle.failed("DELHI", "host")
    for _ in range(1000):
        assert is_paused(throttle, "DELHI", "host")
    clock.advance(1)
    throttle.check("DELHI", "host")


def test_the_right_password_clears_the_name(throttle: Throttle) -> None:
    for _ in range(4):
        throttle.failed("DELHI", "host")
    throttle.succeeded("DELHI", "host")
    for _ in range(4):
        throttle.failed("DELHI", "host")
    throttle.check("DELHI", "host")


def test_a_stranger_cannot_lock_the_owner_out(throttle: Throttle) -> None:
    throttle.succeeded("DELHI", "home")
    for n in range(50):
        throttle.failed("DELHI", f"stranger {n}")
    assert is_paused(throttle, "DELHI", "yet another")
    throttle.check("DELHI", "home")


def test_the_owners_host_is_slowed_by_its_own_failures(throttle: Throttle) -> None:
    throttle.succeeded("DELHI", "home")
    for _ in range(6):
        throttle.failed("DELHI", "home")
    assert is_paused(throttle, "DELHI", "home")
    throttle.check("DELHI", "elsewhere")


def test_an_hour_of_quiet_is_a_new_start(throttle: Throttle, clock: ManualClock) -> None:
    for n in range(12):
        throttle.failed("DELHI", f"host {n}")
    clock.advance(3601)
    assert pause(throttle, clock, "DELHI", "host") == 0


def test_a_host_has_twenty_failures_a_minute_whatever_the_names(
    throttle: Throttle, clock: ManualClock
) -> None:
    for n in range(20):
        throttle.check(f"NAME{n}", "scanner")
        throttle.failed(f"NAME{n}", "scanner")
    assert is_paused(throttle, "NAME20", "scanner")
    throttle.check("NAME20", "somebody else")
    clock.advance(3)
    throttle.check("NAME20", "scanner")
    throttle.failed("NAME20", "scanner")
    assert is_paused(throttle, "NAME21", "scanner")
    clock.advance(60)
    throttle.check("NAME21", "scanner")


def test_memory_is_bounded(throttle: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ENTRIES", 100)
    for n in range(1000):
        throttle.failed(f"NAME{n}", f"host {n}")
        throttle.succeeded(f"OTHER{n}", f"host {n}")
    assert max(len(t._entries) for t in (throttle._failures, throttle._hosts, throttle._trusted)) == 100
