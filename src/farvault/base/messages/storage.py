"""Messages of device classes, pools, volumes, reading and writing (ANR1xxx, ANR8xxx)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
