"""Policy: domains, policy sets, management classes, copy groups. Clients and expiration read only the set ACTIVE."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Choice, Integer, Name, Noun, Text, YesNo

ACTIVE = "ACTIVE"
STANDARD = "STANDARD"
BACKUP, ARCHIVE = "BACKUP", "ARCHIVE"
_VERSIONS = Integer(1, 9999, nolimit=True)
_DAYS = Integer(0, 9999, nolimit=True)


class Domain(Noun, frozen=True, kw_only=True):
    """DEFINE DOMAIN."""

    TABLE: ClassVar[str] = "domains"
    TITLE: ClassVar[str] = "policy domain"

    name: Annotated[
        str,
        Attribute(
            label="Policy Domain Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the domain",
        ),
    ]
    description: Annotated[
        str,
        Attribute(
            keyword="DESCription",
            label="Description",
            kind=Text(),
            default="",
            standard=True,
            help="free text",
        ),
    ] = ""
    backup_retention_days: Annotated[
        int,
        Attribute(
            keyword="BACKRETention",
            label="Backup Retention (Grace Period)",
            kind=Integer(0, 9999),
            default=30,
            help="days for inactive versions whose class is gone",
        ),
    ] = 30
    archive_retention_days: Annotated[
        int,
        Attribute(
            keyword="ARCHRETention",
            label="Archive Retention (Grace Period)",
            kind=Integer(0, 30000),
            default=365,
            help="days for archive copies whose class is gone",
        ),
    ] = 365
    activated_set: Annotated[
        str,
        Attribute(
            label="Activated Policy Set",
            kind=Name(30),
            default="",
            standard=True,
            help="the set copied to ACTIVE",
        ),
    ] = ""
    activated_time: int | None = None
    updated_time: int = 0
    updated_by: str = ""


class PolicySet(Noun, frozen=True, kw_only=True):
    """DEFINE POLICYSET."""

    TABLE: ClassVar[str] = "policy_sets"
    TITLE: ClassVar[str] = "policy set"
    KEY: ClassVar[tuple[str, ...]] = ("domain", "name")

    domain: Annotated[
        str,
        Attribute(
            label="Policy Domain Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="its domain",
        ),
    ]
    name: Annotated[
        str,
        Attribute(
            label="Policy Set Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the set",
        ),
    ]
    default_class: Annotated[
        str,
        Attribute(
            label="Default Mgmt Class Name",
            kind=Name(30),
            default="",
            standard=True,
            help="class of files bound to none",
        ),
    ] = ""
    description: Annotated[
        str,
        Attribute(
            keyword="DESCription",
            label="Description",
            kind=Text(),
            default="",
            standard=True,
            help="free text",
        ),
    ] = ""
    updated_time: int = 0
    updated_by: str = ""


class ManagementClass(Noun, frozen=True, kw_only=True):
    """DEFINE MGMTCLASS."""

    TABLE: ClassVar[str] = "management_classes"
    TITLE: ClassVar[str] = "management class"
    KEY: ClassVar[tuple[str, ...]] = ("domain", "policy_set", "name")

    domain: Annotated[
        str,
        Attribute(
            label="Policy Domain Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="its domain",
        ),
    ]
    policy_set: Annotated[
        str,
        Attribute(
            label="Policy Set Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="its set",
        ),
    ]
    name: Annotated[
        str,
        Attribute(
            label="Mgmt Class Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the class",
        ),
    ]
    space_management: Annotated[
        str,
        Attribute(
            keyword="SPACEMGTECHnique",
            label="Space Management Technique",
            kind=Choice("AUTOmatic", "SELective", "NONE"),
            default="NONE",
            help="may files migrate from the client",
        ),
    ] = "NONE"
    auto_migrate_days: Annotated[
        int,
        Attribute(
            keyword="AUTOMIGNOnuse",
            label="Auto-Migrate on Non-Use",
            kind=Integer(0, 9999),
            default=0,
            help="days without use before migration",
        ),
    ] = 0
    migration_requires_backup: Annotated[
        bool,
        Attribute(
            keyword="MIGREQUIRESBkup",
            label="Migration Requires Backup?",
            kind=YesNo(),
            default=True,
            help="only backed up files migrate",
        ),
    ] = True
    migration_destination: Annotated[
        str,
        Attribute(
            keyword="MIGDESTination",
            label="Migration Destination",
            kind=Name(30),
            default="SPACEMGPOOL",
            help="pool of migrated files",
        ),
    ] = "SPACEMGPOOL"
    description: Annotated[
        str,
        Attribute(
            keyword="DESCription",
            label="Description",
            kind=Text(),
            default="",
            standard=True,
            help="free text",
        ),
    ] = ""
    updated_time: int = 0
    updated_by: str = ""


class CopyGroup(Noun, frozen=True, kw_only=True):
    """DEFINE COPYGROUP. The variant is `type`: BACKUP or ARCHIVE. None stands for NOLIMIT."""

    TABLE: ClassVar[str] = "copy_groups"
    TITLE: ClassVar[str] = "copy group"
    KEY: ClassVar[tuple[str, ...]] = ("domain", "policy_set", "management_class", "type")

    domain: Annotated[
        str,
        Attribute(
            label="Policy Domain Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="its domain",
        ),
    ]
    policy_set: Annotated[
        str,
        Attribute(
            label="Policy Set Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="its set",
        ),
    ]
    management_class: Annotated[
        str,
        Attribute(
            label="Mgmt Class Name",
            kind=Name(30),
            default=REQUIRED,
            positional=True,
            standard=True,
            update=False,
            help="its class",
        ),
    ]
    name: Annotated[
        str,
        Attribute(
            label="Copy Group Name",
            kind=Choice("STANDARD"),
            default=STANDARD,
            positional=True,
            standard=True,
            update=False,
            help="always STANDARD",
        ),
    ] = STANDARD
    type: Annotated[
        str,
        Attribute(
            keyword="Type",
            label="Copy Group Type",
            kind=Choice("Backup", "Archive"),
            default=BACKUP,
            update=False,
            help="backup or archive",
        ),
    ] = BACKUP
    destination: Annotated[
        str,
        Attribute(
            keyword="DESTination",
            label="Copy Destination",
            kind=Name(30),
            default={BACKUP: REQUIRED, ARCHIVE: REQUIRED},
            help="primary pool that receives the data",
        ),
    ]
    versions_exist: Annotated[
        int | None,
        Attribute(
            keyword="VERExists",
            label="Versions Data Exists",
            kind=_VERSIONS,
            default={BACKUP: 2},
            standard=True,
            help="versions kept while the file exists",
        ),
    ] = 2
    versions_deleted: Annotated[
        int | None,
        Attribute(
            keyword="VERDeleted",
            label="Versions Data Deleted",
            kind=Integer(0, 9999, nolimit=True),
            default={BACKUP: 1},
            standard=True,
            help="versions kept after the file is gone",
        ),
    ] = 1
    retain_extra_days: Annotated[
        int | None,
        Attribute(
            keyword="RETExtra",
            label="Retain Extra Versions",
            kind=_DAYS,
            default={BACKUP: 30},
            standard=True,
            help="days an inactive version is kept",
        ),
    ] = 30
    retain_only_days: Annotated[
        int | None,
        Attribute(
            keyword="RETOnly",
            label="Retain Only Version",
            kind=_DAYS,
            default={BACKUP: 60},
            standard=True,
            help="days the last version of a deleted file is kept",
        ),
    ] = 60
    retain_version_days: Annotated[
        int | None,
        Attribute(
            keyword="RETVer",
            label="Retain Version",
            kind=Integer(0, 30000, nolimit=True),
            default={ARCHIVE: 365},
            standard=True,
            help="days an archive copy is kept",
        ),
    ] = 365
    frequency_days: Annotated[
        int,
        Attribute(
            keyword="FREQuency",
            label="Copy Frequency",
            kind=Integer(0, 9999),
            default={BACKUP: 0},
            help="least days between two full incremental backups",
        ),
    ] = 0
    mode: Annotated[
        str,
        Attribute(
            keyword="MODE",
            label="Copy Mode",
            kind=Choice("MODified", "ABSolute"),
            default={BACKUP: "MODIFIED", ARCHIVE: "ABSOLUTE"},
            help="changed files only, or all",
        ),
    ] = "MODIFIED"
    serialization: Annotated[
        str,
        Attribute(
            keyword="SERialization",
            label="Copy Serialization",
            kind=Choice("SHRSTatic", "STatic", "SHRDYnamic", "DYnamic"),
            default="SHRSTATIC",
            help="what to do with a file that changes while it is read",
        ),
    ] = "SHRSTATIC"
    retain_init: Annotated[
        str,
        Attribute(
            keyword="RETInit",
            label="Retention Initiation",
            kind=Choice("CREATion", "EVent"),
            default={ARCHIVE: "CREATION"},
            help="when archive retention starts",
        ),
    ] = "CREATION"
    retain_min_days: Annotated[
        int,
        Attribute(
            keyword="RETMin",
            label="Retain Minimum Days",
            kind=Integer(0, 30000),
            default={ARCHIVE: 365},
            help="least days with RETINIT=EVENT",
        ),
    ] = 365
    updated_time: int = 0
    updated_by: str = ""
