"""Messages of nodes, file spaces and their objects."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # REGISTER, UPDATE, RENAME, LOCK, REMOVE
    "ANR2060I": Row("Node {node} registered in policy domain {domain}."),
    "ANR2061I": Row("Node {node} removed."),
    "ANR2062I": Row("Node {node} renamed to {new_name}."),
    "ANR2063I": Row("Node {node} updated."),
    "ANR2064I": Row("Node {node} locked."),
    "ANR2065I": Row("Node {node} unlocked."),
    "ANR2096W": Row(
        "Node {node} cannot store yet: the default management class of domain {domain} has no archive copy group that is "
        "active. DEFINE COPYGROUP TYPE=ARCHIVE and ACTIVATE POLICYSET."
    ),
    "ANR2097E": Row(
        "A password is for one node, not for {nodes}.",
        "Nodes that share a password could sign on as each other.",
        "Name one node.",
    ),
    "ANR2098W": Row(
        "Node {node} is a source: it signs on as {new_name} only after UPDATE SERVER NODENAME={new_name} there."
    ),
    "ANR2099E": Row("Node {node} has a session open.", "", "CANCEL SESSION, then try again."),
    "ANR2137E": Row(
        "Node {node} still has {number} file spaces.", "They hold its backups.", "DELETE FILESPACE first."
    ),
    # file spaces
    "ANR2265E": Row(
        "File space {file_space} cannot be renamed, nor can another take its name.",
        "It holds the virtual volumes of another server, which asks for them by this name.",
        "None.",
    ),
    "ANR2266I": Row("File space {file_space} of node {node} renamed to {new_name}."),
    "ANR2267E": Row(
        "Node {node} is of TYPE=SERVER: its file spaces hold the volumes of another server.",
        "Deleting them destroys backups that only that server knows.",
        "Delete them there; if you must do it here, add TYPE=SERVER.",
    ),
    "ANR2268E": Row(
        "Node {node} is not of TYPE=SERVER.", "", "Leave out TYPE=SERVER, and what only sources have."
    ),
    "ANR2269W": Row("All that is stored in file space {file_space} of node {node} will be deleted for ever."),
}
