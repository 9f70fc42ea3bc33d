"""Messages of the administrative command line program (ANS8xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    "ANS8003I": Row("Process number {number} started."),
}
