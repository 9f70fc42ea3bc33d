"""What must be true of a server, whatever it has been through: a few dictionaries, no data, no I/O.

The model knows two things. Which versions and archive copies a node sees: plain arithmetic on the policy below. And where
an intact record of each of them lies (`Homes`, as an eye on the disks sees it, not as the catalog says). No work of a
server may take the last home of a kind away from an object: only what a test breaks on purpose, and what an administrator
throws away by name, does. So the promise after each step is simply what lay on the disks before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

DAY_SECONDS = 86_400
VERSIONS_EXIST, VERSIONS_DELETED = 2, 1
EXTRA_DAYS, ONLY_DAYS, ARCHIVE_DAYS = 5, 10, 8

File = tuple[str, bytes]
"""(node, name)."""


@dataclass(frozen=True)
class Homes:
    """Volumes on which an intact record of an object lies, in primary and in copy pools."""

    primary: frozenset[str] = frozenset()
    copy: frozenset[str] = frozenset()
    is_unnoticed: bool = False
    """The catalog counts on a record of it that is damaged."""
    is_trusted: bool = False
    """Its target says that it holds a record of it, and does not know that this one is damaged."""

    @property
    def all(self) -> frozenset[str]:
        return self.primary | self.copy


@dataclass(frozen=True)
class Version:
    """One backup version. `gone_time`: since when it is inactive; None = it is the active one."""

    number: int
    content: int
    gone_time: int | None = None


@dataclass(frozen=True)
class Archived:
    number: int
    file: File
    content: int
    stored_time: int


@dataclass
class ReferenceModel:
    """Everything nodes must see, and where it must lie."""

    versions: dict[File, list[Version]] = field(default_factory=dict)
    """The newest in front."""
    archived: dict[int, Archived] = field(default_factory=dict)
    homes: dict[int, Homes] = field(default_factory=dict)
    leaving: tuple[Homes, ...] = ()
    """Of objects that no node sees any more and that no expiration has deleted yet."""
    access: dict[str, str] = field(default_factory=dict)
    """Volumes that somebody has set to another access than READWRITE."""
    broken: set[str] = field(default_factory=set)
    """Volumes whose media is lost."""

    def copy(self) -> ReferenceModel:
        return replace(
            self,
            versions={file: list(several) for file, several in self.versions.items()},
            archived=dict(self.archived),
            homes=dict(self.homes),
            access=dict(self.access),
            broken=set(self.broken),
        )

    # --- what nodes do ---------------------------------------------------------------------------------------------

    def stored(self, file: File, number: int, content: int, now: int) -> None:
        """A new version is active; the one before is not, and what is beyond VEREXISTS is seen no more."""
        older = [_left(version, now) for version in self.versions.get(file, [])]
        self.versions[file] = [Version(number, content), *older][:VERSIONS_EXIST]

    def gone(self, file: File, now: int) -> None:
        """The file is not there any more at the node: VERDELETED counts."""
        self.versions[file] = [_left(version, now) for version in self.versions[file]][:VERSIONS_DELETED]

    def archive(self, file: File, number: int, content: int, now: int) -> None:
        self.archived[number] = Archived(number, file, content, now)

    def deleted(self, numbers: Collection[int]) -> None:
        """These objects are gone for good."""
        for file, several in list(self.versions.items()):
            self.versions[file] = [version for version in several if version.number not in numbers]
            if not self.versions[file]:
                del self.versions[file]
        for number in set(numbers) & set(self.archived):
            del self.archived[number]

    def expired(self, now: int) -> None:
        """EXPIRE INVENTORY has run."""
        self.deleted([number for several in self.versions.values() for number in _due(several, now)])
        old = [one for one in self.archived.values() if now > one.stored_time + ARCHIVE_DAYS * DAY_SECONDS]
        self.deleted([one.number for one in old])

    # --- what nodes see --------------------------------------------------------------------------------------------

    @property
    def contents(self) -> dict[int, int]:
        """Object -> content, of everything a node may ask for."""
        found = {v.number: v.content for several in self.versions.values() for v in several}
        return found | {one.number: one.content for one in self.archived.values()}

    def numbers_of(self, node: str) -> list[int]:
        """The node's backup versions and archive copies."""
        found = [v.number for file, several in self.versions.items() if file[0] == node for v in several]
        return found + [one.number for one in self.archived.values() if one.file[0] == node]

    def inventory(self, node: str) -> set[tuple[int, bytes, bool]]:
        """(object, name, is active) of the node's backup versions."""
        return {
            (version.number, file[1], version.gone_time is None)
            for file, several in self.versions.items()
            if file[0] == node
            for version in several
        }

    def archives(self, node: str) -> set[tuple[int, bytes]]:
        return {(one.number, one.file[1]) for one in self.archived.values() if one.file[0] == node}

    # --- where it lies ---------------------------------------------------------------------------------------------

    def seen(self, homes: Mapping[int, Homes]) -> None:
        """This is how it is now: after it was checked, or after the test itself has broken something."""
        contents = self.contents
        self.homes = {number: homes.get(number, Homes()) for number in contents}
        self.leaving = tuple(each for number, each in homes.items() if number not in contents)

    def lost_homes(self, homes: Mapping[int, Homes], thrown_away: Collection[str] = ()) -> list[str]:
        """What the server took away though it may not; `thrown_away`: volumes an administrator has deleted by name."""
        wrong = []
        for number in self.contents:
            before, now = self.homes.get(number, Homes()), homes.get(number, Homes())
            if before.primary - set(thrown_away) and not now.primary and not now.is_trusted:
                wrong.append(f"object {number} lay on {sorted(before.primary)}: on no primary volume now")
            if before.copy - set(thrown_away) and not now.copy and not now.is_trusted:
                wrong.append(f"object {number} lay on {sorted(before.copy)}: on no copy volume now")
        return wrong

    def must_restore(self, reachable: Collection[str]) -> set[int]:
        """Objects that a node must get at this moment, when these volumes can be reached."""
        return {number for number in self.contents if self.homes[number].all & set(reachable)}

    def without_home(self) -> set[int]:
        """Objects whose data is lost for good."""
        return {number for number in self.contents if not self.homes[number].all}

    @property
    def is_whole(self) -> bool:
        """Nothing is broken, lost or put away: no command may fail."""
        return not self.access and not self.broken and not self.without_home() and not self._any_doubt

    @property
    def _any_doubt(self) -> bool:
        return any(
            homes.is_unnoticed or homes.is_trusted or not homes.primary
            for homes in (*self.homes.values(), *self.leaving)
        )

    def wrong_access(self, access: Mapping[str, str]) -> list[str]:
        """Volumes that a server has set to an access for which there is no reason."""
        return [
            f"{volume} is {now}"
            for volume, now in access.items()
            if now != self.access.get(volume, "READWRITE")
        ]


def _left(version: Version, now: int) -> Version:
    return version if version.gone_time is not None else replace(version, gone_time=now)


def _due(several: list[Version], now: int) -> Iterable[int]:
    """Of one file's versions, those that go: RETEXTRA; where the file is gone one stays, for RETONLY."""
    is_gone = all(version.gone_time is not None for version in several)
    for place, version in enumerate(several):
        if version.gone_time is None:
            continue
        if is_gone and place >= VERSIONS_DELETED:
            yield version.number
            continue
        days = ONLY_DAYS if is_gone else EXTRA_DAYS
        if now > version.gone_time + days * DAY_SECONDS:
            yield version.number
