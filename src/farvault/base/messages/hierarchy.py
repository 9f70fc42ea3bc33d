"""Messages of what the pools of a hierarchy cannot do, or do otherwise than was asked (ANR478x, ANR498x)."""

from farvault.base.messages import Row

ROWS: dict[str, Row] = {
    "ANR4780E": Row("Volume {volume} is named twice.", "", "Name it once."),
    # AUDIT VOLUME
    "ANR4781E": Row(
        "{command}: a volume and STGPOOL are given.",
        "STGPOOL means all volumes of a storage pool.",
        "Give one of them.",
    ),
    "ANR4782E": Row(
        "{command}: FROMDATE and TODATE choose volumes of a storage pool, and a single volume is named.",
        "",
        "Leave the dates out, or give STGPOOL instead of the volume.",
    ),
    "ANR4783E": Row("{command}: TODATE is before FROMDATE.", "", "Exchange the two dates."),
    "ANR4784I": Row(
        "Volume {volume}: {records} records were left out (SKIPPARTIAL=YES): parts of their files lie on other volumes.",
        "Not all of the volume was looked at: QUERY SCRUB does not count this audit.",
        "AUDIT VOLUME without SKIPPARTIAL checks them too.",
    ),
    # DEFINE STGPOOL, UPDATE STGPOOL
    "ANR4785E": Row(
        "Storage pool {pool} cannot be its own reclaim pool.",
        "Without one, reclaimed data goes to other volumes of the same pool.",
        'Name another pool, or leave it out (RECLAIMSTGPOOL="").',
    ),
    "ANR4786W": Row(
        "Storage pool {pool} makes no volumes by itself (MAXSCRATCH=0) and has none that is defined: it takes no data.",
        "",
        "DEFINE VOLUME {pool} ..., or UPDATE STGPOOL {pool} MAXSCRATCH=n.",
    ),
    # MIGRATE STGPOOL
    "ANR4787I": Row(
        "Storage pool {pool} has no next storage pool: it is reclaimed instead of migrated.",
    ),
    # BACKUP STGPOOL, COPYSTGPOOLS
    "ANR4980W": Row(
        "Server {server} keeps storage pool {primary} and its copies in {copy} as the same records: what it loses there is lost in both.",
        "Virtual volumes of one server refer to the same records. A copy there protects what lies in other places.",
        "Make the copies in a pool that lies elsewhere as well: on this machine, or at another server.",
    ),
}
