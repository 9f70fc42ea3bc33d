"""Messages of virtual volumes, on both sides."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
