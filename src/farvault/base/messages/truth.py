"""Messages about what a target still has of what it signed for: receipts, challenges, RECONCILE VOLUMES."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # at the source
    "ANR4880E": Row(
        "Server {server} is in an older state than its receipts say: nothing is stored or deleted there.",
        "Its newest receipt, or what it signed under our number, is not what we hold. It was probably restored from a "
        "backup. What is read there is checked record by record as always.",
        "RECONCILE VOLUMES * FIX=YES lists what is missing and sets those volumes UNAVAILABLE; then storing goes on. "
        "Where the target's newer state comes back, the next sign-on finds out by itself.",
    ),
    "ANR4881E": Row(
        "Server {peer} did not answer as asked: {what}.",
        "It breaks the protocol. The connection was closed.",
        "Ask the target's administrator. Check that the server at this address is the one you defined.",
    ),
    "ANR4882E": Row(
        "ALERT: server {server} was set back: its newest receipt is number {told}, we hold number {known} or another one under "
        "that number.",
        "Everything it took in since may be missing there. Until the two have been compared nothing is stored there.",
        "Ask the target's administrator what happened; then RECONCILE VOLUMES * FIX=YES.",
    ),
    "ANR4883I": Row("Server {server} is believed again; its newest receipt is number {number}."),
    "ANR4884W": Row(
        "Virtual volume {volume} at server {server}: {finding}{differs}; {actions}.",
        "Volume and archive file do not agree. QUERY RECONCILE lists all differences of the last run.",
        "After AUDIT VOLUME has found a volume good: UPDATE VOLUME ACCESS=READWRITE. What is lost: DELETE VOLUME "
        "DISCARDDATA=YES on a copy and BACKUP STGPOOL again; RESTORE VOLUME on a primary volume.",
    ),
    "ANR4885I": Row(
        "Server {server}: {here} volumes here and {there} there compared, {same} agree, {reported} differ, {fixed} fixed, "
        "{open} differences left, {skipped} in use and not compared. {trusted}"
    ),
    "ANR4886W": Row(
        "Server {server} refused: {reason}",
        "RECONCILE VOLUMES goes no further there.",
        "Run it again; where it is refused again, ask the target's administrator.",
    ),
    "ANR4887I": Row(
        "Server {server} was challenged about {asked} records: {proven} proven, {missed} missed ({local} compared with data here, "
        "{kept} with answers kept, {fetched} fetched)."
    ),
    "ANR4888E": Row(
        "ALERT: virtual volume {volume}: server {server} could not prove that it has the record at offset {offset}.",
        "It is damaged or missing there. The volume is set UNAVAILABLE, other copies are used.",
        "UPDATE VOLUME {volume} ACCESS=READONLY and AUDIT VOLUME {volume} tell how much is affected.",
    ),
    "ANR4889E": Row(
        "Virtual volume {volume}: server {server} does not stand by its receipts: {reason}",
        "It signed that it holds this volume. The receipts here prove it: QUERY RECEIPT {volume}.",
        "Ask the target's administrator. RECONCILE VOLUMES shows whether others are affected.",
    ),
    "ANR4891E": Row(
        "ALERT: {what}, volume {volume}: server {server} could not prove that it has the record at offset {offset}.",
        "It is damaged or missing there: nothing may be restored from it. QUERY VOLHISTORY shows it as not provable. Where it "
        "belongs to the newest series, the next database backup is a full one, and a trigger starts it at once.",
        "BACKUP DB TYPE=FULL now, best to another server; for a plan PREPARE. VALIDATE VOLUME {volume} CONTENTS=YES reads all "
        "of it and, where it is whole after all, takes it back.",
    ),
    "ANR4892I": Row(
        "Virtual volume {volume}: server {server} stands by all {receipts} receipts; {records} records, {size}."
    ),
    "ANR4840E": Row(
        "Volume {volume} belongs to a storage pool: VALIDATE VOLUME does not read it.",
        "CONTENTS=YES is for database backups, plans and exports.",
        "AUDIT VOLUME {volume}.",
    ),
    "ANR4841I": Row(
        "Volume {volume}: all {records} records were read from server {server} and are as they were written."
    ),
    "ANR4893E": Row(
        "Volume {volume} has no receipts.",
        "It is not a virtual volume, or nothing was stored on it.",
        "QUERY VOLUME shows its device class.",
    ),
    "ANR4894I": Row(
        "RECONCILE VOLUMES runs by itself every {hours} hours (0 = never) over everything, and only reports."
    ),
    "ANR4896I": Row("Each target is challenged about {count} records a day (0 = never)."),
    "ANR4898E": Row(
        "Server {server} is no target of virtual volumes.",
        "It was defined without a node password, or no device class keeps volumes there.",
        "QUERY SERVER and QUERY DEVCLASS show what is defined.",
    ),
    "ANR4899E": Row(
        "RECONCILE VOLUMES is running already, as process {number}.",
        "Two at a time would undo each other's work.",
        "QUERY PROCESS shows how far it is.",
    ),
    "ANR4991W": Row(
        "Server {server}: {count} volumes of the volume history are missing there or differ. A newer database backup or plan and then "
        "DELETE VOLHISTORY end this difference.",
        "FIX=YES does not touch the volume history, and nothing can bring these volumes back. As long as one differs the target is not "
        "told that all is well; after RESTORE DB it refuses our deletions until then.",
        "BACKUP DB TYPE=FULL (for a plan it comes along, or PREPARE), DELETE VOLHISTORY TYPE=DBBACKUP or TYPE=RPFILE, and "
        "RECONCILE VOLUMES again.",
    ),
    "ANR4993I": Row("Nothing needs attention."),
    "ANR4997E": Row(
        "Device class {device_class} is of DEVTYPE={device_type}: only virtual volumes can be reconciled.",
        "Volumes of other types lie at no other server.",
        "QUERY DEVCLASS shows the classes of DEVTYPE=SERVER; AUDIT VOLUME checks other volumes.",
    ),
    "ANR4995I": Row("Server {server} was not challenged: no volume that can be read lies there."),
    # at the target
    "ANR4895E": Row(
        "Virtual volume {volume} of node {node}: a segment without records is not kept.",
        "It would take room in the catalog and hold nothing.",
        "A source never sends one; check what program uses the node.",
    ),
    "ANR4897E": Row(
        "Node {node} has {most} sessions open here; another one is refused.",
        "One source may have half of the server's MAXSESSIONS, so that others find a place.",
        "Lower MOUNTLIMIT of the device classes at the source, or raise MAXSESSIONS here.",
    ),
}
