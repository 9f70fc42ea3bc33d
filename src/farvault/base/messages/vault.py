"""Messages of virtual volumes, on both sides."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # at the source
    "ANR4376E": Row(
        "Target server {server} cannot be reached: {reason}",
        "The link is down or the server does not run. What it had acknowledged is safe there.",
        "Check the server and the network; PING SERVER tests the link. RETRYPERIOD and RETRYINTERVAL of the device class say how long it is tried again.",
    ),
    "ANR4800W": Row(
        "Target server {server} cannot be reached; trying again in {seconds} seconds. {reason}",
        "The device class's RETRYPERIOD and RETRYINTERVAL say how often and for how long.",
    ),
    "ANR4802E": Row(
        "The session with target server {server} is read-only: nothing can be stored or deleted there.",
        "The target knows another verification code or another identity for our node.",
        "If this server is the node's rightful owner: UPDATE SERVER {server} FORCESYNC=YES.",
    ),
    "ANR4803E": Row(
        "Virtual volume {volume}: target server {server} refused: {reason}",
        "The target's own message is part of this one.",
        "Remove the cause at the target and start the operation again.",
    ),
    "ANR4804E": Row(
        "The receipt of server {server} for virtual volume {volume} is not valid: {reason}",
        "Without a valid receipt the volume counts as not written.",
        "Ask the target's administrator. Check that the server at this address is the one you defined.",
    ),
    "ANR4805E": Row(
        "This operation needs more than one session with target server {server}, and MOUNTLIMIT is {limit}.",
        "It would wait for itself for ever.",
        "Raise it: UPDATE DEVCLASS MOUNTLIMIT=.",
    ),
    "ANR4806E": Row(
        "No session with target server {server} came free in time (MOUNTLIMIT {limit}).",
        "Other processes or sessions hold them all.",
        "Try again later, or raise it: UPDATE DEVCLASS MOUNTLIMIT=.",
    ),
    "ANR4807E": Row(
        "Virtual volume {volume}: server {server} cannot give the record at offset {offset}.",
        "It is missing or damaged there.",
        "AUDIT VOLUME tells what else is affected; the next BACKUP STGPOOL or RESTORE STGPOOL replaces it.",
    ),
    "ANR4812E": Row(
        "Volume {volume} exists at target server {server} already.",
        "The catalog here does not know it, perhaps because it was restored from an older state.",
        "The next number is tried. RECONCILE VOLUMES compares both sides.",
    ),
    # at the target
    "ANR4850I": Row(
        "Segment of virtual volume {volume} is complete for node {node}: {records} records, {size} bytes, receipt {number}."
    ),
    "ANR4851W": Row(
        "Virtual volume {volume} of node {node} could not be stored: {reason}",
        "The source is told the same. What it had stored before is not touched.",
        "Remove the cause; the source tries again or has to be told to.",
    ),
    "ANR4842E": Row(
        "Volumes of node {node} are not taken in: pool {pool} lies at server {server}, which is that node itself.",
        "Its data would come back to it, and one fire would take both copies.",
        "Here: let the archive copy group of its domain name a pool that neither lies there nor has a next pool that does.",
    ),
    "ANR4843E": Row(
        "Records of {volume} cannot be read at the moment. {reason}",
        "They are kept at a place that is out of reach; nothing of them is known to be lost.",
        "Try again when it is there.",
    ),
    "ANR4852E": Row(
        "{verb} refused: this session of node {node} is read-only.",
        "It did not prove the verification code, or the identity, that is registered for the node now.",
        "At the rightful source: UPDATE SERVER FORCESYNC=YES. A third server may read, never change.",
    ),
    "ANR4853E": Row(
        "Segment {number} of node {node} is not open in this session.",
        "It was closed, given up, or is another session's.",
        "The source opens it anew.",
    ),
    "ANR4854E": Row(
        "Virtual volume {volume} of node {node}: a record is not the one it was announced as.",
        "Its digest differs. Nothing of it was kept.",
        "Check the source's memory and disks.",
    ),
    "ANR4855E": Row(
        "Virtual volume {volume} of node {node}: the source counts {told} records, {came} came, or their digests differ.",
        "The segment was not kept.",
        "The source sends it again.",
    ),
    "ANR4857E": Row(
        "Virtual volume {volume} of node {node}: a record is referred to that is not here.",
        "It was deleted meanwhile, or never was this node's.",
        "The source sends its bytes.",
    ),
    "ANR4858I": Row(
        "Virtual volume {volume} of node {node} is marked for deletion; it goes after {days} days."
    ),
}
