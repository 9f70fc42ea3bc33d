"""Messages of disaster recovery: plans, offsite media, rebuilding a server from its partner, drills."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # settings
    "ANR6700I": Row("{name} is now: {value}."),
    # protection files
    "ANR6701I": Row(
        "{option} is now: {files}. The files of farvault.toml and of the instance folder are kept as before."
    ),
    "ANR6702E": Row(
        "File {path} cannot be used: {reason}.",
        "Nothing is changed.",
        "Name files from / on, in folders that exist and that the server may write in: best on another disk.",
    ),
    "ANR2462I": Row("The volume history is written to {path}."),
    "ANR2393I": Row("The device configuration is written to {path}."),
    # plans
    "ANR6900I": Row("Recovery plan {plan} is written: {size}, relying on {series}."),
    "ANR4947I": Row("Recovery plan {plan} is stored on server {server}: {size}, relying on {series}."),
    "ANR6918W": Row(
        "Instruction file {path} is not there: its stanza stays empty.",
        "A plan may carry your own text: whom to call, how the machine is installed.",
    ),
    "ANR6921W": Row(
        "There is no database backup of this kind ({source}) yet: the plan cannot rebuild the server alone.",
        "A recovery begins with a database backup.",
        "BACKUP DB to a class of DEVTYPE=SERVER, then PREPARE again.",
    ),
    "ANR6927E": Row(
        "Device class {device_class} keeps its volumes on this machine: a plan must lie elsewhere.",
        "The plan is needed when this machine is gone.",
        "Name a class of DEVTYPE=SERVER, or leave DEVCLASS out to write a local file that you carry away.",
    ),
    "ANR6928E": Row(
        "The plan ({size}) does not fit a volume of device class {device_class} ({capacity}).",
        "A plan lies on one volume.",
        "UPDATE DEVCLASS {device_class} MAXCAPACITY=...",
    ),
    "ANR6929E": Row("Plan file {path} could not be written: {reason}.", "", "Give another PLANPREFIX."),
    "ANR4940E": Row(
        "{plan} is no whole recovery plan: {reason}.",
        "It was cut or altered on the way, or is another file.",
        "Use another plan; the partner keeps several.",
    ),
    "ANR4941E": Row(
        "Recovery plan {plan}, which says it is of server {server}, was altered: the signature does not hold.",
        "Somebody or something changed it after it was written. Nothing in it is used.",
        "Use another plan; the partner keeps several.",
    ),
    # recover
    "ANR4942E": Row(
        "Server {address} keeps no recovery plan and no database backup of node {node}.",
        "{marked} of its volumes there are marked for deletion.",
        "Check --node. Where volumes are marked, the partner's administrator brings them back first.",
    ),
    "ANR4943E": Row(
        "The recovery plan is of server {found}, not of {node}.",
        "Each server is rebuilt from its own plan.",
        "Give the right plan or the right --node.",
    ),
    "ANR4944E": Row(
        "No database backup that can be restored lies at {address}.",
        "The plan is there, but the backups it names are not, or lie on volumes of the lost machine.",
        "Where you still have such volumes: farvault server restore-db. Else other plans (--plan FILE) may name others.",
    ),
    "ANR4945E": Row(
        "Server {address} shows another certificate ({found}) than the plan pins ({pinned}).",
        "It is another server, or the partner was made anew.",
        "Ask its administrator for the fingerprint; if it is right, give it with --fingerprint.",
    ),
    "ANR4946E": Row(
        "The plan's server {server} knows no target at {address}.",
        "None of its server definitions has this address, certificate or node name.",
        "Give --from the partner that keeps its database backups.",
    ),
    "ANR4948I": Row("Reading what server {address} keeps of node {node}."),
    "ANR4949I": Row("Recovery plan {plan}, written {time}: signed by server {server}."),
    "ANR4961E": Row(
        "The partner's list of volumes does not end ({rows} so far).",
        "No vault has so many; it misbehaves.",
        "Ask its administrator, or use another partner.",
    ),
    "ANR4950W": Row(
        "There is no recovery plan at {address}: the database backups alone are used.",
        "Settings are those of a new server.",
    ),
    "ANR4951W": Row("{count} newer database backups cannot be used: their volumes are not all there."),
    "ANR4952I": Row(
        "Would recover server {server} from the backup of {time}, {age} old: series {series}, operation {operation}, "
        "{volumes} volumes, {size}."
    ),
    "ANR4953I": Row("Setting {name} named a folder outside of the instance ({old}); it is {new} now."),
    "ANR4954I": Row(
        "{lost} volumes of {pools} pools were on the lost machine: DESTROYED or UNAVAILABLE now."
    ),
    "ANR4955I": Row(
        "Server {server} is rebuilt in {folder}, as it was {time}. Its epoch is {epoch}. It took {seconds} seconds."
    ),
    "ANR4956W": Row("Volume {volume} at {address} is not used: {reason}"),
    "ANR4957I": Row(
        "Recovery goes on in the background as process {number}: the sessions of clients do not wait."
    ),
    "ANR4958W": Row(
        "The session with server {server} is read-only: recovery tries again in {seconds} seconds.",
        "It does not take our verification code yet.",
        "Its administrator approves it (APPROVE FORCESYNC), or registers the node anew.",
    ),
    "ANR4959I": Row(
        "Recovery of this server is complete: {pools} pools were restored. BACKUP DB TYPE=FULL now, then PREPARE.",
    ),
    "ANR4998E": Row(
        "Folder {folder} is a link or a mount point: the server cannot be built beside it and take its name.",
        "",
        "Name a folder inside of it, or one that is not there yet.",
    ),
    "ANR4999E": Row(
        "Folder {folder} is in the way: what is rebuilt goes there first, and it holds something else.",
        "",
        "Move it away, or name another folder.",
    ),
    "ANR4960W": Row(
        "Recovery: {failed} steps are not done yet, as the lines before say; tried again in {seconds} seconds. Where a target refuses, its administrator has to agree: APPROVE FORCESYNC or APPROVE DELETION there.",
        "Clients are served meanwhile.",
    ),
    "ANR4962E": Row(
        "{command} needs DEVCLASS (at the source) or NODENAME (at the target), and only one of them.",
        "",
        "At the server that wrote the plans: DEVCLASS=*. At the one that keeps them: NODENAME=*.",
    ),
    "ANR4963E": Row(
        "Recovery plan {plan} of node {node} cannot be read here: it is sealed by its source.",
        "A target keeps plans without being able to read them.",
        "QUERY RPFCONTENT at the source, or `farvault recover` with its recovery code.",
    ),
    # expiration
    "ANR4964W": Row(
        "{volume} has expired and is not deleted yet: {reason}",
        "Its entry stays; the next EXPIRE INVENTORY tries again.",
    ),
    "ANR4965I": Row(
        "Expired: {backups} volumes of database backups and {plans} recovery plans are deleted; {retrieved} volumes may come "
        "back from the vault.",
    ),
    "ANR4966I": Row(
        "Expired: {backups} volumes of database backups and {plans} recovery plans would be deleted; {retrieved} volumes may "
        "come back from the vault.",
    ),
    # movable volumes
    "ANR2475I": Row("The volume history notes where volume {volume} is."),
    "ANR2476E": Row(
        "Volume {volume} is kept by another server: it is REMOTE and goes nowhere else.",
        "",
        "LOCATION may be given for it.",
    ),
    "ANR2477E": Row(
        "Volume {volume} is in state {state}: what it holds has not expired.",
        "On its way back from COURIERRETRIEVE a volume ends as scratch and what is on it is deleted.",
        "EXPIRE INVENTORY makes volumes of expired series VAULTRETRIEVE. A volume that comes back early: ORMSTATE=MOUNTABLE.",
    ),
    "ANR6683I": Row("Volume {volume} was moved from state {before} to {after}."),
    "ANR6684I": Row("Volume {volume} is back: its entry is deleted."),
    "ANR6685E": Row(
        "Volume {volume} cannot go from {before} to {after}.",
        "Volumes move forward only: MOUNTABLE, NOTMOUNTABLE, COURIER, VAULT, and back VAULTRETRIEVE, COURIERRETRIEVE, "
        "ONSITERETRIEVE.",
        "Name a later state with TOSTATE. A volume that comes back early: UPDATE VOLUME ACCESS=READWRITE.",
    ),
    "ANR6686I": Row("{count} volumes were moved."),
    "ANR6687W": Row("Move {count} volumes of movable media?"),
    "ANR6688W": Row(
        "The label of volume {volume} could not be read ({reason}): it stays where it is.",
        "DRMCHECKLABEL is YES: what leaves must be what it says it is.",
        "AUDIT VOLUME, or SET DRMCHECKLABEL NO.",
    ),
    "ANR6689E": Row("File {path} is not written: {reason}.", "", "Give another CMDFILENAME."),
    # drills
    "ANR4967I": Row(
        "Drill {number} succeeded: database of {time} restored in {database_seconds} seconds ({database}), {objects} objects "
        "({size}) read and right. A recovery would bring back a state {rpo} old; clients could restore after {rto}.",
    ),
    "ANR4968E": Row(
        "Drill {number} failed: {note}",
        "A recovery today would fail in the same way, or lose what is named.",
        "QUERY DRILL FORMAT=DETAILED shows the figures. Correct the cause, back up anew, RUN DRILL again.",
    ),
    "ANR4969E": Row(
        "A drill needs a database backup kept by another server; there is none {what}.",
        "What lies on this machine proves nothing about the day when it is gone.",
        "BACKUP DB DEVCLASS=... with a class of DEVTYPE=SERVER.",
    ),
    "ANR4938E": Row(
        "No other server has a copy of it.",
        "What lies on this machine alone is lost with it.",
        "BACKUP STGPOOL to a copy pool of DEVTYPE=SERVER.",
    ),
    "ANR4939E": Row("A drill is running already, as process {number}.", "", "Wait for it: QUERY PROCESS."),
}
