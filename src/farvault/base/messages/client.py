"""Messages of the backup-archive client (ANS1xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # include-exclude statements
    "ANS1480E": Row(
        "The statement `{statement}` is not valid: {reason}.",
        "Nothing is backed up with a list that may leave out the wrong files.",
        "Correct the statement.",
    ),
    "ANS1481E": Row(
        "The statement `{statement}` is not supported yet.",
        "The function it controls does not exist here.",
        "Remove the statement.",
    ),
    # sessions
    "ANS1017E": Row(
        "No session with server {server}.",
        "The server does not run, or the network or a firewall is between.",
        "Check -servername= (or TCPSERVERADDRESS and TCPPORT in the option file), and that the server runs.",
    ),
    "ANS1025E": Row(
        "Session refused for node {node}: sign-on failed.",
        "The message before this one says why.",
        "Check the node's name and password, or ask the server's administrator.",
    ),
    "ANS1217E": Row(
        "Server {server} is neither a stanza of the option file nor an address.",
        "",
        "Name a SERVERNAME stanza, or give host:port.",
    ),
    "ANS1809W": Row("The session was lost; reconnecting. {reason}", "", "None: the transaction is repeated."),
    "ANS1810E": Row("The session has been re-established.", "The interrupted transaction is repeated."),
    "ANS1811S": Row(
        "The session could not be re-established: {reason}",
        "The server stayed away for longer than COMMRESTARTDURATION, or refuses this node now.",
        "Run the command again when the server is back: what was acknowledged is not sent again.",
    ),
    "ANS2050E": Row(
        "A password is needed for node {node}, and there is no terminal to ask at.",
        "",
        "Give -passwordfile=, PASSWORDFILE in the option file, or FARVAULT_CLIENT_PASSWORD in the environment.",
    ),
    "ANS9823I": Row(
        "Has {server} been made anew? Then compare this fingerprint with its administrator's and take its line out of {path}.",
        "The first contact wrote the fingerprint there. Until then nothing is sent to this server.",
        "Where nobody knows of a new server, somebody may stand in for it: leave the line.",
    ),
    "ANS9806I": Row(
        "First contact with {server}: its key {fingerprint} is trusted from now on. Compare it with what `farvault "
        "server init` printed there."
    ),
    "ANS9829W": Row(
        "The server's key could not be written down in {path}: {reason}",
        "It is trusted for this command. The next one meets a stranger again, whoever that is.",
        "Make the folder writable (XDG_CONFIG_HOME moves it), or give FINGERPRINT {fingerprint} in the option file.",
    ),
    # command line and options
    "ANS1035S": Row("File {path} cannot be read: {reason}", "", "Check its name and rights."),
    "ANS1036S": Row(
        "{path}, line {line}: {problem}", "Nothing runs with half an option file.", "Correct the line."
    ),
    "ANS1071E": Row("{domain} in DOMAIN is not a file system here.", "", "Name a mount point or ALL-LOCAL."),
    "ANS1079E": Row("No file specification was given.", "", "Name the files: `dir/`, `dir/name`, `'dir/*'`."),
    "ANS1081E": Row(
        "{spec} is not a file specification.",
        "Wildcards may stand in the last component only.",
        "Quote patterns so that the shell leaves them alone: 'dir/*.c'.",
    ),
    "ANS1082E": Row(
        "{destination} cannot be a destination.",
        "It holds wildcards, or the folder can be neither found nor made.",
        "Name a folder with a trailing slash, or a new name for one file.",
    ),
    "ANS1089E": Row(
        "{destination} must be a folder: several objects go there.",
        "",
        "End it with a slash; it is made if missing.",
    ),
    "ANS1107E": Row("-{option} is not an option here.", "", "`farvault client help` lists the options."),
    "ANS1108E": Row("{option} cannot be {value}: expected {expected}.", "", "Correct the value."),
    "ANS9821E": Row("{option} belongs {place}.", "", "Move it there."),
    "ANS9824E": Row("There is no message {number}.", "", "Type it as it was shown: ANS1079E."),
    "ANS9822E": Row("{option} needs a value: {expected}.", "", "Give it one: -{option}=..."),
    "ANS9801E": Row(
        "{option} is not supported yet.",
        "It is known, but ignoring it would do something else than was asked for.",
        "Leave it out.",
    ),
    "ANS9813E": Row(
        "-{option} has no meaning for {command}.",
        "Nothing was done.",
        "`farvault client help`; leave it out.",
    ),
    "ANS9814E": Row("{one} cannot be given together with {other}.", "", "Give one of them."),
    "ANS9815E": Row("FROMDATE and FROMTIME are later than TODATE and TOTIME.", "", "Exchange them."),
    "ANS9816E": Row(
        "Management class {management_class} is not in the active policy of domain {domain}.",
        "Nothing was done.",
        "QUERY MGMTCLASS lists those that are.",
    ),
    "ANS9808E": Row("{command} is not a command.", "", "`farvault client help` lists the commands."),
    "ANS9809E": Row(
        "The command {command} is not supported yet.", "", "`farvault client help` lists those that are."
    ),
    "ANS9810E": Row(
        "{operands} operands where {most} are allowed.",
        "The shell has probably expanded a pattern.",
        "Quote the pattern: 'dir/*'.",
    ),
    # what to back up
    "ANS1063E": Row(
        "{path} cannot be a file space: its name is not UTF-8.",
        "",
        "Mount it under another name, or back up a part.",
    ),
    "ANS1076E": Row("Folder {path} does not exist.", "", "Check the name."),
    "ANS1083E": Row("Nothing matches {spec}, here or at the server.", "", "Check the name."),
    "ANS1115W": Row("{path} is excluded by the include-exclude list; what the server has of it stays."),
    "ANS1149E": Row(
        "There is nothing to back up: DOMAIN is empty, or everything in it is excluded.",
        "",
        "Name files or file systems, or correct DOMAIN.",
    ),
    "ANS9802E": Row(
        "Nothing can be stored: management class {management_class} has no {kind} copy group.",
        "The copy group says where the data goes. No class that could be used instead has one.",
        "At the server: DEFINE COPYGROUP and ACTIVATE POLICYSET for this node's domain.",
    ),
    "ANS9803E": Row(
        "{path} and others bound to class {management_class} are left out: the class has no {kind} copy group.",
        "",
        "Correct the INCLUDE statement or DIRMC, or DEFINE COPYGROUP at the server.",
    ),
    "ANS9807W": Row(
        "Class {management_class}, named by an INCLUDE statement or DIRMC, is not in the active policy; {default} is used."
    ),
    "ANS9827W": Row(
        "What this command shows cannot be written any more: {reason}",
        "Whoever read it has gone. The command goes on.",
        "Redirect the output to a file, or use -quiet.",
    ),
    "ANS9833E": Row(
        "'{spec}' was not gone through to its end: {reason}",
        "It does not exist, may not be read, or its disk has failed. What was found before is stored; nothing counts as gone. The others go on.",
        "Check VIRTUALMOUNTPOINT and DOMAIN in the option file, and that it is mounted; then run the command again.",
    ),
    "ANS9831E": Row(
        "The command ended early: {reason}", "The operating system said so.", "Correct that and run it again."
    ),
    "ANS9999E": Row(
        "The command ended because of an internal error at {place}: {error}",
        "This is a defect of the program. What was acknowledged is stored.",
        "Report it with this line.",
    ),
    # storing
    "ANS1228E": Row(
        "Sending of object '{path}' failed.",
        "The next message says why.",
        "See there; the other objects go on.",
    ),
    "ANS1802E": Row(
        "Incremental backup of '{spec}' finished with {failures} failure(s).", "The messages before say why."
    ),
    "ANS1803E": Row(
        "Archive of '{spec}' finished with {failures} failure(s).", "The messages before say why."
    ),
    "ANS1804E": Row(
        "Selective backup of '{spec}' finished with {failures} failure(s).", "The messages before say why."
    ),
    "ANS4005E": Row("'{path}' was not found: it vanished after it had been listed.", "", "None."),
    "ANS4007E": Row("'{path}': access denied.", "", "Run as a user who may read it, or exclude it."),
    "ANS4008E": Row("'{path}' is in use.", "", "Back it up when it is not."),
    "ANS4014E": Row("'{path}': {reason}.", "The operating system said so.", "See there."),
    "ANS4017E": Row("'{path}': the name is too long.", "", "Rename it, or restore to a shorter destination."),
    "ANS4037E": Row(
        "Object '{path}' changed during processing. Object skipped.",
        "Half of one state and half of another is worth nothing; the copy group's SERIALIZATION says so.",
        "Back it up when it is quiet, or bind it to a class with SERIALIZATION=SHRDYNAMIC.",
    ),
    "ANS4047E": Row(
        "'{path}' cannot be read: {reason}.", "The disk or its file system is damaged.", "Check the disk."
    ),
    "ANS9811E": Row(
        "'{path}' was not stored: its extended attributes are too long: {reason} be kept with an object.",
        "The other objects go on.",
        "Remove attributes that are not needed (`getfattr -d -m - FILE` lists them), or exclude it.",
    ),
    "ANS9812E": Row(
        "'{path}' was not stored: it has more than {reason} pieces of data.",
        "The file is longer than any object may be. The other objects go on.",
        "Split the file, or exclude it.",
    ),
    "ANS9804E": Row(
        "A worker ended unexpectedly with {objects} object(s) in its hands.",
        "The message before says why; where there is none, it was killed, or memory ran out.",
        "Run the command again: what was acknowledged is not sent again.",
    ),
    "ANS9805E": Row(
        "A transaction with {objects} object(s) of {file_space} was not stored.",
        "The message before is the server's reason.",
        "Correct it there and run the command again.",
    ),
    "ANS9830E": Row(
        "A worker met something nobody expected: {reason}",
        "This is a defect of the program. The command stops; what was acknowledged is stored, what is complete is restored.",
        "Run the command again. Report it with this message if it comes back.",
    ),
    "ANS9828W": Row(
        "'{path}': its time of modification, {seconds:,} seconds from 1970, is kept as the nearest that can be: the year 2262, "
        "or 1677.",
        "Its data is stored as it is.",
        "`touch` gives it another time.",
    ),
    "ANS9826E": Row(
        "The server's inventory cannot be kept in a temporary file in {folder}: {reason}",
        "It comes faster than this machine can work it off, and the server does not wait.",
        "Make room there, or name another folder in the environment: TMPDIR=...",
    ),
    # taking away
    "ANS1126E": Row(
        "Node {node} may not delete its {kind} copies.",
        "Nothing was deleted.",
        "An administrator can allow it: UPDATE NODE {node} {keyword}=YES.",
    ),
    "ANS1302E": Row("No objects match {spec}.", "", "QUERY BACKUP and QUERY ARCHIVE show what there is."),
    "ANS4000E": Row(
        "File space {file_space} of node {node} does not exist.", "", "QUERY FILESPACE lists them."
    ),
    "ANS9817E": Row(
        "Nobody is there to be asked whether to {what}. Nothing was done.",
        "This needs an answer, and there is no terminal.",
        "Add -noprompt.",
    ),
    "ANS9818W": Row("'{path}' is held ({holds}) and stays.", "An administrator has put it under a hold."),
    "ANS9819W": Row(
        "File space {file_space} is still there: some of its objects are held, or came meanwhile.",
        "",
        "The server's administrator sees which holds: QUERY HOLD.",
    ),
    "ANS9820I": Row("Nothing was done: the answer was not to {what}."),
    "ANS9832W": Row(
        "'{path}': its attributes are not what a client stores.",
        "The server has lost or changed them, or another program has stored the object.",
        "At the server: AUDIT CATALOG.",
    ),
    # getting back
    "ANS1084E": Row(
        "Nothing is stored that matches {spec}.", "", "QUERY FILESPACE and QUERY BACKUP show what there is."
    ),
    "ANS1092W": Row("Nothing matches the query."),
    "ANS1304E": Row(
        "'{path}' was not restored: {reason}.",
        "The server sent something that cannot be right.",
        "Try again.",
    ),
    "ANS1314E": Row(
        "'{path}' is not available: {reason}.",
        "No readable volume holds all of its data.",
        "At the server: look at the volumes' access, and restore them from a copy pool.",
    ),
    "ANS1587W": Row("'{path}': extended attributes could not be given back: {reason}."),
    "ANS1946W": Row("'{path}' exists and was not replaced."),
    "ANS2820E": Row(
        "Interrupted; the command stops.", "", "Run it again: what was acknowledged is not sent again."
    ),
    "ANS4009E": Row("'{path}': no room left: {reason}.", "", "Make room, or restore to another file system."),
    "ANS4028E": Row("'{path}' cannot be made: {reason}.", "", "Check the destination."),
    "ANS4029E": Row(
        "'{path}': a file or symbolic link stands where a folder is needed.",
        "Restore follows no links: they could lead out of the destination.",
        "Remove it, or restore to another destination.",
    ),
}
