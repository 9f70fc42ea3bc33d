"""Messages of background processes: start, progress, end, per kind of work."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # any process
    "ANR0984I": Row("Process {number} for {description} started in the {where} at {time}."),
    "ANR0985I": Row(
        "Process {number} for {description} running in the {where} completed with completion state {state} at {time}."
    ),
    "ANR0986I": Row(
        "Process {number} for {description} running in the {where} processed {items} items for a total of {size} with a completion state of {state} at {time}."
    ),
    "ANR0987I": Row(
        "Process {number} for {description} running in the {where} processed {items} items with a completion state of {state} at {time}."
    ),
    "ANR2970I": Row("Process {number} took {seconds} seconds: {rate}/s."),
    "ANR1893E": Row(
        "Process {number} for {description} ended with completion state {state}.{failed}",
        "It was cancelled, or something went wrong; the lines before this one say what.",
        "Remove the cause and start it again: what it did so far is kept.",
    ),
    "ANR0942E": Row(
        "There is no process {number}.", "It may have ended.", "QUERY PROCESS lists what is running."
    ),
    "ANR0943I": Row("Process {number} was cancelled."),
    # BACKUP STGPOOL
    "ANR1210I": Row(
        "Backup of primary storage pool {primary} to copy storage pool {copy} started as process {number}."
    ),
    "ANR1214I": Row(
        "Backup of primary storage pool {primary} to copy storage pool {copy} has ended. Records copied: {records} ({size}), of which {referred} were at the target already. Unreadable records: {lost}."
    ),
    "ANR1215I": Row(
        "Preview: backup of primary storage pool {primary} to copy storage pool {copy} would copy {records} records ({size})."
    ),
    "ANR1228I": Row("Volume {volume} would be read."),
    "ANR1229W": Row(
        "Volume {volume} cannot be backed up: its access is {access}.",
        "What lies on it is left out.",
        "UPDATE VOLUME or VARY ONLINE, or RESTORE VOLUME where it is lost, and start the backup again.",
    ),
    # RESTORE STGPOOL, RESTORE VOLUME
    "ANR1230I": Row("Restore of primary storage pool {pool} started as process {number}."),
    "ANR1232I": Row(
        "Restore of volumes {volumes} in primary storage pool {pool} started as process {number}."
    ),
    "ANR1238I": Row(
        "Restore of primary storage pool {pool} has ended. Records restored: {records} ({size}). Unreadable records: {lost}."
    ),
    "ANR1239I": Row(
        "Preview: restore of primary storage pool {pool} would bring back {records} records ({size})."
    ),
    "ANR1240I": Row(
        "Restore of volumes in primary storage pool {pool} has ended. Records restored: {records} ({size}). Unreadable records: {lost}."
    ),
    "ANR1241I": Row(
        "Preview: restore of volumes {volumes} in primary storage pool {pool} would bring back {records} records ({size})."
    ),
    "ANR1243E": Row(
        "The volumes are of several storage pools: {pools}.", "", "Restore the volumes of one pool at a time."
    ),
    "ANR1256W": Row(
        "Volume {volume} contains files that could not be restored.",
        "They were never copied, their copies are damaged, or no volume with a copy can be read.",
        "Make copy volumes readable and run the restore again; AUDIT VOLUME FIX=YES gives up what is lost.",
    ),
    "ANR1258W": Row(
        "Volume {volume} holds files that are damaged, or is destroyed: they are to be restored.",
        "RESTORE STGPOOL brings them back from copy pools to other volumes.",
        "AUDIT VOLUME tells whether the rest of the volume is good.",
    ),
    "ANR1257W": Row(
        "Storage pool {pool} contains files that could not be restored.",
        "They were never copied, their copies are damaged, or no volume with a copy can be read.",
        "Make copy volumes readable and run the restore again.",
    ),
    # AUDIT VOLUME
    "ANR2312I": Row("Audit of volume {volume} with FIX=YES started as process {number}."),
    "ANR2313I": Row("Audit of volume {volume} (inspect only) started as process {number}."),
    "ANR2314E": Row(
        "Volume {volume} is not audited: access is {access}.",
        "It, or its pool, may not be read now.",
        "Use UPDATE VOLUME ACCESS=READWRITE, UPDATE STGPOOL ACCESS=READWRITE or VARY ONLINE where it is there and in reach.",
    ),
    "ANR2315W": Row(
        "Volume {volume}: {path} in file space {file_space} of node {node} is deleted.",
        "Its data is damaged and there is no good copy.",
        "The next incremental backup sends it again, if the client still has it.",
    ),
    "ANR2316W": Row("Volume {volume}: the record at offset {offset} is damaged or missing."),
    "ANR2317E": Row(
        "Volume {volume}: {records} damaged records have no good copy anywhere.",
        "The objects that need them cannot be restored.",
        "Bring a copy back, or give the objects up with AUDIT VOLUME FIX=YES and back them up again.",
    ),
    "ANR2319W": Row(
        "Volume {volume} does not begin with its label: damage is marked, FIX=YES corrects nothing.",
        "Something else may lie there under its name, or its beginning is destroyed.",
        "Bring the volume back. Where it is lost, RESTORE VOLUME, or DELETE VOLUME DISCARDDATA=YES.",
    ),
    "ANR4132I": Row(
        "Audit of volume {volume} has ended: {inspected} records inspected, {bad} of them bad; {marked} marked as damaged, {reset} reset to undamaged, {removed} bad copies removed, {deleted} objects deleted."
    ),
    # DELETE VOLUME
    "ANR2208I": Row("Volume {volume} deleted."),
    "ANR2222I": Row("Discard of the data on volume {volume} started as process {number}."),
    "ANR2223I": Row(
        "The data on volume {volume} is discarded: {objects} objects deleted ({size} no longer needed), of which {shared} also had data on other volumes; {copies} copies removed."
    ),
    "ANR2224W": Row(
        "Of {records} records whose copy on volume {volume} is removed no other good copy is known.",
        "Their primary place is damaged or on a destroyed volume.",
        "AUDIT VOLUME that primary volume again, or back the files up again.",
    ),
    "ANR2225I": Row(
        "Volume {volume} is empty and stays PENDING for {days} days: its pool has a reuse delay. DELETE VOLUME deletes it at once."
    ),
    # DELETE FILESPACE
    "ANR0800I": Row("Deletion of file space {file_space} of node {node} started as process {number}."),
    "ANR0806I": Row(
        "File space {file_space} of node {node}: {objects} objects were deleted ({size} no longer needed)."
    ),
    "ANR0807I": Row("File space {file_space} of node {node} is deleted."),
}
