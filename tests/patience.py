"""How long a test waits for what must happen. Only a failure ever takes this long.

A busy machine may stand still for half a minute inside one fsync, so no wait is cut to what it usually needs.
"""

from __future__ import annotations

from typing import Final

PATIENCE_SECONDS: Final = 120.0
