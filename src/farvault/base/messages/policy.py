"""Messages of expiration, holds and retention by event."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # EXPIRE INVENTORY
    "ANR0811I": Row("Inventory expiration started as process {number}."),
    "ANR0812I": Row(
        "Inventory expiration process {number} completed: examined {examined} objects, deleting {backup} backup objects, {archive} archive objects and {segments} virtual volume segments; {held} held objects stay. {size} are no longer needed."
    ),
    "ANR0813I": Row(
        "Inventory expiration process {number} stopped early ({reason}): examined {examined} objects, deleting {backup} backup objects and {archive} archive objects; {held} held objects stay. The next one goes on where it stopped."
    ),
    "ANR0814I": Row(
        "Preview of inventory expiration: of {examined} objects {backup} backup objects and {archive} archive objects would be deleted, and {segments} virtual volume segments; {held} held objects would stay. Nothing was changed."
    ),
    "ANR0815E": Row(
        "Inventory expiration is running already, as process {number}.",
        "Only one runs at a time.",
        "QUERY PROCESS shows how far it is; CANCEL PROCESS ends it.",
    ),
    "ANR4391I": Row(
        "Expiration of node {node}, file space {file_space} (domain {domain}): {examined} objects examined, {deleted} deleted: {reasons}."
    ),
    "ANR4392I": Row(
        "Preview of node {node}, file space {file_space} (domain {domain}): of {examined} objects {deleted} would be deleted: {reasons}."
    ),
    "ANR0830W": Row(
        "Domain {domain} of node {node} has no active policy set: nothing of this node expires by policy.",
        "Without it nobody can say how long its files are to be kept.",
        "ACTIVATE POLICYSET, or UPDATE NODE DOMAIN.",
    ),
    "ANR0831I": Row(
        "Management class {management_class} is not in the active set of domain {domain} or has no {use} copy group there: objects of node {node} bound to it are kept as those of default class {default}."
    ),
    "ANR0832W": Row(
        "Neither management class {management_class} nor the default class of domain {domain} has a backup copy group: inactive versions of node {node} are kept for {days} days (BACKRETENTION).",
        "Active versions stay. No new backups of these files are taken.",
        "DEFINE COPYGROUP in a policy set and activate it, where that is not meant.",
    ),
    "ANR0833W": Row(
        "Neither management class {management_class} nor the default class of domain {domain} has an archive copy group: archive copies of node {node} are kept for {days} days (ARCHRETENTION).",
        "They are counted from the day of the archive.",
        "DEFINE COPYGROUP TYPE=ARCHIVE in a policy set and activate it, where that is not meant.",
    ),
    "ANR0816I": Row(
        "EXPINTERVAL is {hours} hours: expiration runs an hour after the server's start and then every {hours} hours."
    ),
    "ANR0817I": Row("EXPINTERVAL is 0: expiration runs only when EXPIRE INVENTORY is typed."),
    "ANR2980I": Row(
        "EXPQUIET is {value}: where EXPIRE INVENTORY says nothing about QUIET, expiration says {what} about nodes and their policy."
    ),
    # policy that other policy hangs on
    "ANR1563I": Row(
        "Once the set is activated, objects bound to {what} are kept as those of the default class; where that has no copy group either, for {backup_days} days (backup versions) or {archive_days} days (archive copies)."
    ),
    "ANR1578E": Row(
        "RETMIN counts only with RETINIT=EVENT.",
        "With RETINIT=CREATION an archive copy is kept for RETVER days from its day, nothing else.",
        "Leave RETMIN away, or give RETINIT=EVENT.",
    ),
    # holds
    "ANR4400I": Row("Hold {hold} defined. It holds nothing until HOLD OBJECT names objects."),
    "ANR4401I": Row("Hold {hold} deleted."),
    "ANR4402I": Row("Hold {hold} now holds what was named: {objects} objects ({size}) in all."),
    "ANR4403I": Row("Released from hold {hold}; it still holds {objects} objects ({size})."),
    "ANR4404W": Row(
        "Everything held by {hold} is released. What policy no longer keeps goes with the next expiration."
    ),
    "ANR4405E": Row(
        "Hold {hold} still holds objects of {nodes} nodes.",
        "Deleting it would release them without a word.",
        "RELEASE OBJECT {hold} * first.",
    ),
    "ANR4406E": Row(
        "Node {node} is of TYPE=SERVER: its virtual volumes are kept until their source deletes them.",
        "A hold concerns the files of clients.",
        "Hold the files at their own server.",
    ),
    "ANR4407W": Row(
        "{objects} objects that node {node} wanted to delete are held ({holds}) and stay.",
        "An administrator has put them under a hold.",
        "None; QUERY HOLD shows the holds.",
    ),
    "ANR4408W": Row(
        "File space {file_space} of node {node}: {objects} objects are held ({holds}) and stay, and so does the file space.",
        "A hold keeps objects whatever else is said.",
        "QUERY HOLD shows why. RELEASE OBJECT, then delete again.",
    ),
    "ANR4409E": Row(
        "{objects} objects with data on volume {volume} are held ({holds}).",
        "Their data would be gone.",
        "Move or restore the data to other volumes, or RELEASE OBJECT, and delete again.",
    ),
    "ANR4410W": Row(
        "Volume {volume}: {objects} damaged objects are held ({holds}) and stay in the inventory.",
        "Their data has no good copy here, but a hold keeps what is left of them.",
        "Bring a copy back, or RELEASE OBJECT and audit the volume again.",
    ),
    "ANR4411W": Row(
        "What is released from hold {hold} and kept by no other is left to policy: it may go with the next expiration."
    ),
    "ANR4420E": Row("Hold {name} is not defined.", "", "QUERY HOLD shows those there are."),
    "ANR4421E": Row("Hold {name} is already defined.", "", "Use another name."),
    "ANR4422E": Row("Hold rule {name} is not there.", "It went with its hold.", "Start again."),
    # retention by event
    "ANR4431E": Row(
        "An event cannot be in the future.",
        "Retention would be counted from a day that may not come.",
        "Signal it when it has come.",
    ),
    "ANR4432E": Row(
        "Nothing of node {node} that matches waits for an event.",
        "Only archive copies whose copy group says RETINIT=EVENT do.",
        "QUERY RETENTION shows what keeps an object.",
    ),
    "ANR4430I": Row(
        "The retention event of {objects} archive copies is {time}; {known} more had theirs before and keep it."
    ),
}
