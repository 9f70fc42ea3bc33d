"""Messages of sessions and sign-on (ANR04xx) and of a session's transactions (ANR05xx)."""

from farvault.base.messages import Row

_LOOK_AT_NAME = (
    "Check the name, and the server it was sent to; QUERY NODE and QUERY ADMIN list what is registered."
)

ROWS: dict[str, Row] = {
    # life of a session
    "ANR0403I": Row("Session {session} ended for node {name} ({platform})."),
    "ANR0405I": Row("Session {session} ended for administrator {name} ({platform})."),
    "ANR0406I": Row("Session {session} started for node {name} ({platform}) (TCP/IP {address})."),
    "ANR0407I": Row("Session {session} started for administrator {name} ({platform}) (TCP/IP {address})."),
    "ANR0408I": Row("Session {session} started for server {name} ({platform}) (TCP/IP {address}){purpose}."),
    "ANR0409I": Row("Session {session} ended for server {name} ({platform})."),
    # refused at sign-on
    "ANR0420W": Row(
        "Session refused for {name} ({address}): the server is disabled for client sessions.",
        "An administrator has disabled new sessions, or the server is stopping.",
        "Try again later, or ask the administrator.",
    ),
    "ANR0422W": Row(
        "Session refused for node {name} ({address}): the node is not registered.", "", _LOOK_AT_NAME
    ),
    "ANR0423W": Row(
        "Session refused for administrator {name} ({address}): the administrator is not registered.",
        "",
        _LOOK_AT_NAME,
    ),
    "ANR0424W": Row(
        "Session refused for {name} ({address}): the password is wrong.",
        "Passwords are compared exactly as typed. Every wrong one makes the next try slower.",
        "Type it again, or have an administrator set a new one with UPDATE NODE or UPDATE ADMIN.",
    ),
    "ANR0430W": Row(
        "Session refused for node {name} ({address}): the node is locked.",
        "",
        "An administrator can UNLOCK NODE.",
    ),
    "ANR0434W": Row(
        "Session of node {name} ({address}) is over: the node's password was changed since it signed on.",
        "",
        "Sign on with the new one. At a source: UPDATE SERVER with PASSWORD.",
    ),
    "ANR0431W": Row(
        "Session refused for administrator {name} ({address}): the administrator is locked.",
        "",
        "A system administrator can UNLOCK ADMIN.",
    ),
    "ANR0450W": Row(
        "Session refused for server {name} ({address}): no server of this name is defined here with a password.",
        "",
        "DEFINE SERVER with SERVERPASSWORD on both sides.",
    ),
    "ANR0495W": Row(
        "Session refused for node {name} ({address}): the node is of TYPE=SERVER and cannot sign on as a client.",
        "A source's node holds virtual volumes only.",
        "Register a node of TYPE=CLIENT for backups.",
    ),
    "ANR0496W": Row(
        "Session refused for server {name} ({address}): its node is not of TYPE=SERVER.",
        "Virtual volumes are kept for nodes of TYPE=SERVER only.",
        "Here: REGISTER NODE ... TYPE=SERVER; at the source: DEFINE SERVER with that NODENAME.",
    ),
    "ANR0498W": Row(
        "Session refused for node {name} ({address}): the node belongs to this server itself.",
        "A server cannot be its own target: one fire would take both copies.",
        "At DEFINE SERVER give the address of another server.",
    ),
    # protocol
    "ANR0440W": Row(
        "Session with {address} closed before sign-on was complete: {reason}",
        "Something connected that does not speak the protocol, gave up, or took too long.",
        "None, where it is a port scan; else check that both programs have the same version.",
    ),
    "ANR0445W": Row(
        "Node {node}: a transaction has more than {most} objects (TXNGROUPMAX).",
        "",
        "Use a program of the same version, or raise the value: UPDATE NODE {node} TXNGROUPMAX=.",
    ),
    # ended early
    "ANR0480W": Row("Session {session} for {name} ({platform}) terminated: the connection was cut. {reason}"),
    "ANR0482W": Row(
        "Session {session} for {name} ({platform}) terminated: idle for more than {minutes} minutes."
    ),
    "ANR0483W": Row("Session {session} for {name} ({platform}) terminated: forced by the administrator."),
    "ANR0484W": Row("Session {session} for {name} ({platform}) terminated: protocol violation. {reason}"),
    "ANR0486W": Row("Session {session} for {name} ({platform}) terminated: internal error."),
    # transactions and requests of a node
    "ANR0530W": Row(
        "The request failed because of an internal error of the server.",
        "",
        "The server's console shows what happened. Try again; report it where it comes back.",
    ),
    "ANR0531W": Row(
        "File space {file_space} is not registered for node {node}.",
        "",
        "A client registers each file space before its first transaction.",
    ),
    "ANR0532W": Row("Session {session} ({node}): transaction aborted: {reason}"),
    "ANR0558W": Row(
        "Object {object_id} is not an object of node {node}.",
        "It has expired or was deleted since it was listed, or it never was this node's.",
        "List the objects again.",
    ),
    "ANR0560W": Row(
        "Management class {management_class} of domain {domain} has no {kind} copy group.",
        "Without a copy group the server does not know where to store the data, or for how long.",
        "DEFINE COPYGROUP in the policy set and ACTIVATE POLICYSET, or bind the files to another class.",
    ),
    "ANR0561W": Row(
        "Management class {management_class} does not exist in the active policy set of domain {domain}.",
        "",
        "Check the INCLUDE statements of the client, or DEFINE MGMTCLASS and ACTIVATE POLICYSET.",
    ),
    "ANR0562W": Row(
        "Policy domain {domain} of node {node} has no active policy set.",
        "",
        "ACTIVATE POLICYSET, or move the node to another domain with UPDATE NODE DOMAIN=.",
    ),
    "ANR0563W": Row(
        "Node {node} may not delete its {kind} copies.",
        "",
        "An administrator can allow it: UPDATE NODE {node} {keyword}=YES.",
    ),
    "ANR0564W": Row(
        "{lines} console lines were skipped here: the reader was too slow. They are in the activity log."
    ),
    "ANR0565E": Row(
        "The name of a file space has 1 to {longest} characters, none of them a control character.",
        "It is shown in lists and messages.",
        "Use a virtual mount point with another name.",
    ),
    "ANR0566E": Row(
        "Node {node} has {most} file spaces already.",
        "Something may be making up names.",
        "Delete file spaces that are not needed: DELETE FILESPACE.",
    ),
    "ANR0568E": Row(
        "A transaction changes more than {most} versions.", "", "Use a program of the same version."
    ),
    "ANR0569E": Row("A request names more than {most} objects.", "", "Use a program of the same version."),
    "ANR0567I": Row("Session {session}: the verification code of server {name} ({platform}) is registered."),
    "ANR0571W": Row(
        "A transaction that node {node} repeats is still being made durable for its session before.",
        "Whether it is stored is not known yet. The client dials again and asks once more.",
        "None; where it comes back, look at the speed of the storage pool's volumes.",
    ),
    "ANR0572I": Row(
        "Session {session}: node {node} repeats a transaction that is stored; it gets its answer again, nothing is stored "
        "twice."
    ),
    # the link and the frames on it
    "ANR0417E": Row(
        "Sign-on refused: {name!r} is not a name a server can know.",
        "",
        "1 to 64 printable ASCII characters.",
    ),
    "ANR0419E": Row(
        "Sign-on of {name} failed: {reason}",
        "The server did not prove that it knows this name's password, or the password has forbidden characters.",
        "Type the password again; check with QUERY SERVER or the option file that this is the server you mean.",
    ),
    "ANR0421W": Row(
        "Session refused for {name} ({address}): too many failed sign-ons, try again in {seconds} seconds.",
        "Each wrong password after the fifth doubles the pause, up to 15 minutes. Nobody is locked out for good.",
        "Wait. Where it was not you: somebody is guessing passwords; see the activity log.",
    ),
    "ANR0426W": Row(
        "Session refused for {name} ({address}): the two sides did not see the same sign-on messages.",
        "Somebody between them altered a message, or stands in for the server with another certificate.",
        "Compare the server's fingerprint with the one you have; do not trust this network until it is explained.",
    ),
    "ANR0428W": Row(
        "Connection from {address} refused: all {limit} sessions are in use.",
        "",
        "Try again when sessions have ended.",
    ),
    "ANR0446W": Row(
        "Protocol error: {peer} sent {problem}.",
        "It is no Farvault program, or one of another version, or the bytes were made to harm. The session is closed.",
        "Use programs of the same version.",
    ),
    "ANR0447E": Row(
        "A message {verb} of {size} bytes is too long to send.",
        "",
        "Ask for less at once, or shorten the text.",
    ),
    "ANR0448E": Row(
        "The password has characters that no password may have.",
        "Control characters and unassigned code points cannot be typed the same way everywhere.",
        "Choose another password.",
    ),
    "ANR0499E": Row(
        "{server} is this server itself: it cannot keep its own virtual volumes.",
        "One fire would take both copies.",
        "Give the address of another server in DEFINE SERVER or UPDATE SERVER.",
    ),
    "ANR8212E": Row(
        "The address of {host} cannot be found: {reason}", "", "Check the name, or give the numeric address."
    ),
    "ANR8213E": Row(
        "No secure connection with {peer}: {reason}",
        "The other side does not speak TLS 1.3, or is no Farvault server.",
        "Check address and port.",
    ),
    "ANR8214E": Row(
        "No connection to {peer}: {reason}",
        "The server does not run, another program owns the port, or a firewall is between.",
        "Start the server, or check address and port.",
    ),
    "ANR8215E": Row(
        "Port {port} cannot be opened on {host}: {reason}",
        "Another program uses it, or it needs more rights.",
        "Stop the other program or choose another port.",
    ),
    "ANR8216E": Row(
        "{peer} did not move any byte for {seconds} seconds; the session is closed.",
        "The network or the other side stands still.",
        "Try again; look at the other server.",
    ),
    "ANR8217E": Row(
        "{peer} sent nothing for {seconds} seconds; the session is closed.",
        "The session was idle longer than allowed, or the other side stands still.",
        "Sign on again.",
    ),
    "ANR8218E": Row(
        "The connection with {peer} was cut: {reason}",
        "The other side or the network ended it.",
        "Try again; what was not acknowledged is sent again.",
    ),
    "ANR8221E": Row(
        "The known servers in {path} cannot be read: {reason}",
        "Without them nobody can tell whether it is the server met before. Nothing was sent.",
        "Correct the file's rights, or name the server's fingerprint in the options.",
    ),
    "ANR8599E": Row(
        "{peer} is not the server expected: its certificate has fingerprint {seen}, expected {expected}.",
        "Either the server was made anew, or somebody stands in for it. Nothing was sent to it.",
        "Ask its administrator for the fingerprint (QUERY STATUS there); where it has really changed, UPDATE SERVER FINGERPRINT=.",
    ),
}
