"""Messages of device classes, pools, volumes, reading and writing (ANR1xxx, ANR8xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # device classes
    "ANR8308W": Row(
        "No space is left for volume {volume}: {reason}.",
        "The file system under the volume is full, or a quota or size limit was reached. Nothing stored before is lost.",
        "Make room in the file system, or give the pool volumes elsewhere.",
    ),
    "ANR8330I": Row("{device_type} volume {volume} is mounted {mode}, status: {status}."),
    "ANR8334I": Row("{number} matches found."),
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
    # volumes
    "ANR1340I": Row("Scratch volume {volume} is now defined in storage pool {pool}."),
    "ANR1341I": Row("Scratch volume {volume} has been deleted from storage pool {pool}."),
    "ANR1342I": Row("Scratch volume {volume} is now pending: storage pool {pool} has a reuse delay."),
    "ANR1404W": Row(
        "No scratch volume can be made for storage pool {pool}.",
        "Files with the next names exist already in the folder of the device class.",
        "Look into the folder: another server may be using it.",
    ),
    "ANR1410W": Row(
        "Access mode for volume {volume} now set to UNAVAILABLE.",
        "It could not be opened.",
        "Bring it back and use UPDATE VOLUME ACCESS=READWRITE, or ACCESS=DESTROYED and RESTORE VOLUME.",
    ),
    "ANR1411W": Row(
        "Access mode for volume {volume} now set to READONLY because of a write error.",
        "Writing goes on with other volumes.",
        "Check the disk, then AUDIT VOLUME. UPDATE VOLUME ACCESS=READWRITE allows writing again.",
    ),
    "ANR1423W": Row(
        "Volume {volume} is empty but stays, because it is OFFSITE.",
        "",
        "Bring it on site and use UPDATE VOLUME ACCESS=READWRITE.",
    ),
    "ANR2405E": Row("Volume {volume} is in use.", "A session or process is writing it.", "Try again later."),
    "ANR2406E": Row(
        "Volume {volume} still contains data.",
        "",
        "Use DISCARDDATA=YES to give the data up, or move it first.",
    ),
    "ANR0535W": Row(
        "No mount point of device class {device_class} became free within {seconds} seconds.",
        "As many volumes as MOUNTLIMIT allows are open, or every volume that may be written is in use.",
        "Try again later, or raise MOUNTLIMIT or MAXSCRATCH.",
    ),
    # taking in
    "ANR0520W": Row(
        "Storage pool {pool} cannot take client data: it is not defined as a primary pool.",
        "A copy group names it as its destination.",
        "Define the pool, or change the copy group's destination and activate the policy set again.",
    ),
    "ANR0521W": Row(
        "{size} are more than MAXSIZE allows in storage pool {pool} and all its successors.",
        "",
        "Raise MAXSIZE, or add a next pool without such a limit.",
    ),
    "ANR0522W": Row(
        "No space is left in storage pool {pool} and its successors.",
        "Volumes are full, the file system under them is full, or MAXSCRATCH is reached.",
        "Add volumes or disk space, raise MAXSCRATCH, or let data migrate.",
    ),
    "ANR0525W": Row(
        "Storage pool {pool} and its successors may not be written: access is {access}.",
        "",
        "Use UPDATE STGPOOL ACCESS=READWRITE.",
    ),
    "ANR0536W": Row(
        "Node {node} refers to data that is not stored for it any more; the transaction is undone.",
        "It was deleted between the question and the answer, or it never was this node's.",
        "The client asks again and sends the data itself.",
    ),
    "ANR0537W": Row(
        "What node {node} sent cannot be taken in: {reason}.",
        "Bytes and digests differ, or they do not belong to this transaction. Nothing of it is kept.",
        "Try again. If it happens again, look at the client's machine and version.",
    ),
    # reading
    "ANR1330E": Row(
        "Data on volume {volume} is damaged at byte {offset}: {reason}.",
        "It is marked damaged; a copy is read where there is one.",
        "RESTORE STGPOOL brings it back from a copy pool. AUDIT VOLUME finds what else is damaged.",
    ),
    "ANR0548W": Row(
        "{count} objects of node {node} cannot be read: {reason}",
        "No volume gives an intact copy of their data.",
        "Make volumes that are UNAVAILABLE or OFFSITE readable, or restore an older version.",
    ),
    "ANR1420W": Row(
        "Volume {volume} cannot be read now: its access or its pool's access does not allow it.",
        "",
        "UPDATE VOLUME ACCESS=READWRITE, or UPDATE STGPOOL ACCESS=READWRITE.",
    ),
    "ANR1405W": Row(
        "No scratch volume is available for storage pool {pool}.",
        "The pool has reached MAXSCRATCH, or its device class makes no volumes by itself.",
        "Raise MAXSCRATCH, or define volumes.",
    ),
    # definitions of device classes, pools and volumes
    "ANR2200I": Row("Storage pool {pool} defined (device class {device_class})."),
    "ANR2201I": Row("Storage pool {pool} deleted."),
    "ANR2202I": Row("Storage pool {pool} updated."),
    "ANR2203I": Row("Device class {device_class} defined."),
    "ANR2204I": Row("Device class {device_class} deleted."),
    "ANR2205I": Row("Device class {device_class} updated."),
    "ANR2206I": Row("Volume {volume} defined in storage pool {pool} (device class {device_class})."),
    "ANR2207I": Row("Volume {volume} updated."),
    "ANR2209W": Row("Storage pool {pool} will be deleted."),
    "ANR2220W": Row("Volume {volume} will be deleted from its storage pool."),
    "ANR2221W": Row(
        "Volume {volume} will be deleted with what lies on it. On a primary volume these are the files themselves with all "
        "their copies."
    ),
    "ANR2249E": Row(
        "{prefix} is not a prefix.",
        "",
        "Give at most 8 characters: parts divided by dots, each a letter followed by letters, digits or hyphens.",
    ),
    "ANR2250E": Row("Folder {folder} is not an absolute path.", "", "Begin it with /."),
    "ANR2251E": Row("The device class DISK cannot be changed or deleted.", "It is built in.", "None."),
    "ANR2252E": Row(
        "Device class {device_class} is used by storage pools {pools}.", "", "Delete them first."
    ),
    "ANR2253E": Row(
        "Copy pool {pool} cannot be on device class {device_class}.",
        "Copy pools are sequential.",
        "Choose another device class.",
    ),
    "ANR2254E": Row(
        "LOWMIG={low} is higher than HIGHMIG={high}.",
        "Migration starts at HIGHMIG and stops at LOWMIG.",
        "Lower LOWMIG, or raise HIGHMIG.",
    ),
    "ANR2255E": Row("Storage pool {pool} is not {needed}.", "", "Name another pool."),
    "ANR2256E": Row(
        "The next pools would form a ring: {pools}.",
        "Data would never come to rest.",
        "Choose another next pool.",
    ),
    "ANR2257E": Row("Storage pool {pool} has {number} volumes.", "", "DELETE VOLUME them first."),
    "ANR2258E": Row(
        "Storage pool {pool} is named by storage pools {pools}.",
        "It is their next, reclaim or copy pool.",
        "UPDATE STGPOOL them first.",
    ),
    "ANR2259W": Row(
        "Storage pool {pool} is still the destination of class {management_class} in domain {domain}: nothing can be stored "
        "there any more."
    ),
    "ANR2261E": Row(
        "A volume of the random-access pool {pool} needs a size.",
        "Its space is reserved at once.",
        "Add FORMATSIZE=MB.",
    ),
    "ANR2262E": Row(
        "Volume {volume} is random-access and has no location.", "It is always here.", "Leave LOCATION out."
    ),
    "ANR2263E": Row(
        "Volume {volume} cannot be {access}: that is for {needed} pools.", "", "Choose another access."
    ),
    "ANR2264I": Row("Volume {volume} would be updated."),
    "ANR2310W": Row(
        "AUDIT VOLUME FIX=YES of {volume}: files whose data is damaged and has no copy will be deleted from the catalog."
    ),
    "ANR2270W": Row("Volumes {volumes} become DESTROYED; what lay on them is brought back from copy pools."),
}
