"""What targets have signed, and whether they stand by it: QUERY RECEIPT, VALIDATE VOLUME, CHALLENGE SERVER."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, OPERATOR, SYSTEM
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Column, Report, Row, count_column, time_column
from farvault.base.errors import NotAvailable
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.catalog import kept_receipts, nouns, volume_history
from farvault.catalog.kept_receipts import KeptReceipt
from farvault.catalog.settings import set_setting
from farvault.media import receipt as receipts
from farvault.model.attribute import Integer, Name, Text, YesNo
from farvault.model.server import Server
from farvault.model.volume import Volume
from farvault.processes.challenge_server import DESCRIPTION, challenge_server
from farvault.processes.process import Process
from farvault.processes.reconcile_history import receipts_of
from farvault.processes.validate_volume import validate_volume


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        servers = {one.id: one.name for one in nouns.select(r, Server)}
        volume = nouns.find(r, Volume, call["volume"])
        entry = None if volume is not None else volume_history.own_volume(r, call["volume"])
        if entry is not None:
            found = receipts_of(r, entry)
        else:
            volume = nouns.get(r, Volume, call["volume"])
            kept = kept_receipts.of_volume(r, volume.id)
            found = [one for one in kept if one.offset_bytes < volume.written_bytes]
    columns = (*_COLUMNS, *_SIGNED) if call.detailed else _COLUMNS
    yield Report(columns=columns, rows=[_row(one, servers) for one in found], detailed=call.detailed)


def _row(kept: KeptReceipt, servers: dict[int, str]) -> Row:
    signed = receipts.from_bytes(kept.receipt)
    return {
        "server": servers.get(kept.server_id, "?"),
        "number": kept.number,
        "offset_bytes": kept.offset_bytes,
        "stored_bytes": kept.stored_bytes,
        "records": kept.records,
        "epoch": kept.epoch,
        "received_time": signed.received_time,
        "verified_time": kept.verified_time,
        "digest": kept.digest.hex(),
        "previous": signed.previous.hex(),
        "signature": signed.signature.hex(),
    }


_COLUMNS = (
    Column(key="server", label="Server Name"),
    count_column("number", "Receipt"),
    count_column("offset_bytes", "Offset"),
    Column(key="stored_bytes", label="Size", show=show_size, number=True),
    count_column("records", "Records"),
    count_column("epoch", "Epoch"),
    time_column("received_time", "Received (target's clock)"),
    time_column("verified_time", "Last Validated"),
)
_SIGNED = (
    Column(key="digest", label="Digest"),
    Column(key="previous", label="Previous Receipt"),
    Column(key="signature", label="Signature"),
)


def _validate(instance: Instance, call: Call) -> Iterator[Answer]:
    found = validate_volume(instance.storage, instance.target, call["volume"], contents=call["contents"])
    yield message(
        "ANR4892I",
        volume=call["volume"],
        server=found.server,
        receipts=f"{found.receipts:,}",
        records=f"{found.attributes.records:,}",
        size=show_size(found.attributes.stored_bytes),
    )
    if found.is_read:
        yield message(
            "ANR4841I",
            volume=call["volume"],
            server=found.server,
            records=f"{found.attributes.records:,}",
        )


def _challenge(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        server = nouns.get(r, Server, call["server"])
    if not server.is_target:
        raise NotAvailable("ANR4898E", server=server.name)
    count = call["count"]

    def work(process: Process) -> None:
        challenge_server(instance.storage, process, instance.target, server.name, count)

    yield from run_process(instance, call, DESCRIPTION, work)


def _set_challenges(instance: Instance, call: Call) -> Iterator[Answer]:
    count = call["count"]
    with instance.catalog.write() as tx:
        set_setting(tx, "CHALLENGES", str(count))
    yield message("ANR4896I", count=count)


COMMANDS = (
    Command(
        words=("Query", "RECEipt"),
        rule=ANYONE,
        help="Show what the target has signed for a virtual volume, also for a database backup or plan, segment by segment. "
        "FORMAT=DETAILED adds the digests and signatures, which prove it to others.",
        parameters=(positional("volume", Text(1024), "name of the volume"), FORMAT),
        run=_query,
    ),
    Command(
        words=("VALidate", "Volume"),
        rule=OPERATOR,
        help="Check the receipts of a virtual volume, and whether its target says that it holds what it signed for. "
        "AUDIT VOLUME also reads every record there; CONTENTS=YES does so for database backups, plans and exports.",
        parameters=(
            positional("volume", Text(1024), "name of the volume"),
            keyword("CONTents", YesNo(), "also read and prove all of a volume of the history", default=False),
        ),
        run=_validate,
    ),
    Command(
        words=("CHALlenge", "SERver"),
        rule=OPERATOR,
        help="Let a target prove that it has random parts of our volumes. A volume that misses one becomes UNAVAILABLE; a "
        "database backup or plan is shown as not provable, and the next backup is a full one.",
        parameters=(
            positional("server", Name(64), "the target"),
            keyword("COUNT", Integer(1, 10_000), "how many records are asked about", default=100),
            WAIT,
        ),
        run=_challenge,
    ),
    Command(
        words=("SETOPT", "CHALlenges"),
        rule=SYSTEM,
        help="Set about how many records each target is challenged a day.",
        parameters=(positional("count", Integer(0, 100_000), "records a day; 0 = never"),),
        run=_set_challenges,
    ),
)
