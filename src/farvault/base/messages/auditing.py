"""Messages of the scrub and of AUDIT CATALOG (ANR474x, ANR475x)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    # AUDIT VOLUME FULL=YES
    "ANR4740E": Row(
        "Volume {volume}: the record at offset {offset} is as it was stored, but does not open: {reason}.",
        "It was sealed wrong, or with a key that this server does not have. Every copy of it is the same; it is not marked.",
        "Bring the missing key back. Without it, back the files up again.",
    ),
    # the scrub
    "ANR4741W": Row(
        "The scrub needs {needed} MiB/s to check everything within {days} days; SCRUBRATE allows {rate} MiB/s.",
        "Volumes will be checked later than SCRUBPERIOD asks for.",
        "Use SET SCRUBRATE to allow more, or SET SCRUBPERIOD for a longer period.",
    ),
    "ANR4752I": Row("Scrub period set to {days} days."),
    "ANR4753I": Row("Scrub rate set to {rate} MiB/s."),
    "ANR4754I": Row("Scrub period set to 0: volumes are not checked by themselves."),
    "ANR4755I": Row("Scrub rate set to 0: no limit."),
    # AUDIT CATALOG
    "ANR4742I": Row("Audit of the catalog (FIX={fix}) started as process {number}."),
    "ANR4743E": Row(
        "Row {row} of table {table} is not as it was written.",
        "A bit of it was changed on disk or in memory, or somebody wrote to the file. What it said before cannot be known.",
        "Restore the database from its last backup. Look for the cause first: disk, memory, file system.",
    ),
    "ANR4744E": Row(
        "{what}: {where}.",
        "Rows that are each as written do not fit together.",
        "AUDIT CATALOG FIX=YES puts accounts and the index right. Anything else: restore the database.",
    ),
    "ANR4745E": Row(
        "The catalog's file is damaged: {problem}.",
        "The database engine found it itself.",
        "Restore the database from its last backup.",
    ),
    "ANR4746I": Row(
        "Audit of the catalog ended: {rows} rows in {tables} tables, {digests} of them changed; {structure} damages of the "
        "file, {sums} sums that do not hold, {volumes} volumes not as they should be; {repaired} put right."
    ),
    "ANR4747W": Row("{number} more findings of {subject} are not listed."),
    "ANR4748W": Row(
        "Nothing is put right.",
        "Rows or pages are damaged: what follows from them would be worked out wrong.",
        "Restore the database from its last backup.",
    ),
    "ANR4749E": Row(
        "Volume {volume}: {problem}",
        "The catalog has records there.",
        "Bring the volume's file back, or use UPDATE VOLUME ACCESS=DESTROYED and RESTORE VOLUME.",
    ),
    "ANR4750E": Row(
        "{number} findings of the catalog audit are not put right.",
        "The lines above name them.",
        "See what each of them says to do.",
    ),
    "ANR4751E": Row(
        "The catalog is being audited by process {number}.",
        "",
        "Wait for it, or cancel it with CANCEL PROCESS.",
    ),
}
