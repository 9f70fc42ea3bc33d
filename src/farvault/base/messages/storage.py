"""Messages of device classes, pools, volumes, reading and writing (ANR1xxx, ANR8xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # device classes
    "ANR8308W": Row(
        "No space is left for volume {volume}: {reason}.",
        "The file system under the volume is full, or a quota or size limit was reached. Nothing stored before is lost.",
        "Make room in the file system, or give the pool volumes elsewhere.",
    ),
    "ANR8341I": Row("End of volume reached for volume {volume}."),
    "ANR8355E": Row(
        "Volume {volume} is not where it should be.",
        "Its file is gone, or its folder is not mounted.",
        "Bring it back, or restore it from a copy pool with RESTORE VOLUME.",
    ),
    "ANR8356E": Row(
        "A file for volume {volume} exists already.",
        "A new volume never overwrites a file.",
        "Choose another name, or remove the file if nobody needs it.",
    ),
    "ANR8359E": Row(
        "Volume {volume}: {operation} failed: {reason}.",
        "The operating system refused, or the bytes are not all there. The volume is suspect.",
        "Look at the disk and at the system's log. AUDIT VOLUME tells what can still be read.",
    ),
    "ANR1405W": Row(
        "No scratch volume is available for storage pool {pool}.",
        "The pool has reached MAXSCRATCH, or its device class makes no volumes by itself.",
        "Raise MAXSCRATCH, or define volumes.",
    ),
}
