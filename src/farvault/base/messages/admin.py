"""Messages of the administrative command language: parsing, authority, definitions (ANR2xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
