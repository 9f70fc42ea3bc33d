"""Messages of the database's protection: volume history, recovery log, database backups, restore."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # volume history
    "ANR2467I": Row("{count} entries of the volume history are deleted."),
    "ANR2468W": Row(
        "Delete {count} entries of the volume history (TYPE={type}, until {time}) and their volumes?",
        "Backups, exports and plan files on these volumes cannot be used any more.",
    ),
    "ANR2469I": Row(
        "Kept: {volume} ({type}, series {series}, operation {operation}), because {reason}.",
    ),
    "ANR4900E": Row("The volume history has no entry {name}.", "", "QUERY VOLHISTORY shows all entries."),
    "ANR4901E": Row(
        "Volume {volume} is in use: a storage pool or the volume history has one of this name.",
        "Writing over it would destroy what it holds.",
        "Name another volume. DELETE VOLHISTORY frees volumes of old backups.",
    ),
    "ANR4902E": Row(
        "The volumes named for device class {device_class} are full and SCRATCH=NO.",
        "The operation needs more room.",
        "Name more volumes or allow SCRATCH=YES.",
    ),
    "ANR4903E": Row(
        "Series {series}, operation {operation}: volume {sequence} of it is missing or not in its place.",
        "Every volume of an operation is needed.",
        "Name all volumes of the operation; each says its place in its own end (`farvault volume check`).",
    ),
    "ANR4904E": Row(
        "Volume {volume} is damaged: {reason}.",
        "What it holds is not what was written.",
        "Use another backup. Find out what happened to the volume before you trust others beside it.",
    ),
    "ANR4905E": Row(
        "Volume {volume} was not signed by this server; it says it is one of server {server}.",
        "It was made by another server, or altered.",
        "Check that the right volume is named. If it should be this server's, use another backup.",
    ),
    "ANR4606E": Row(
        "Volume {volume} belongs to another operation (series {found}) than the one wanted (series {series}).",
        "Volumes of different operations were named together, or a volume was written anew.",
        "Name the volumes of one operation.",
    ),
    # recovery log
    "ANR0130E": Row(
        "The recovery log in {folder} is full ({percent} % of its capacity): nothing was changed.",
        "LOGMODE is ROLLFORWARD: every change since the last database backup is kept. What was acknowledged is safe.",
        "BACKUP DB makes room and still works. A database backup trigger does it by itself; a larger log_capacity_mib in farvault.toml gives more time.",
    ),
    "ANR4910E": Row(
        "The recovery log in {folder} is damaged in {segment}.",
        "An entry is not what was written, and others follow it.",
        "The catalog may still be whole: start with `farvault server run --new-log`, then BACKUP DB TYPE=FULL at once.",
    ),
    "ANR4911E": Row(
        "The recovery log in {folder} cannot be used: {reason}.",
        "In LOGMODE ROLLFORWARD nothing is acknowledged that is not in the log.",
        "Correct that and restart the server. If the log's disk is lost: `farvault server run --new-log`.",
    ),
    "ANR4912E": Row(
        "No room for the recovery log on the file system of {folder}: nothing was changed.",
        "The log reserves its room before it is needed; the disk has none left.",
        "Free space there, or BACKUP DB, which makes room and still works.",
    ),
    "ANR4913E": Row(
        "The recovery log in {folder} does not continue this catalog.",
        "One of the two was replaced: an old copy of the catalog, a log of another time or of another server.",
        "Bring them together with `farvault server restore-db`, or go on with the catalog as it is: `farvault server run --new-log`.",
    ),
    "ANR4914E": Row(
        "LOGMODE is ROLLFORWARD, but there is no recovery log in {folder}.",
        "Its disk is not mounted, or it was lost.",
        "Mount it. If it is lost: `farvault server run --new-log`, then BACKUP DB TYPE=FULL at once.",
    ),
    "ANR4915I": Row("Recovery log: {entries} changes were brought into the catalog, which lacked them."),
    "ANR4916I": Row("Recovery log: {pages} pages of a change that was not acknowledged were added to it."),
    "ANR4917W": Row(
        "The old recovery log was set aside in {aside}; a new one begins.",
        "Restoring the database to its most current state is possible again from the next full backup on.",
        "BACKUP DB TYPE=FULL now.",
    ),
    "ANR4918E": Row(
        "The catalog {path} is half way through bringing in its recovery log: it cannot go on without that log.",
        "A start was broken off while it wrote into the database file.",
        "Bring the log folder back and start without --new-log, or use `farvault server restore-db`.",
    ),
}
