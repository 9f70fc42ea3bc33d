"""Messages of trust between a source and its target: approvals, deletions, vault lock, clock, epoch."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # sign-on
    "ANR0497W": Row(
        "Session refused for server {name} ({address}): it does not prove the verification code, and read-only sessions "
        "of this node are not allowed (READONLYSESSIONS=NO).",
        "Somebody knows the node's password and is not, or not yet again, the source that registered its code.",
        "If you know him: UPDATE NODE {name} READONLYSESSIONS=YES. If not: give the node another password.",
    ),
    "ANR0570W": Row(
        "FORCESYNC of node {node} from {address} waits for approval. Identity fingerprint: {fingerprint}",
        "The identity is not the one registered here, or the node says FORCESYNC=APPROVE. Third servers that read exports "
        "know the node's password too. Until it is approved its sessions are read-only.",
        "Ask the source's administrator for the Identity Fingerprint that QUERY STATUS shows there. If it is the same: "
        "APPROVE FORCESYNC {node}; else REJECT FORCESYNC {node}, and give the node another password.",
    ),
    "ANR4860E": Row(
        "The session with target server {server} is read-only: our verification code waits for the approval of its "
        "administrator.",
        "FORCESYNC was told, and the target takes no new code, or no other identity, without a person's word.",
        "Tell the administrator there the Identity Fingerprint that QUERY STATUS shows here; APPROVE FORCESYNC lets it in.",
    ),
    "ANR4861I": Row(
        "The vault of node {node} becomes what it was at {moment}. Volumes received since will be marked for deletion."
    ),
    "ANR4863W": Row(
        "Session {session} of node {node} from {address} is read-only and tried {verb}: refused.",
        "Somebody who knows the password, and not the code, tries to change the vault.",
        "If it is not the source after a restored database: UPDATE NODE {node} with another password, or LOCK NODE.",
    ),
    "ANR4875I": Row(
        "FORCESYNC of node {node} approved. From its next sign-on the source with identity {fingerprint} may write."
    ),
    "ANR4992I": Row(
        "FORCESYNC of node {node} from the source with identity {fingerprint} is rejected. The code and identity registered here stay."
    ),
    "ANR4876I": Row(
        "Vault of node {node} is as it was at {moment}: {revived} segments came back, {aside} that came later are marked for "
        "deletion."
    ),
    "ANR4877W": Row(
        "Another identity key was registered for node {node}: its deletions sleep for {days} days.",
        "Nothing of it is removed before, and what is deleted meanwhile gets its whole grace period afterwards.",
        "If this was not the source made anew: LOCK NODE {node}, then UPDATE NODE {node} FORCESYNC=YES when it is found.",
    ),
    "ANR4879E": Row(
        "Node {node}: nothing waits for approval.",
        "It was approved or rejected already, or never asked for.",
        "QUERY NODE {node} FORMAT=DETAILED shows what waits.",
    ),
    # circles
    "ANR4990W": Row(
        "ALERT: node {node} brings back this server's own data, with virtual volume {volume}.",
        "What this server had sealed and given away was given on until it came here again. A copy that lies here is lost "
        "together with this server, however many servers it went over.",
        "Ask where the pool lies that takes this server's volumes, from target to target, and have it moved: its archive "
        "copy group must name a pool that does not lead back here. Where it is a copy of a copy (BACKUP STGPOOL of a pool that holds "
        "vaults), keep vaults in a pool of their own: each run sends what has come back round once more.",
    ),
    # deletion
    "ANR4862E": Row(
        "Virtual volume {volume} of node {node} is not deleted: the source's epoch has moved.",
        "Its database was restored to an older state, so it may delete what it has only forgotten.",
        "At the source: RECONCILE VOLUMES until there is no open difference.",
    ),
    "ANR4864E": Row(
        "Virtual volume {volume} of node {node} is not deleted: too many of its volumes were deleted within an hour.",
        "MASSDELETEPCT and MASSDELETECOUNT of the node at the target say how many are too many.",
        "The target's administrator looks into it and says APPROVE DELETION {node}; the source tells it again by itself.",
    ),
    "ANR4865W": Row(
        "ALERT: node {node} deletes too much: {count} volumes within an hour. Nothing more is deleted until APPROVE DELETION.",
        "The source may have been taken over. What was marked stays for its grace period and the vault lock.",
        "Ask the source's administrator. If all is well: APPROVE DELETION {node}. If not: LOCK NODE {node}.",
    ),
    "ANR4866W": Row(
        "Vault of node {node} is full: it holds {held}, {more} more are to come, MAXVAULTBYTES is {most}.",
        "The target's administrator has set how much the node may keep there.",
        "Delete volumes that are not needed, or have it raised: UPDATE NODE {node} MAXVAULTBYTES=.",
    ),
    "ANR4867W": Row(
        "Vault of node {node} is full: it has {count} volumes, MAXVAULTVOLUMES is {most}.",
        "Volumes that are marked, unfinished or given up count until they are removed.",
        "Delete volumes that are not needed, or have it raised: UPDATE NODE {node} MAXVAULTVOLUMES=.",
    ),
    "ANR4878I": Row("Deletions of node {node} approved: for {hours} hours they are not counted."),
    "ANR4870W": Row(
        "Virtual volume {volume}: target server {server} could not be told of its deletion and will be later. {reason}",
        "The volume is gone here. QUERY SERVER FORMAT=DETAILED shows what waits.",
        "None, where the target comes back by itself; else remove the reason.",
    ),
    "ANR4890W": Row(
        "{count} of these volumes are gone here and wait: their target server could not be told yet.",
        "It is told when it is reached again. Until then the files are active there.",
        "QUERY PENDINGDELETIONS lists what waits and why.",
    ),
    "ANR4996E": Row(
        "Device class {device_class} cannot be deleted: {count} deletions of its volumes wait for their target server.",
        "They know their target by it.",
        "QUERY PENDINGDELETIONS shows why they wait. They are told when the target is reached and takes them.",
    ),
    "ANR4871I": Row("Target server {server} was told of {count} deletions that had waited."),
    # clock
    "ANR4868W": Row(
        "ALERT: the clock jumped from {before} to {now}. No virtual volume is removed until CONFIRM CLOCK.",
        "Grace periods and retention count on this clock; a wrong one must not end them. A stop of more than a day looks "
        "the same.",
        "Check the date. When it is right: CONFIRM CLOCK.",
    ),
    "ANR4869I": Row("The clock is believed again: {now}."),
    # epoch
    "ANR4872E": Row(
        "Reconcile of node {node} is not believed: the source counts {told} volumes, {here} are here, or their lengths differ.",
        "Deletions stay refused as long as the inventories differ.",
        "At the source: RECONCILE VOLUMES FIX=YES, until it finds no open difference.",
    ),
    "ANR4873I": Row("Node {node} has reconciled its volumes: its deletions are accepted again."),
    "ANR4874W": Row(
        "The epoch of node {node} has moved from {old} to {new}: its deletions are refused until it has reconciled.",
        "Its database was restored to an older state.",
        "None here; at the source RECONCILE VOLUMES.",
    ),
}
