"""Validating a policy set: what keeps it from being activated, and what is only worth a warning."""

from __future__ import annotations

from farvault.model.policy import ARCHIVE, BACKUP, CopyGroup, ManagementClass, PolicySet
from farvault.model.storage_pool import COPY, SEQUENTIAL, StoragePool
from farvault.policy.activation import Findings, validate

POOLS = {
    "BACKUPPOOL": StoragePool(name="BACKUPPOOL", device_class="FILES", variant=SEQUENTIAL),
    "COPYPOOL": StoragePool(name="COPYPOOL", device_class="FILES", variant=COPY, pool_type="COPY"),
}


def managed(name: str, policy_set: str = "NEW", **more: object) -> ManagementClass:
    return ManagementClass(domain="D", policy_set=policy_set, name=name, **more)


def group(
    name: str, kind: str = BACKUP, destination: str = "BACKUPPOOL", policy_set: str = "NEW"
) -> CopyGroup:
    return CopyGroup(
        domain="D", policy_set=policy_set, management_class=name, type=kind, destination=destination
    )


def judge(
    classes: list[ManagementClass],
    groups: list[CopyGroup],
    default: str = "STANDARD",
    active: tuple[list[ManagementClass], list[CopyGroup]] = ([], []),
) -> Findings:
    return validate(PolicySet(domain="D", name="NEW", default_class=default), classes, groups, *active, POOLS)


def ids(findings: Findings) -> tuple[list[str], list[str]]:
    return [m.id for m in findings.errors], [m.id for m in findings.warnings]


FULL = [group("STANDARD"), group("STANDARD", ARCHIVE)]


def test_a_complete_set_is_fit() -> None:
    assert judge([managed("STANDARD")], FULL) == Findings([], [])


def test_without_a_default_class_it_cannot_be_activated() -> None:
    assert ids(judge([managed("STANDARD")], FULL, default="")) == (["ANR1554E"], [])
    assert ids(judge([managed("STANDARD")], FULL, default="GONE")) == (["ANR1554E"], [])


def test_a_default_class_without_a_copy_group_is_a_warning_each() -> None:
    assert ids(judge([managed("STANDARD")], FULL[:1])) == ([], ["ANR1556W"])
    assert ids(judge([managed("STANDARD")], FULL[1:])) == ([], ["ANR1555W"])


def test_other_classes_need_no_copy_groups() -> None:
    assert ids(judge([managed("STANDARD"), managed("OTHER")], FULL)) == ([], [])


def test_a_destination_that_is_not_defined_is_a_warning() -> None:
    findings = judge([managed("STANDARD")], [FULL[0], group("STANDARD", ARCHIVE, "NOWHERE")])
    assert ids(findings) == ([], ["ANR1557W"])
    assert "NOWHERE, archive destination of class STANDARD" in str(findings.warnings[0])


def test_a_copy_pool_as_destination_cannot_be_activated() -> None:
    assert ids(judge([managed("STANDARD")], [FULL[0], group("STANDARD", ARCHIVE, "COPYPOOL")]))[0] == [
        "ANR1558E"
    ]
    migrating = managed("M", space_management="SELECTIVE", migration_requires_backup=False)
    to_copy = managed(
        "C",
        space_management="AUTOMATIC",
        migration_requires_backup=False,
        migration_destination="COPYPOOL",
    )
    assert ids(judge([managed("STANDARD"), migrating, to_copy], FULL)) == (["ANR1558E"], ["ANR1557W"])
    idle = managed("I", migration_destination="COPYPOOL")
    assert ids(judge([managed("STANDARD"), idle], FULL)) == (["ANR1558E"], []), "also where nothing migrates"


def test_a_class_or_copy_group_that_active_has_and_this_has_not_is_a_warning() -> None:
    active = (
        [managed("STANDARD", "ACTIVE"), managed("OLD", "ACTIVE"), managed("HALF", "ACTIVE")],
        [group("OLD", policy_set="ACTIVE"), group("HALF", policy_set="ACTIVE")],
    )
    findings = judge([managed("STANDARD"), managed("HALF")], FULL, active=active)
    assert ids(findings) == ([], ["ANR1559W", "ANR1560W"])
    assert "OLD" in str(findings.warnings[0])
    assert "HALF" in str(findings.warnings[1])


def test_migration_that_needs_a_backup_needs_a_backup_copy_group() -> None:
    migrating = managed("M", space_management="AUTOMATIC", migration_destination="BACKUPPOOL")
    assert ids(judge([managed("STANDARD"), migrating], FULL)) == ([], ["ANR1561W"])
    assert ids(judge([managed("STANDARD"), migrating], [*FULL, group("M")])) == ([], [])
