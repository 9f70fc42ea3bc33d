"""Messages of collocation, mount points and simultaneous write (ANR4760-4779, and TSM's own where they fit)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # mount points
    "ANR4760I": Row(
        "Device class {device_class} has one mount point: reading and writing take turns.",
        "The data is read from and written to the same class. Up to {size} are read, then written.",
        "Raise MOUNTLIMIT to at least 2 to read and write at the same time.",
    ),
    "ANR4761E": Row(
        "Mount points are refused to {who}: {points} is more than it can ever have.",
        "MOUNTLIMIT of the device class, or MAXNUMMP of the node, is smaller than what is needed at once.",
        "Raise MOUNTLIMIT (UPDATE DEVCLASS) or MAXNUMMP (UPDATE NODE), or write fewer copies at the same time.",
    ),
    "ANR4762E": Row(
        "Mount points are refused to {who}: waiting for {points} would never end.",
        "Everybody who could give it one waits for a mount point that is held here, or by another one that waits.",
        "Try again. Raise MOUNTLIMIT where this happens often.",
    ),
    "ANR4763I": Row(
        "{who} gives back its mount points ({device_class}): something more urgent waits for one."
    ),
    # collocation groups
    "ANR4764E": Row(
        "Collocation group {name} is not defined.",
        "",
        "QUERY COLLOCGROUP shows those that are.",
    ),
    "ANR4765E": Row("Collocation group {name} is defined already.", "", "Choose another name."),
    "ANR4766E": Row(
        "Node {name} is no member of this collocation group.",
        "",
        "QUERY COLLOCGROUP FORMAT=DETAILED shows the members.",
    ),
    "ANR4767E": Row(
        "Node {name} is a member of a collocation group already.",
        "A node belongs to one collocation group at most.",
        "Use DELETE COLLOCMEMBER first.",
    ),
    "ANR4768E": Row(
        "Collocation group {group} still has {members} members.",
        "",
        "Use DELETE COLLOCMEMBER first.",
    ),
    "ANR4769I": Row("Collocation group {group} defined."),
    "ANR4770I": Row("Collocation group {group} updated."),
    "ANR4771I": Row("Collocation group {group} deleted."),
    "ANR4772I": Row("Node {node} is now a member of collocation group {group}."),
    "ANR4773I": Row("Node {node} is no longer a member of collocation group {group}."),
    # simultaneous write
    "ANR1013I": Row(
        "Data for storage pool {pool} goes to its next pool {next_pool}, and to the copy pools of {pool} as before."
    ),
    "ANR4774W": Row(
        "Copy pool {copy} is left out of the simultaneous write into storage pool {pool}: {reason}",
        "COPYCONTINUE=YES: data goes into the primary pool and the other copy pools. The next session or process tries it again.",
        "Remove the cause. BACKUP STGPOOL copies what is missing.",
    ),
    "ANR4775W": Row(
        "Data for storage pool {pool} is refused, because copy pool {copy} cannot be written: {reason}",
        "COPYCONTINUE=NO: without all of its copies nothing is stored.",
        "Remove the cause, or use UPDATE STGPOOL COPYCONTINUE=YES.",
    ),
    "ANR4779E": Row("Copy pool {copy} is named twice for storage pool {pool}.", "", "Name it once."),
    # query mount
    "ANR4776I": Row("{who} waits for {points}, since {seconds} seconds."),
    "ANR4777I": Row("Device class {device_class}: {number} mount point(s) kept by {who}, status: IDLE."),
    "ANR4778I": Row(
        "Device class {device_class}: {number} session(s) with {server} kept open, status: IDLE."
    ),
}
