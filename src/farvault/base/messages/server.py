"""Messages of the server as a whole: start, stop, settings, catalog."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {}
