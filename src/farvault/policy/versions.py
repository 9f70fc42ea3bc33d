"""Which versions stay, until when, and why (TSM reference, admin 4.8 and 4.9). Pure: times in, times out.

A decision names the moment after which a version goes, so the same function serves expiration (has it passed?), PREVIEW
and QUERY RETENTION (when will it?). Each version is judged by the rule of its own class, at its place among all
versions of its name. Holds are not known here: who asks lays them over.

One case the reference leaves open: RETONLY shorter than RETEXTRA. Here the newest version of a deleted file never goes
before an older one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from farvault.policy.retention import ArchiveRule, BackupRule, Grace

DAY_SECONDS = 86_400
AT_ONCE = -1
"""The moment of something that goes whatever the time is."""


class Why(StrEnum):
    """What decides about an object, in words for a report."""

    ACTIVE = "active version"
    BEYOND_EXISTS = "more versions than VEREXISTS"
    BEYOND_DELETED = "more versions of a deleted file than VERDELETED"
    EXTRA = "inactive: RETEXTRA"
    ONLY = "last version of a deleted file: RETONLY"
    BACKUP_GRACE = "no copy group: BACKRETENTION"
    ARCHIVE = "archive copy: RETVER"
    ARCHIVE_WAITS = "archive copy: waits for its event"
    ARCHIVE_EVENT = "archive copy: RETVER after its event"
    ARCHIVE_LEAST = "archive copy: RETMIN"
    ARCHIVE_GRACE = "no copy group: ARCHRETENTION"
    EXPIRED = "expired already"
    HELD = "held"
    NO_POLICY = "no active policy set"
    SOURCE = "deleted by its source only"
    MARKED = "deleted by its source: grace period, vault lock"


class Version(NamedTuple):
    """One backup version. `deactivated_time` counts where it is not active. `rule`: what its class leads to."""

    is_active: bool
    deactivated_time: int
    rule: BackupRule | Grace | None


class Decision(NamedTuple):
    """It goes when `goes` has passed: seconds UTC, `AT_ONCE`, or None for never. `by`: the deciding class, '' for none."""

    goes: int | None
    why: Why
    by: str = ""

    def is_due(self, now: int) -> bool:
        return self.goes is not None and now > self.goes


def decide_versions(versions: Sequence[Version]) -> list[Decision]:
    """Decisions about all backup versions of one name, given from the newest to the oldest (the active one first)."""
    file_is_gone = not any(version.is_active for version in versions)
    decisions = [_decide(version, place, file_is_gone) for place, version in enumerate(versions)]
    if file_is_gone:
        _spare_the_last(versions, decisions)
    return decisions


def decide_archive(inserted_time: int, event_time: int | None, rule: ArchiveRule | Grace | None) -> Decision:
    """An archive copy. `event_time`: when its event was signalled; None = it was not."""
    if rule is None:
        return Decision(None, Why.NO_POLICY)
    if isinstance(rule, Grace):
        return Decision(_after(inserted_time, rule.days), Why.ARCHIVE_GRACE)
    by = rule.management_class
    if not rule.by_event:
        return Decision(_after(inserted_time, rule.retain_days), Why.ARCHIVE, by)
    if event_time is None:
        return Decision(None, Why.ARCHIVE_WAITS, by)
    by_event = _after(event_time, rule.retain_days)
    least = inserted_time + rule.retain_min_days * DAY_SECONDS
    if by_event is not None and by_event < least:
        return Decision(least, Why.ARCHIVE_LEAST, by)
    return Decision(by_event, Why.ARCHIVE_EVENT, by)


def is_beyond(rule: BackupRule | Grace | None, place: int, file_is_gone: bool) -> bool:
    """Is a version at this place (0 = newest) one too many? This alone is judged when versions come or a file goes."""
    if not isinstance(rule, BackupRule):
        return False
    most = rule.versions_deleted if file_is_gone else rule.versions_exist
    return most is not None and place >= most


def _decide(version: Version, place: int, file_is_gone: bool) -> Decision:
    rule = version.rule
    if rule is None:
        return Decision(None, Why.NO_POLICY)
    by = rule.management_class if isinstance(rule, BackupRule) else ""
    if version.is_active:
        return Decision(None, Why.ACTIVE, by)
    if isinstance(rule, Grace):
        return Decision(_after(version.deactivated_time, rule.days), Why.BACKUP_GRACE)
    if is_beyond(rule, place, file_is_gone):
        return Decision(AT_ONCE, Why.BEYOND_DELETED if file_is_gone else Why.BEYOND_EXISTS, by)
    return Decision(_after(version.deactivated_time, rule.retain_extra_days), Why.EXTRA, by)


def _spare_the_last(versions: Sequence[Version], decisions: list[Decision]) -> None:
    """Of those within the limits the newest becomes the last one: RETONLY, but not before the others have gone."""
    staying = [place for place, decision in enumerate(decisions) if decision.why is Why.EXTRA]
    if not staying:
        return
    last = staying[0]
    version, rule = versions[last], versions[last].rule
    assert isinstance(rule, BackupRule)
    moments = [_after(version.deactivated_time, rule.retain_only_days)]
    moments += [decision.goes for decision in decisions[last + 1 :] if decision.goes != AT_ONCE]
    goes = None if None in moments else max(moment for moment in moments if moment is not None)
    decisions[last] = Decision(goes, Why.ONLY, rule.management_class)


def _after(moment: int, days: int | None) -> int | None:
    return None if days is None else moment + days * DAY_SECONDS
