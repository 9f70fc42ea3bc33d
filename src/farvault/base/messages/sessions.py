"""Messages of sessions and sign-on (ANR04xx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
