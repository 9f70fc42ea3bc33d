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
}
