"""Messages of the backup-archive client (ANS1xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
