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
    "ANR4973W": Row(
        "{volume} (series {series}, operation {operation}) is not deleted, nor what is before it in its series: {reason}",
        "Its volume can only be deleted through its device class.",
        "Correct that, then DELETE VOLHISTORY again. Where the class is not defined any more, DEFINE DEVCLASS as it was.",
    ),
    "ANR4900E": Row("The volume history has no entry {name}.", "", "QUERY VOLHISTORY shows all entries."),
    "ANR4901E": Row(
        "Volume {volume} is in use: a storage pool or the volume history has one of this name.",
        "Writing over it would destroy what it holds. One that is gone here and still to be deleted at its target counts, too.",
        "Name another volume. DELETE VOLHISTORY frees volumes of old backups; QUERY PENDINGDELETIONS shows what waits.",
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
    "ANR4908W": Row(
        "A restore of the database {path} was broken off before the old one was set aside: the old one is used. To restore it, stop the server and run: farvault server restore-db {folder}.",
        "What the restore had built is removed. The old database is as it was.",
        "Check that this is the database you want.",
    ),
    "ANR4909W": Row(
        "A restore of the database that was broken off in its last step is complete now. Set aside: {aside}. BACKUP DB TYPE=FULL at once; then AUDIT VOLUME FIX=YES for volumes used since the backup, RECONCILE VOLUMES FIX=YES for each device class of DEVTYPE=SERVER, and only then EXPIRE INVENTORY.",
        "The restored database was whole and proved; only names were left to be changed.",
        "As after every restore: volumes added, reused or deleted since the backup stand in the old volume history (volhist.out with a number behind it).",
    ),
    "ANR4970E": Row(
        "There is no database {path}. If its disk is not mounted, mount it; if the database is lost, run: farvault server restore-db {folder}.",
        "Without it nothing can be served.",
        "Where the whole machine is lost, `farvault recover` rebuilds the server from its partner.",
    ),
    "ANR4971E": Row(
        "There is no database {path}: a restore was broken off before the new one was whole. Run it again: farvault server restore-db {folder}.",
        "There was no old database that could be used meanwhile.",
        "",
    ),
    "ANR4975W": Row(
        "Volume {volume} of device class {device_class}, begun {time}, had no end in what was restored: it is not touched, and no entry names it any more. Where another server keeps it, RECONCILE VOLUMES finds it; a file may be removed once the server serves.",
        "The database was backed up, or lost, while a database backup, export or plan was being written to it.",
        "A whole database backup can be told by `farvault volume check FILE`: keep it until the next one is complete.",
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
    "ANR4919E": Row(
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
    # database backups
    "ANR2280I": Row("Full database backup started as process {number}: series {series}."),
    "ANR2281I": Row(
        "Incremental database backup started as process {number}: series {series}, operation {operation}."
    ),
    "ANR2287I": Row("Snapshot database backup started as process {number}: snapshot {series}."),
    "ANR4550I": Row(
        "Full database backup (process {number}) complete, {pages} pages copied, {size} on {volumes}. Series {series}, operation {operation}.",
    ),
    "ANR4551I": Row(
        "Incremental database backup (process {number}) complete, {pages} of {total} pages copied, {size} on {volumes}. Series {series}, operation {operation}.",
    ),
    "ANR4558I": Row(
        "Snapshot database backup (process {number}) complete, {pages} pages copied, {size} on {volumes}. Snapshot {series}.",
    ),
    "ANR4554I": Row("Database backup: {done} of {total} pages."),
    "ANR2361E": Row(
        "A full database backup is required before an incremental one: {reason}.",
        "An incremental backup is worth something only behind an unbroken series.",
        "BACKUP DB TYPE=FULL.",
    ),
    "ANR4920E": Row(
        "Device class {device_class} is random access: a database backup needs a sequential one.",
        "",
        "Name a class of DEVTYPE=FILE or DEVTYPE=SERVER.",
    ),
    "ANR2782I": Row("The device class of database backups that name none is now: {device_class}."),
    "ANR2784W": Row(
        "Device class {device_class} is not the one of SET DBRECOVERY ({usual}). The backup goes to {device_class}."
    ),
    "ANR4976W": Row(
        "This backup builds on {volume}, which lies in device class {other}: what device class {device_class} reaches is not enough to restore it.",
        "A series is restored from all of its volumes. If they lie on several servers or on this machine, losing one place loses the series.",
        "BACKUP DB TYPE=FULL DEVCLASS={device_class}",
    ),
    "ANR4929E": Row(
        "No device class: DEVCLASS was not given, and SET DBRECOVERY names none.",
        "",
        "Give DEVCLASS, or SET DBRECOVERY a class of DEVTYPE=FILE or DEVTYPE=SERVER.",
    ),
    "ANR4906E": Row(
        "Device class {device_class} is the one of SET DBRECOVERY.", "", "SET DBRECOVERY another class first."
    ),
    "ANR4907E": Row(
        "The database backup trigger uses the device class of SET DBRECOVERY.",
        "Without one its backups would go nowhere.",
        "SET DBRECOVERY another class, or UPDATE DBBACKUPTRIGGER DEVCLASS=... first.",
    ),
    "ANR4923E": Row(
        "SCRATCH=NO needs VOLUMENAMES.",
        "There would be no volume to write to.",
        "Name the volumes, or allow SCRATCH=YES.",
    ),
    "ANR4924E": Row(
        "A database backup ({kind}) is running already.",
        "Only one runs at a time.",
        "Wait for it (QUERY PROCESS), or CANCEL PROCESS.",
    ),
    "ANR4974E": Row(
        "{failures} database backups to device class {device_class} have failed, and little of the recovery log's reserve is left: none is tried before {until}. After UPDATE DEVCLASS or UPDATE SERVER, and to another class, it is tried at once.",
        "Each backup that fails takes of the reserve, without which none can begin.",
        "Correct what the last one said (QUERY ACTLOG). A larger log_capacity_mib in farvault.toml gives more reserve.",
    ),
    # trigger
    "ANR2282I": Row("Database backup trigger is defined and enabled."),
    "ANR2283I": Row(
        "Database backup trigger is defined, but without effect: LOGMODE is NORMAL and there is no MAXAGE.",
        "In LOGMODE NORMAL there is no recovery log that could fill.",
        "SET LOGMODE ROLLFORWARD.",
    ),
    "ANR2284I": Row("Database backup trigger is updated and enabled."),
    "ANR2285I": Row(
        "Database backup trigger is updated, but without effect: LOGMODE is NORMAL and there is no MAXAGE.",
        "In LOGMODE NORMAL there is no recovery log that could fill.",
        "SET LOGMODE ROLLFORWARD.",
    ),
    "ANR2286I": Row("Database backup trigger is deleted."),
    "ANR4921E": Row("There is no database backup trigger.", "", "DEFINE DBBACKUPTRIGGER makes one."),
    "ANR4922E": Row(
        "There is a database backup trigger already.", "One is enough.", "UPDATE DBBACKUPTRIGGER changes it."
    ),
    "ANR4552I": Row("Database backup trigger: a full backup starts to {device_class}, because {reason}."),
    "ANR4553I": Row(
        "Database backup trigger: an incremental backup starts to {device_class}, because {reason}."
    ),
    "ANR4556W": Row(
        "The database backup did not bring the recovery log under the trigger: {percent} % are used, the trigger is at {limit} %.",
        "The changes made meanwhile fill more than the trigger allows.",
        "Give the log more room (log_capacity_mib) or set LOGFULLPCT higher.",
    ),
    "ANR4560I": Row("The triggered database backup did not succeed; tried again in {seconds} seconds."),
    "ANR4561I": Row("Trying the triggered database backup again, where its reason still stands."),
    # log mode
    "ANR2289W": Row(
        "Every change will be kept in {folder} until a database backup holds it. The next backup must be a full one. Go on?"
    ),
    "ANR2290W": Row(
        "With LOGMODE NORMAL the database can only be restored to its last backup: what came later is lost. Go on?"
    ),
    "ANR2294I": Row("LOGMODE is {mode}."),
    "ANR4925I": Row(
        "The next BACKUP DB must be TYPE=FULL: the database can be restored to its most current state from then on.",
    ),
    "ANR4927E": Row(
        "Device class {device_class} is the one of the database backup trigger.",
        "",
        "UPDATE DBBACKUPTRIGGER first, or delete it.",
    ),
    "ANR4928E": Row(
        "Device class {device_class} has volumes in the volume history.",
        "Without the class nobody could read or delete them.",
        "DELETE VOLHISTORY first.",
    ),
    "ANR4926E": Row(
        "LOGMODE is NORMAL: there is no recovery log.", "", "SET LOGMODE ROLLFORWARD begins one."
    ),
    # protection files
    "ANR4510E": Row(
        "File {path} could not be written: {reason}.",
        "It is what restoring the database reads. The old one is still there, and the backup itself is complete.",
        "Free space or correct the folder, then back up again.",
    ),
    "ANR4930E": Row(
        "Volume history file {path}, line {line}: this cannot be read.",
        "It was altered or cut.",
        "Correct it, give another copy with --volume-history, or name the volumes with --devclass and --volumes.",
    ),
    "ANR4931E": Row(
        "Device configuration file {path}, line {line}: {reason}",
        "It may hold SET SERVERNAME, DEFINE SERVER and DEFINE DEVCLASS, as typed at an administrator's terminal.",
        "Correct it, or give another one with --device-configuration.",
    ),
    "ANR4932E": Row(
        "Device class {device_class} is not in the device configuration file.",
        "Without it nobody knows how its volumes are reached.",
        "Add its DEFINE DEVCLASS to the file.",
    ),
    "ANR4937E": Row(
        "File {path} is not there.",
        "Restoring the database reads the volume history and device configuration files: they are kept in the instance folder.",
        "Bring them back from a copy, or write them anew: one DEFINE DEVCLASS, and --volumes instead of the history.",
    ),
    # restore
    "ANR4591I": Row("Restoring series {series}, begun {time}."),
    "ANR4592I": Row(
        "Series {series}, operation {operation}: volume {volume} ({sequence}), device class {device_class}."
    ),
    "ANR4598I": Row("Looking at volume {volume}."),
    "ANR4602E": Row(
        "No {kind} from before {time} is in the volume history.",
        "",
        "Give a later --todate, another --source, or name the volumes.",
    ),
    "ANR4614E": Row(
        "Volume {volume} was written {time}, not {expected} as the volume history says.",
        "It was written anew since, or the history is another one.",
        "Use another backup.",
    ),
    "ANR4634I": Row("Restoring the database as it was {time}."),
    "ANR4635I": Row("The database is restored from series {series}, operation {operation}, of {time}."),
    "ANR4638I": Row("Series {series}, operation {operation}."),
    "ANR4912I": Row("{size} of pages are restored."),
    "ANR1363I": Row("Reading volume {volume} ({sequence})."),
    "ANR4933E": Row(
        "Series {series} is broken: {reason}.",
        "Each backup of a series builds on the one before.",
        "Restore to a moment before the gap (--todate, --totime), or from another series.",
    ),
    "ANR4977E": Row(
        "The password of server {server} in {path} does not open with this folder's keys: the file or the keys are another server's.",
        "Passwords are sealed with the keys of the server that wrote the file.",
        "Bring back the keys that belong to it; or write PASSWORD=... of the node in the clear into a file of your own and give it with --device-configuration.",
    ),
    "ANR4934W": Row(
        "The newest backup was made in LOGMODE NORMAL: what changed after it is not in any log.",
        "Only the state of that backup can be restored.",
    ),
    "ANR4935E": Row(
        "The recovery log in {folder} is missing, or does not reach back to the newest backup: the most current state cannot be restored.",
        "Without it everything since that backup is lost.",
        "Bring the log folder back; or accept the state of the newest backup: --todate TODAY.",
    ),
    "ANR4936I": Row(
        "Preview: everything that is needed is there and signed by this server. Nothing was changed."
    ),
}
