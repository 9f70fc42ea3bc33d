"""How movable volumes go to the vault and back (TSM reference, database 2.7). Pure."""

from __future__ import annotations

from typing import Final

OUT: Final = ("MOUNTABLE", "NOTMOUNTABLE", "COURIER", "VAULT")
BACK: Final = ("VAULTRETRIEVE", "COURIERRETRIEVE", "ONSITERETRIEVE")
STATES: Final = (*OUT, *BACK)


def destination(state: str, wanted: str = "") -> str:
    """Where a volume of this state goes; '' where it may not go there. Forward only, each way by itself.

    From VAULT nobody moves a volume: what it holds must have expired first (VAULTRETRIEVE comes by itself).
    """
    way = OUT if state in OUT else BACK
    later = way[way.index(state) + 1 :]
    if wanted:
        return wanted if wanted in later else ""
    return later[0] if later else ""
