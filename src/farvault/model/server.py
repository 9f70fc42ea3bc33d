"""A server definition: another Farvault server we talk to, in general or as the target of virtual volumes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Choice, Integer, Name, Noun, Text, YesNo

GENERAL = "GENERAL"
VIRTUAL_VOLUMES = "VIRTUALVOLUMES"


class Server(Noun, frozen=True, kw_only=True):
    """DEFINE SERVER. `sealed_*` fields are secrets encrypted by the keyring before they reach the catalog."""

    TABLE: ClassVar[str] = "servers"
    TITLE: ClassVar[str] = "server"

    name: Annotated[
        str,
        Attribute(
            label="Server Name",
            kind=Name(64),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the other server",
        ),
    ]
    communication_method: Annotated[
        str,
        Attribute(
            keyword="COMMmethod",
            label="Comm. Method",
            kind=Choice("TCPIP"),
            default="TCPIP",
            standard=True,
            help="how it is reached",
        ),
    ] = "TCPIP"
    high_level_address: Annotated[
        str,
        Attribute(
            keyword="HLAddress",
            label="High-level Address",
            kind=Text(),
            default=REQUIRED,
            standard=True,
            help="host name or address",
        ),
    ]
    low_level_address: Annotated[
        int,
        Attribute(
            keyword="LLAddress",
            label="Low-level Address",
            kind=Integer(1, 65535),
            default=REQUIRED,
            standard=True,
            help="port",
        ),
    ]
    description: Annotated[
        str, Attribute(keyword="DESCription", label="Description", kind=Text(), default="", help="free text")
    ] = ""
    url: Annotated[
        str, Attribute(keyword="URL", label="URL", kind=Text(), default="", help="address of its web pages")
    ] = ""
    sealed_server_password: bytes = b""
    sealed_node_password: bytes = b""
    node_name: Annotated[
        str,
        Attribute(
            keyword="NODEName",
            label="Node Name",
            kind=Name(64),
            default="",
            help="our node name at the target; default: our server name",
        ),
    ] = ""
    delete_grace_days: Annotated[
        int,
        Attribute(
            keyword="DELgraceperiod",
            label="Grace Deletion Period",
            kind=Integer(0, 9999),
            default=5,
            help="days a deleted virtual volume stays at the target",
        ),
    ] = 5
    validate_protocol: Annotated[
        str,
        Attribute(
            keyword="VALIdateprotocol",
            label="Validate Protocol?",
            kind=Choice("No", "All"),
            default="NO",
            help="accepted; every frame is always validated",
        ),
    ] = "NO"
    allow_replace: Annotated[
        bool,
        Attribute(
            keyword="ALLOWReplace",
            label="Allow Replacement",
            kind=YesNo(),
            default=False,
            help="may a configuration manager replace this definition",
        ),
    ] = False
    fingerprint: Annotated[
        str,
        Attribute(
            keyword="FINGERprint",
            label="Server Fingerprint",
            kind=Text(95),
            default="",
            help="SHA-256 of its certificate; empty = pinned at first contact",
        ),
    ] = ""
    sealed_verification_code: bytes = b""
    force_sync: Annotated[
        bool,
        Attribute(
            label="Force Synchronization Pending",
            kind=YesNo(),
            default=False,
            help="the verification code is registered anew at the next sign-on",
        ),
    ] = False
    defined_time: int = 0
    last_access_time: int = 0

    @property
    def is_target(self) -> bool:
        """Defined in the virtual-volume form: it has a node password."""
        return bool(self.sealed_node_password)
