"""Messages of migration and of random volumes going on and off line (ANR10xx, ANR130x, ANR47xx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    "ANR1000I": Row(
        "Migration process {number} started for storage pool {pool}: {percent} % migratable, low threshold {low} %."
    ),
    "ANR1001I": Row(
        "Migration process {number} ended for storage pool {pool}: {records} records, {size} moved, {left} % "
        "migratable now; {why}.",
    ),
    "ANR1002I": Row(
        "Migration for storage pool {pool} will be tried again in {seconds} seconds.",
        "The last one failed or found nothing that may go.",
        "The lines of that process say why. UPDATE STGPOOL makes the server look again at once.",
    ),
    "ANR1025W": Row(
        "Migration of storage pool {pool} stopped: its next pools have no room.",
        "Every pool down the hierarchy is full, or may not be written. What was moved stays moved.",
        "Give pool {next_pool} or one after it more volumes (UPDATE STGPOOL MAXSCRATCH, DEFINE VOLUME), or free some.",
    ),
    "ANR1026W": Row(
        "{records} records of storage pool {pool} were not migrated: their files are larger than any next pool takes.",
        "",
        "Raise MAXSIZE of a pool down the hierarchy.",
    ),
    "ANR1028W": Row(
        "{records} records of storage pool {pool} could not be read and stay where they are.",
        "They are marked damaged; the lines before this one name them.",
        "RESTORE STGPOOL {pool} brings them back from a copy pool.",
    ),
    "ANR4972I": Row(
        "Migration is not needed for storage pool {pool}: {percent} % migratable, low threshold {low} %.",
    ),
    "ANR4700E": Row(
        "Storage pool {pool} cannot migrate: it has no next storage pool.",
        "",
        "Name one with UPDATE STGPOOL {pool} NEXTSTGPOOL=...",
    ),
    "ANR4701E": Row(
        "Storage pool {pool} cannot migrate: its access is UNAVAILABLE.",
        "Nothing is read from such a pool.",
        "Use UPDATE STGPOOL {pool} ACCESS=READWRITE, or READONLY.",
    ),
    "ANR4702E": Row(
        "Process {number} ({description}) is at work on storage pool {pool} already.",
        "One process at a time moves data out of a pool.",
        "Wait for its end, or use CANCEL PROCESS {number}.",
    ),
    "ANR4703I": Row("Cached copies of storage pool {pool} were given up: {number} records."),
    "ANR1305I": Row("Disk volume {volume} varied online."),
    "ANR1306I": Row("Disk volume {volume} varied offline."),
    "ANR4705E": Row(
        "Volume {volume} is not a random-access volume.",
        "Only volumes of pools on class DISK are varied online and offline.",
        "Use UPDATE VOLUME ACCESS=UNAVAILABLE for a sequential volume.",
    ),
    "ANR4706E": Row(
        "Volume {volume} cannot be varied online: its access is {access}.",
        "",
        "Use UPDATE VOLUME {volume} ACCESS=READWRITE first.",
    ),
    "ANR4707E": Row(
        "The file of volume {volume} does not carry this volume's label.",
        "Another disk may be mounted there, or the file was made anew.",
        "Put the right file in place. Where it is lost, use RESTORE VOLUME.",
    ),
    "ANR4708I": Row("Volume {volume} is {status} already."),
}
