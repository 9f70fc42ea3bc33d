"""Messages of nodes, file spaces and their objects."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
