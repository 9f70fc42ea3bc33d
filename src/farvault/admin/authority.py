"""Who may issue what: privilege classes, and restricted authority over named domains and pools.

Rules stand beside the commands they guard; this file says only how one is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from farvault.admin.command import Call
from farvault.admin.instance import Instance
from farvault.base.errors import NotAuthorized
from farvault.model.administrator import Administrator

Names = Callable[[Instance, Call], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """System privilege always suffices. `classes`: unrestricted classes that do as well.

    `pools`, `domains`: the names this call is about; an administrator with restricted storage (policy) authority for
    all of them may issue it too. `anyone`: no privilege needed.
    """

    classes: tuple[str, ...] = ()
    pools: Names | None = None
    domains: Names | None = None
    anyone: bool = False

    def allows(self, administrator: Administrator, instance: Instance, call: Call) -> bool:
        held = administrator.classes
        if self.anyone or "SYSTEM" in held or any(name in held for name in self.classes):
            return True
        for names_of, granted in (
            (self.pools, administrator.storage_pools),
            (self.domains, administrator.policy_domains),
        ):
            if names_of is not None and granted:
                names = set(names_of(instance, call))
                if names and names <= set(granted):
                    return True
        return False

    def describe(self) -> str:
        """For help and the manual."""
        if self.anyone:
            return "any administrator"
        words = [
            "system",
            *(("unrestricted " if c in ("POLICY", "STORAGE") else "") + c.lower() for c in self.classes),
        ]
        if self.pools:
            words.append("restricted storage for the pools named")
        if self.domains:
            words.append("restricted policy for the domains named")
        return ", ".join(words)


ANYONE = Rule(anyone=True)
SYSTEM = Rule()
OPERATOR = Rule(("OPERATOR",))
STORAGE = Rule(("STORAGE",))
POLICY = Rule(("POLICY",))


def storage(pools: Names) -> Rule:
    """Unrestricted storage, or restricted for every pool that `pools` names."""
    return Rule(("STORAGE",), pools=pools)


def policy(domains: Names) -> Rule:
    """Unrestricted policy, or restricted for every domain that `domains` names."""
    return Rule(("POLICY",), domains=domains)


def check(administrator: Administrator, instance: Instance, call: Call) -> None:
    """`NotAuthorized` where the administrator may not issue this call."""
    if not call.command.rule.allows(administrator, instance, call):
        raise NotAuthorized(
            "ANR2035E",
            administrator=administrator.name,
            command=call.command.name,
            needs=call.command.rule.describe(),
        )


def require_system(call: Call, keyword: str) -> None:
    """`NotAuthorized` where this keyword was used without system privilege."""
    if "SYSTEM" not in call.administrator.classes:
        raise NotAuthorized(
            "ANR2035E",
            administrator=call.administrator.name,
            command=f"{call.command.name} with {keyword}",
            needs=SYSTEM.describe(),
        )
