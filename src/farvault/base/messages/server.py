"""Messages of the server as a whole: making an instance, start, stop, settings, catalog."""

from farvault.base.messages import Row

_INIT_ANEW = "Remove the folder and run `farvault server init` again, or name another folder."

ROWS: dict[str, Row] = {
    # farvault server init
    "ANR0992I": Row("Server {server} is made in {folder}."),
    "ANR0995E": Row(
        "Folder {folder} is not empty: nothing was made.",
        "An instance gets a folder of its own.",
        "Name another folder.",
    ),
    "ANR0996E": Row(
        "Folder {folder} holds the rest of an init that did not finish.",
        "The machine or the program stopped in the middle. No server ever ran there, so nothing is lost.",
        _INIT_ANEW,
    ),
    "ANR0997E": Row(
        "Folder {folder} holds a server already: nothing was made.", "", "Run it with `farvault server run`."
    ),
    "ANR0905E": Row(
        "Folder {folder} cannot be used: {reason}.", "", "Correct that, remove what is in it, init again."
    ),
    "ANR0999E": Row("{value} is not a usable {what}: {reason}", "", "Give another one."),
    # start
    "ANR0916I": Row("Server {server} is ready on {address} port {port}. Fingerprint {fingerprint}."),
    "ANR0917I": Row("Farvault {version}, instance {folder}, process {pid}."),
    "ANR0994E": Row(
        "Folder {folder} holds no server.", "", "Make one with `farvault server init {folder} --name NAME`."
    ),
    "ANR0998E": Row(
        "Server in {folder} is running already (process {pid}).",
        "Two servers on one catalog would destroy it.",
        "Stop the other one with HALT or SIGTERM.",
    ),
    "ANR0901E": Row(
        "Settings file {path} is not valid: {reason}", "", "Correct it; `docs/operations` lists all settings."
    ),
    "ANR0902W": Row(
        "File {path} may be read by others (mode {mode}).",
        "It protects every backup of this server.",
        "Set its mode to 0600 and think about who may have read it.",
    ),
    "ANR0903E": Row(
        "File {path} is missing.", "The instance is not complete.", "Bring the folder back from a backup."
    ),
    "ANR0906E": Row(
        "File {path} cannot be read: {reason}.",
        "",
        "Run it as the user that owns the server's folder.",
    ),
    # stop
    "ANR0991I": Row("Server {server} is stopped."),
    "ANR2234W": Row("HALT: server {server} stops now; sessions and processes are ended."),
    # catalog
    "ANR0131E": Row(
        "The catalog {path} has no room to grow.",
        "Its disk is full. The transaction was undone; nothing of it is kept.",
        "Make room on that disk. The server goes on by itself.",
    ),
    "ANR0132E": Row(
        "The catalog {path} cannot be read or written: {reason}.",
        "The transaction was undone; what was acknowledged before is safe.",
        "Check the disk and the system's log, then start the server again.",
    ),
    "ANR0133E": Row("There is no catalog {path}.", "", "Name the right folder, or restore the catalog."),
    "ANR0134E": Row(
        "The catalog {path} is open in another process.",
        "Two writers on one catalog would destroy it.",
        "Stop the other server first.",
    ),
    "ANR0135E": Row(
        "The catalog {path} cannot be used: {reason}.", "", "Use the program and the files that belong to it."
    ),
    "ANR0136E": Row(
        "The catalog {path} exists already.", "", "Name another folder, or remove the old instance."
    ),
    "ANR0137E": Row(
        "The catalog could not be changed: another change took longer than {seconds} seconds.",
        "",
        "Try again later.",
    ),
    "ANR0138E": Row("The catalog is closed.", "The server is stopping.", "Try again when it is up."),
    "ANR0139E": Row(
        "The catalog {path} takes no more changes after an error of its disk.",
        "After a failed write only a fresh start tells what is on the disk.",
        "Check the disk and the system's log, then start the server again.",
    ),
    "ANR0140E": Row(
        "The {title} {name} cannot be deleted: others belong to it, or it holds data.",
        "",
        "Delete those first.",
    ),
    "ANR0141E": Row(
        "{count} pieces of data that were known are gone meanwhile.",
        "They were deleted between the question and the end of the transaction. Nothing of it is kept.",
        "Send the transaction again.",
    ),
    "ANR0142E": Row(
        "Record {number} is not in the catalog any more.", "It was freed meanwhile.", "Start again."
    ),
    "ANR0143E": Row(
        "Segment of volume {volume}: the source counts {told} records, {came} came.",
        "It would not be what the source believes, so it is not kept.",
        "The source sends it again; if this comes back, look for a damaged link or program.",
    ),
    "ANR0144E": Row(
        "Segment {number} is not open.",
        "A later session has begun anew, or it was given up.",
        "The source opens a new segment; what it has sent stays known.",
    ),
    # definitions that are not there, or there already
    "ANR0852E": Row("File space {name} does not exist.", "", "QUERY FILESPACE shows those there are."),
    "ANR0853E": Row("File space {name} exists already.", "", "Use another name."),
    "ANR1550E": Row("Policy domain {name} is not defined.", "", "QUERY DOMAIN shows those there are."),
    "ANR1551E": Row("Policy set {name} is not defined.", "", "QUERY POLICYSET shows those there are."),
    "ANR1552E": Row("Management class {name} is not defined.", "", "QUERY MGMTCLASS shows those there are."),
    "ANR1553E": Row("Copy group {name} is not defined.", "", "QUERY COPYGROUP shows those there are."),
    "ANR1566E": Row("Policy domain {name} is already defined.", "", "Use another name."),
    "ANR1567E": Row("Policy set {name} is already defined.", "", "Use another name."),
    "ANR1568E": Row("Management class {name} is already defined.", "", "Use another name."),
    "ANR1569E": Row("Copy group {name} is already defined.", "", "Use UPDATE COPYGROUP."),
    "ANR1650E": Row("Server {name} is not defined.", "", "QUERY SERVER shows those there are."),
    "ANR1656E": Row("Server {name} is already defined.", "", "Use another name, or UPDATE SERVER."),
    "ANR2146E": Row("Node {name} is not registered.", "", "QUERY NODE shows those there are."),
    "ANR2147E": Row("Node {name} is already registered.", "", "Use another name, or UPDATE NODE."),
    "ANR2148E": Row("Administrator {name} is not registered.", "", "QUERY ADMIN shows those there are."),
    "ANR2150E": Row("Administrator {name} is already registered.", "", "Use another name, or UPDATE ADMIN."),
    "ANR2381E": Row("Storage pool {name} is already defined.", "", "Use another name, or UPDATE STGPOOL."),
    "ANR2382E": Row("Storage pool {name} is not defined.", "", "QUERY STGPOOL shows those there are."),
    "ANR2401E": Row(
        "Volume {name} is not defined in a storage pool.", "", "QUERY VOLUME shows those there are."
    ),
    "ANR2404E": Row("Volume {name} is already defined in a storage pool.", "", "Use another name."),
    "ANR8201E": Row("Device class {name} is not defined.", "", "QUERY DEVCLASS shows those there are."),
    "ANR8202E": Row("Device class {name} is already defined.", "", "Use another name, or UPDATE DEVCLASS."),
    # inside
    "ANR0904W": Row(
        "{lines} lines could not be written to the activity log.",
        "The catalog could not take them in time, or was full for so long that no more could wait.",
        "The console has them. Check that the disk of the catalog and the recovery log are not full.",
    ),
    "ANR9999D": Row(
        "Internal error in {place}: {error}",
        "This should not happen. The traceback is on the server's standard error.",
        "Report it with the lines around it.",
    ),
    # sealed data and keys
    "ANR9801E": Row(
        "This is not a recovery code: {reason}.",
        "It has 28 letters and digits in seven groups of four; the last two check the others.",
        "Compare it with the printed one and type it again.",
    ),
    "ANR9802E": Row(
        "The keys do not open with this recovery code.",
        "The code is well typed, but it is not the one these keys were wrapped with.",
        "Use the code that was shown when the server was made, or when its code was last changed.",
    ),
    "ANR9803E": Row(
        "Stored bytes are damaged: {reason}.",
        "They are not what was written. Nothing of them is used.",
        "Where another copy exists it is read instead; AUDIT VOLUME finds all damaged places on a volume.",
    ),
}
