"""Messages of the administrative command language: parsing, authority, definitions (ANR2xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # validating a policy set
    "ANR1554E": Row(
        "Policy set {policy_set} of domain {domain} has no default management class.",
        "Files that no include statement binds would have no class.",
        "Name one with ASSIGN DEFMGMTCLASS.",
    ),
    "ANR1555W": Row(
        "Default class {management_class} of set {policy_set}, domain {domain}, has no backup copy group: files bound to "
        "it are not backed up."
    ),
    "ANR1556W": Row(
        "Default class {management_class} of set {policy_set}, domain {domain}, has no archive copy group: files bound to "
        "it cannot be archived."
    ),
    "ANR1557W": Row(
        "Storage pool {pool}, {use} destination of class {management_class} in set {policy_set}, domain {domain}, is not "
        "defined."
    ),
    "ANR1558E": Row(
        "Storage pool {pool}, {use} destination of class {management_class} in set {policy_set}, domain {domain}, is a "
        "copy pool.",
        "Clients store into primary pools only.",
        "Change the destination to a primary pool.",
    ),
    "ANR1559W": Row(
        "Class {management_class} is in the ACTIVE set of domain {domain} but not in set {policy_set}: files bound to it "
        "will be bound to the default class."
    ),
    "ANR1560W": Row(
        "Class {management_class} of set {policy_set}, domain {domain}, has no {use} copy group while the ACTIVE set has "
        "one: the domain's grace period will apply to its files."
    ),
    "ANR1561W": Row(
        "Class {management_class} of set {policy_set}, domain {domain}, needs a backup before migration but has no backup "
        "copy group: no file bound to it will migrate."
    ),
}
