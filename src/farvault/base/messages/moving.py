"""Messages of reclamation, MOVE DATA and MOVE NODEDATA."""

from farvault.base.messages import Row

_MOVED = "Records moved: {records} ({size}), of which {referred} were at the target already. Records made anew: {rebuilt}, shorter by {won}."

ROWS: dict[str, Row] = {
    # reclamation
    "ANR1040I": Row(
        "Space reclamation started for volume {volume}, storage pool {pool} (process number {number})."
    ),
    "ANR1041I": Row("Space reclamation ended for volume {volume}, storage pool {pool}. " + _MOVED),
    "ANR4721E": Row(
        "Storage pool {pool} is a random-access pool: there is nothing to reclaim.",
        "Space on its volumes is free as soon as what lay there is deleted.",
        "Name a sequential storage pool.",
    ),
    "ANR4722E": Row(
        "Storage pool {pool} cannot take part: its access is {access}.",
        "",
        "UPDATE STGPOOL ACCESS=READWRITE, and start it again.",
    ),
    "ANR4723I": Row(
        "Volume {volume} is left for the next reclamation.",
        "Somebody writes or audits it, or empties it already.",
    ),
    "ANR4724I": Row(
        "Off-site volume {volume} holds nothing that is needed any more: it can be brought back.",
        "What was needed of it lies on other volumes of its pool now, made from primary data.",
        "Bring it back, and UPDATE VOLUME ACCESS=READWRITE.",
    ),
    "ANR4725W": Row(
        "Volume {volume} still holds {records} records that could not be read.",
        "They are damaged, or no place from which they could be read is accessible; the lines before this one say what.",
        "RESTORE VOLUME or AUDIT VOLUME; reclamation tries the volume again.",
    ),
    "ANR4726I": Row("Space reclamation of storage pool {pool} ended. Volumes: {volumes}. " + _MOVED),
    "ANR4727I": Row("The time given for reclaiming storage pool {pool} is over."),
    "ANR4728E": Row(
        "Storage pool {pool} has RECLAIM=100: no volume is ever worth it.",
        "",
        "Give a THRESHOLD between 1 and 99, or UPDATE STGPOOL RECLAIM.",
    ),
    # MOVE DATA, MOVE NODEDATA
    "ANR1140I": Row(
        "Move data process started for volume {volume} to storage pool {pool} (process number {number})."
    ),
    "ANR1141I": Row("Move data process ended for volume {volume}. " + _MOVED),
    "ANR2232W": Row(
        "This command moves all data on volume {volume} to other volumes of the same storage pool. Do you wish to proceed?"
    ),
    "ANR2233W": Row(
        "This command moves all data on volume {volume} to storage pool {pool}. Do you wish to proceed?"
    ),
    "ANR4729E": Row(
        "Data of {pool_type} storage pool {pool} cannot be moved to storage pool {destination}.",
        "Data of a primary storage pool moves within it or to another primary one; copies move within their storage pool.",
        "Name {needed}, or none: then it stays within the storage pool.",
    ),
    "ANR4730E": Row(
        "Volume {volume} cannot be moved: its access is {access}.",
        "Moving reads it.",
        "UPDATE VOLUME ACCESS=READONLY, or RESTORE VOLUME where it is lost.",
    ),
    "ANR4731W": Row(
        "Volume {volume} still holds {records} records.",
        "They could not be read; the lines before this one say what.",
        "RESTORE VOLUME, or DELETE VOLUME DISCARDDATA=YES where they are not needed.",
    ),
    "ANR4734E": Row(
        "FILESPACE goes with a single node, not with {nodes}.",
        "File spaces of several nodes may have the same names.",
        "Name one node, or leave FILESPACE out.",
    ),
    "ANR4732I": Row(
        "Moving data of nodes {nodes} from storage pool {pool} to storage pool {destination} started as process {number}."
    ),
    "ANR4733I": Row(
        "Moving data of nodes {nodes} from storage pool {pool} to storage pool {destination} has ended. Records moved: {records} ({size}), of which {referred} were at the target already. Unreadable records: {lost}."
    ),
}
