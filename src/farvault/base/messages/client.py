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
}
