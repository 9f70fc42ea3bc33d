"""An administrator and what he may do."""

from __future__ import annotations

from typing import Annotated, ClassVar

from farvault.model.attribute import REQUIRED, Attribute, Name, Names, Noun, Text, YesNo

PRIVILEGE_CLASSES = ("SYSTEM", "POLICY", "STORAGE", "OPERATOR", "ANALYST", "NODE")


class Administrator(Noun, frozen=True, kw_only=True):
    """REGISTER ADMIN. `classes` are unrestricted; `policy_domains` and `storage_pools` hold restricted authority."""

    TABLE: ClassVar[str] = "administrators"
    TITLE: ClassVar[str] = "administrator"

    name: Annotated[
        str,
        Attribute(
            label="Administrator Name",
            kind=Name(64),
            default=REQUIRED,
            positional=True,
            standard=True,
            help="name of the administrator",
        ),
    ]
    last_access_time: int = 0
    password_set_time: int = 0
    locked: Annotated[
        bool,
        Attribute(
            label="Locked?",
            kind=YesNo(),
            default=False,
            standard=True,
            help="a locked administrator cannot sign on",
        ),
    ] = False
    classes: Annotated[
        tuple[str, ...],
        Attribute(
            label="Privilege Classes",
            kind=Names(),
            default=(),
            standard=True,
            help="unrestricted classes held",
        ),
    ] = ()
    policy_domains: Annotated[
        tuple[str, ...],
        Attribute(
            label="Restricted Policy Domains",
            kind=Names(),
            default=(),
            help="domains of restricted policy authority",
        ),
    ] = ()
    storage_pools: Annotated[
        tuple[str, ...],
        Attribute(
            label="Restricted Storage Pools",
            kind=Names(),
            default=(),
            help="pools of restricted storage authority",
        ),
    ] = ()
    contact: Annotated[
        str,
        Attribute(
            keyword="CONtact", label="Contact", kind=Text(), default="", help="how to reach the person"
        ),
    ] = ""
    email: Annotated[
        str,
        Attribute(
            keyword="EMAILADdress", label="Email Address", kind=Text(), default="", help="whom to write to"
        ),
    ] = ""
    password_verifier: str = ""
    registered_time: int = 0
    registering_administrator: str = ""
