"""Is an object held, and by which hold? Rules are looked at when something is about to go; see decision 9."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from farvault.base.wildcard import wildcard
from farvault.model.hold import HoldRule


class Holding:
    """The rules that concern one file space, ready to be asked. `holds`: hold number -> name."""

    def __init__(self, holds: Mapping[int, str], rules: Iterable[HoldRule], file_space_id: int) -> None:
        self._rules: dict[str, list[tuple[HoldRule, Callable[[bytes], bool]]]] = {}
        for rule in sorted(rules, key=lambda each: each.id, reverse=True):
            if rule.file_space_id in (None, file_space_id):
                self._rules.setdefault(holds[rule.hold_id], []).append((rule, path_matches(rule.pattern)))
        self._rules = {
            name: judged for name, judged in self._rules.items() if any(rule.holds for rule, _ in judged)
        }

    def __bool__(self) -> bool:
        """Can it hold anything at all?"""
        return bool(self._rules)

    def by(self, path: bytes, kind: int, inserted_time: int) -> tuple[str, ...]:
        """Names of the holds that hold an object with this path in its file space (`/folder/name`)."""
        return tuple(
            name for name, rules in sorted(self._rules.items()) if _decides(rules, path, kind, inserted_time)
        )


def path_of(directory: bytes, name: bytes) -> bytes:
    """The path within the file space, as patterns see it; `directory` is as the catalog keeps it."""
    return b"/" + (directory.replace(b"\0", b"/") + b"/" if directory else b"") + name


def path_matches(pattern: str) -> Callable[[bytes], bool]:
    """A test for paths within a file space; `*` stands for any run of characters, `/` among them, `?` for any one."""
    matches = wildcard(pattern)
    return lambda path: matches(path.decode("utf-8", "surrogateescape"))


def _decides(
    rules: list[tuple[HoldRule, Callable[[bytes], bool]]], path: bytes, kind: int, inserted_time: int
) -> bool:
    """The newest rule that matches, given newest first."""
    for rule, matches in rules:
        if (
            rule.kind in (0, kind)
            and (rule.from_time is None or inserted_time >= rule.from_time)
            and (rule.to_time is None or inserted_time <= rule.to_time)
            and matches(path)
        ):
            return rule.holds
    return False
