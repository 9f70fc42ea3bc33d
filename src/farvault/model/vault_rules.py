"""What a source may do at this server, set by this server's administrator only, and where trust in it stands.

UPDATE NODE sets the attributes with keywords; the other fields are kept by the sessions of the source. A node without
a stored row has the defaults, which are TSM's behaviour; the manual recommends more.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import Attribute, Choice, Integer, Noun, Size, YesNo

ALLOW = "ALLOW"
APPROVE = "APPROVE"


class VaultRules(Noun, frozen=True, kw_only=True):
    """UPDATE NODE of a node of TYPE=SERVER. `pending_*`: a FORCESYNC that waits; `asleep_*`: deletions that sleep."""

    TABLE: ClassVar[str] = "vault_rules"
    KEY: ClassVar[tuple[str, ...]] = ("node_id",)
    TITLE: ClassVar[str] = "vault rules"

    node_id: int = 0
    force_sync: Annotated[
        str,
        Attribute(
            label="Force Synchronization",
            kind=Choice("ALlow", "APprove"),
            default=ALLOW,
            help="is a new code taken at once, or does it wait for APPROVE FORCESYNC",
        ),
    ] = ALLOW
    read_only_sessions: Annotated[
        bool,
        Attribute(
            keyword="READONLYSessions",
            label="Read-only Sessions?",
            kind=YesNo(),
            default=True,
            help="source: may a server that knows only the password read",
        ),
    ] = True
    min_retention_days: Annotated[
        int,
        Attribute(
            keyword="MINRETention",
            label="Minimum Retention",
            kind=Integer(0, 9999),
            default=0,
            help="source: days since receipt before anything is removed",
        ),
    ] = 0
    min_grace_days: Annotated[
        int,
        Attribute(
            keyword="MINGRace",
            label="Minimum Grace Period",
            kind=Integer(0, 9999),
            default=0,
            help="source: least days between a deletion and the removal",
        ),
    ] = 0
    mass_delete_percent: Annotated[
        int,
        Attribute(
            keyword="MASSDELETEPct",
            label="Mass Deletion Percent",
            kind=Integer(0, 100),
            default=5,
            help="source: more of its volumes deleted in an hour stop further deletions; 0 = no such limit",
        ),
    ] = 5
    mass_delete_count: Annotated[
        int,
        Attribute(
            keyword="MASSDELETECount",
            label="Mass Deletion Count",
            kind=Integer(0, 1_000_000),
            default=50,
            help="source: the same as a number of volumes; 0 = no such limit",
        ),
    ] = 50
    max_vault_bytes: Annotated[
        int | None,
        Attribute(
            keyword="MAXVAULTBytes",
            label="Maximum Vault Bytes",
            kind=Size(nolimit=True),
            default=None,
            help="source: most bytes its virtual volumes may have in all",
        ),
    ] = None
    max_vault_volumes: Annotated[
        int | None,
        Attribute(
            keyword="MAXVAULTVolumes",
            label="Maximum Vault Volumes",
            kind=Integer(1, 2**31 - 1, nolimit=True),
            default=None,
            help="source: most virtual volumes",
        ),
    ] = None
    epoch: int | None = None
    reconcile_since_time: int = 0
    pending_code_key: bytes = b""
    pending_identity: bytes = b""
    pending_time: int = 0
    pending_address: str = ""
    asleep_time: int = 0
    asleep_running: int = 0
    asleep_days: int = 0
    mass_stopped_time: int = 0
    mass_allowed_running: int = 0
    refused_changes: int = 0
    last_refused_time: int = 0
    own_data_time: int = 0
