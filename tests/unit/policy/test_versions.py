"""Which versions stay: a golden table, and a comparison with something slow that is obviously right."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.model.policy import ARCHIVE, BACKUP, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.policy.retention import ArchiveRule, BackupRule, Grace, Retention
from farvault.policy.versions import (
    AT_ONCE,
    DAY_SECONDS,
    Decision,
    Version,
    Why,
    decide_archive,
    decide_versions,
    is_beyond,
)

TABLE = Path(__file__).parents[2] / "golden" / "policy" / "versions.txt"
LONG = BackupRule("LONG", 100, 100, 365, 730)
WORDS = {
    Why.BEYOND_EXISTS: "VEREXISTS",
    Why.BEYOND_DELETED: "VERDELETED",
    Why.EXTRA: "RETEXTRA",
    Why.ONLY: "RETONLY",
    Why.BACKUP_GRACE: "BACKRETENTION",
    Why.ARCHIVE: "RETVER",
    Why.ARCHIVE_EVENT: "event",
    Why.ARCHIVE_LEAST: "RETMIN",
    Why.ARCHIVE_GRACE: "ARCHRETENTION",
}


class Case(NamedTuple):
    kind: str
    what: str
    rule: str
    versions: str
    today: str
    expected: str


CASES = [
    Case(*(part.strip() for part in line.split(" | ")))
    for line in TABLE.read_text().splitlines()
    if line and not line.startswith("#")
]


def days(text: str) -> int | None:
    return None if text == "*" else int(text)


def backup_rule(text: str) -> BackupRule | Grace | None:
    if text == "none":
        return None
    if text.startswith("grace"):
        return Grace(int(text.split()[1]))
    exist, deleted, extra, only = map(days, text.split("/"))
    return BackupRule("STANDARD", exist, deleted, extra, only)


def archive_rule(text: str) -> ArchiveRule | Grace | None:
    if text == "none":
        return None
    word, values = text.split()
    if word == "grace":
        return Grace(int(values))
    keep, least = values.split("/")
    return ArchiveRule("STANDARD", days(keep), word == "event", int(least))


def version(text: str, rule: BackupRule | Grace | None) -> Version:
    when, _, name = text.partition(":")
    return Version(
        when == "A", 0 if when == "A" else int(when) * DAY_SECONDS, LONG if name == "LONG" else rule
    )


def shown(decision: Decision, today: int) -> str:
    if decision.why is Why.ACTIVE:
        return "stays"
    if decision.goes is None:
        return "never"
    return WORDS[decision.why] if decision.is_due(today * DAY_SECONDS) else str(decision.goes // DAY_SECONDS)


def test_the_table_is_large() -> None:
    assert len(CASES) >= 60
    assert len({(case.kind, case.rule, case.versions, case.today) for case in CASES}) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.what}")
def test_what_the_table_says_becomes_of_each_version(case: Case) -> None:
    today = int(case.today)
    if case.kind == "backup":
        asked = [version(text, backup_rule(case.rule)) for text in case.versions.split()]
        decisions = decide_versions(asked)
    else:
        inserted, _, event = case.versions.partition(" event ")
        event_time = int(event) * DAY_SECONDS if event else None
        decisions = [decide_archive(int(inserted) * DAY_SECONDS, event_time, archive_rule(case.rule))]
    assert " ".join(shown(decision, today) for decision in decisions) == case.expected


# --- the slow reference ------------------------------------------------------------------------------------------------


def survivors(versions: list[Version], now: int) -> set[int]:
    """Places of what is left, by doing it as a person with paper would: cross out, look again, until nothing changes.

    Versions too many first; then, one at a time from the oldest, those whose days are over. The newest of a deleted
    file counts as the only one when it is alone.
    """
    left = list(range(len(versions)))
    gone = not any(versions[place].is_active for place in left)
    for place in list(left):
        rule = versions[place].rule
        if isinstance(rule, BackupRule) and not versions[place].is_active:
            most = rule.versions_deleted if gone else rule.versions_exist
            if most is not None and place + 1 > most:
                left.remove(place)
    with_group = [p for p in left if isinstance(versions[p].rule, BackupRule) and not versions[p].is_active]
    last = with_group[0] if gone and with_group else None
    changed = True
    while changed:
        changed = False
        for place in reversed(left):
            one = versions[place]
            if one.is_active or one.rule is None:
                continue
            if isinstance(one.rule, Grace):
                kept_days = one.rule.days
            elif place == last and not any(other > place for other in left):
                kept_days = one.rule.retain_only_days
            elif place == last:
                continue
            else:
                kept_days = one.rule.retain_extra_days
            if kept_days is not None and now - one.deactivated_time > kept_days * DAY_SECONDS:
                left.remove(place)
                changed = True
                break
    return set(left)


_days = st.none() | st.integers(0, 8)
_rules = st.one_of(
    st.builds(
        BackupRule, st.just("C"), st.none() | st.integers(1, 5), st.none() | st.integers(0, 5), _days, _days
    ),
    st.builds(Grace, st.integers(0, 8)),
    st.none(),
)


@st.composite
def _histories(draw: st.DrawFn) -> list[Version]:
    """Versions of one name, newest first: each became inactive no later than the one after it."""
    one_rule = draw(st.booleans())
    rule = draw(_rules)
    times = sorted(draw(st.lists(st.integers(0, 20 * DAY_SECONDS), max_size=6)), reverse=True)
    found = [Version(False, time, rule if one_rule else draw(_rules)) for time in times]
    active = [Version(True, 0, rule if one_rule else draw(_rules))] if draw(st.booleans()) else []
    return active + found


@given(_histories(), st.integers(0, 40 * DAY_SECONDS))
@settings(max_examples=600, deadline=None)
def test_decisions_are_those_of_the_slow_reference(versions: list[Version], now: int) -> None:
    decisions = decide_versions(versions)
    left = {place for place, decision in enumerate(decisions) if not decision.is_due(now)}
    assert left == survivors(versions, now)


@given(_histories(), st.integers(0, 20 * DAY_SECONDS), st.integers(0, 20 * DAY_SECONDS))
@settings(max_examples=300, deadline=None)
def test_a_run_in_between_changes_nothing(versions: list[Version], first: int, later: int) -> None:
    """Expiring today and again later leaves what expiring only later leaves (places shift, so counts are left out)."""
    unlimited = [
        one._replace(rule=one.rule._replace(versions_exist=None, versions_deleted=None))
        if isinstance(one.rule, BackupRule)
        else one
        for one in versions
    ]

    def after(kept: list[Version], now: int) -> list[Version]:
        return [one for one, what in zip(kept, decide_versions(kept), strict=True) if not what.is_due(now)]

    early, late = sorted((first, later))
    if len({one.rule for one in unlimited}) == 1:
        assert after(after(unlimited, early), late) == after(unlimited, late)


@given(_histories(), st.integers(0, 40 * DAY_SECONDS))
@settings(max_examples=200, deadline=None)
def test_active_versions_and_those_without_policy_stay(versions: list[Version], now: int) -> None:
    for one, decision in zip(versions, decide_versions(versions), strict=True):
        if one.is_active or one.rule is None:
            assert not decision.is_due(now)
        if isinstance(one.rule, BackupRule) and decision.goes == AT_ONCE and one.deactivated_time:
            assert decision.why in (Why.BEYOND_EXISTS, Why.BEYOND_DELETED) or decision.is_due(now)


def is_kept(today: int, stored: int, event: int | None, rule: ArchiveRule | Grace | None) -> bool:
    """Is an archive copy still there on a day? Told the other way round: by what keeps it. Whole days."""
    if rule is None:
        return True
    if isinstance(rule, Grace):
        return today <= stored + rule.days
    if not rule.by_event:
        return rule.retain_days is None or today <= stored + rule.retain_days
    waits = event is None
    in_its_time = event is not None and (rule.retain_days is None or today <= event + rule.retain_days)
    at_least = today <= stored + rule.retain_min_days
    return waits or in_its_time or at_least


_archive_rules = st.one_of(
    st.builds(ArchiveRule, st.just("C"), st.none() | st.integers(0, 9), st.booleans(), st.integers(0, 9)),
    st.builds(Grace, st.integers(0, 9)),
    st.none(),
)


@given(st.integers(0, 9), st.none() | st.integers(0, 9), _archive_rules)
@settings(max_examples=500, deadline=None)
def test_an_archive_copy_goes_on_the_first_day_on_which_nothing_keeps_it(
    stored: int, days_to_event: int | None, rule: ArchiveRule | Grace | None
) -> None:
    event = None if days_to_event is None else stored + days_to_event
    event_time = None if event is None else event * DAY_SECONDS
    decision = decide_archive(stored * DAY_SECONDS, event_time, rule)
    for today in range(40):
        assert decision.is_due(today * DAY_SECONDS) != is_kept(today, stored, event, rule)


def test_only_a_copy_group_limits_the_number() -> None:
    rule = BackupRule("C", 2, 1, None, None)
    assert [is_beyond(rule, place, False) for place in range(3)] == [False, False, True]
    assert [is_beyond(rule, place, True) for place in range(3)] == [False, True, True]
    assert not is_beyond(Grace(0), 100, True) and not is_beyond(None, 100, True)


# --- which rule a class leads to -----------------------------------------------------------------------------------------

_PLACE = {"domain": "D", "policy_set": "ACTIVE"}
DOMAIN = Domain(name="D", backup_retention_days=7, archive_retention_days=9)
ACTIVE_SET = PolicySet(domain="D", name="ACTIVE", default_class="DEF")


def group(name: str, kind: str = BACKUP, **more: int) -> CopyGroup:
    return CopyGroup(**_PLACE, management_class=name, type=kind, destination="P", **more)


def classes(*names: str) -> list[ManagementClass]:
    return [ManagementClass(**_PLACE, name=name) for name in names]


def test_a_class_with_a_copy_group_decides_itself() -> None:
    retention = Retention(
        DOMAIN, ACTIVE_SET, classes("DEF", "OWN"), [group("DEF"), group("OWN", versions_exist=9)]
    )
    assert retention.backup("OWN") == BackupRule("OWN", 9, 1, 30, 60)


@pytest.mark.parametrize("name", ["GONE", "EMPTY"])
def test_a_class_that_is_gone_or_has_no_copy_group_leads_to_the_default(name: str) -> None:
    groups = [group("DEF", versions_exist=4), group("DEF", ARCHIVE, retain_version_days=5)]
    retention = Retention(DOMAIN, ACTIVE_SET, classes("DEF", "EMPTY"), groups)
    assert retention.backup(name) == BackupRule("DEF", 4, 1, 30, 60)
    assert retention.archive(name) == ArchiveRule("DEF", 5, False, 365)


def test_without_any_copy_group_the_domain_has_its_grace_periods() -> None:
    retention = Retention(DOMAIN, ACTIVE_SET, classes("DEF"), [])
    assert retention.backup("DEF") == Grace(7) and retention.archive("ANY") == Grace(9)


def test_the_kinds_do_not_stand_in_for_each_other() -> None:
    retention = Retention(DOMAIN, ACTIVE_SET, classes("DEF"), [group("DEF", ARCHIVE)])
    assert retention.backup("DEF") == Grace(7)


_names = st.sampled_from(["DEF", "A", "B", "GONE", ""])
_groups = st.builds(
    CopyGroup,
    **{key: st.just(value) for key, value in _PLACE.items()},
    management_class=_names,
    type=st.sampled_from([BACKUP, ARCHIVE]),
    destination=st.just("P"),
    versions_exist=st.integers(1, 9),
    retain_version_days=st.integers(0, 9),
)


@given(st.lists(_groups, max_size=6, unique_by=lambda one: (one.management_class, one.type)), _names, _names)
@settings(max_examples=300, deadline=None)
def test_a_class_leads_where_the_reference_says(groups: list[CopyGroup], default: str, name: str) -> None:
    """Its own copy group if there are both; else the default class's, if there are both; else the grace period."""
    defined = ["DEF", "A", "B"]
    active = PolicySet(domain="D", name="ACTIVE", default_class=default)
    retention = Retention(DOMAIN, active, classes(*defined), groups)
    for kind, answer, grace in (
        (BACKUP, retention.backup(name), Grace(7)),
        (ARCHIVE, retention.archive(name), Grace(9)),
    ):
        expected: object = grace
        for asked in (default, name):
            for one in groups:
                if one.type == kind and one.management_class == asked and asked in defined:
                    expected = asked
        found = answer if isinstance(answer, Grace) else answer.management_class if answer else None
        assert found == expected


@pytest.mark.parametrize(("domain", "active"), [(None, None), (DOMAIN, None), (None, ACTIVE_SET)])
def test_without_an_active_set_there_is_no_rule(domain: Domain | None, active: PolicySet | None) -> None:
    retention = Retention(domain, active, classes("DEF"), [group("DEF")])
    assert retention.backup("DEF") is None and retention.archive("DEF") is None
