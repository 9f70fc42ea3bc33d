"""Messages of background processes: start, progress, end, per kind of work."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
