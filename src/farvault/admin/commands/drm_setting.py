"""SET DRM...: how disaster recovery works here; QUERY DRMSTATUS shows all of it."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.command import Call, Command, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Clearable, Patterns
from farvault.admin.output import Answer, Column, Report, yes_column
from farvault.base.messages import message
from farvault.catalog.drm_settings import DEFAULTS, drm_setting
from farvault.catalog.settings import set_setting
from farvault.model.attribute import Integer, Kind, Text, YesNo


def _set(instance: Instance, call: Call) -> Iterator[Answer]:
    name = call.command.words[1].upper()
    value = call[call.command.parameters[0].name]
    stored = ("YES" if value else "NO") if isinstance(value, bool) else _text(value)
    with instance.catalog.write() as tx:
        set_setting(tx, name, stored)
    yield message("ANR6700I", name=name, value=stored or "not set")


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    del call
    with instance.catalog.read() as r:
        row: dict[str, object] = {name.lower(): drm_setting(r, name) for name in DEFAULTS}
    for name in ("drmchecklabel", "drmfileprocess", "drmplanwithbackup"):
        row[name] = row[name] == "YES"
    yield Report(columns=_COLUMNS, rows=[row], detailed=True)


def _days(text: str) -> str:
    return f"{text} Day(s)"


_COLUMNS = (
    Column(key="drmplanprefix", label="Recovery Plan Prefix"),
    Column(key="drminstrprefix", label="Plan Instructions Prefix"),
    Column(key="drmplanvpostfix", label="Replacement Volume Postfix"),
    Column(key="drmprimstgpool", label="Primary Storage Pools"),
    Column(key="drmcopystgpool", label="Copy Storage Pools"),
    Column(key="drmnotmountablename", label="Not Mountable Location Name"),
    Column(key="drmcouriername", label="Courier Name"),
    Column(key="drmvaultname", label="Vault Site Name"),
    Column(key="drmdbbackupexpiredays", label="DB Backup Series Expiration Days", show=_days),
    Column(key="drmrpfexpiredays", label="Recovery Plan File Expiration Days", show=_days),
    yes_column("drmchecklabel", "Check Label?"),
    yes_column("drmfileprocess", "Process FILE Device Type?"),
    Column(key="drmcmdfilename", label="Command File Name"),
    yes_column("drmplanwithbackup", "Plan With Each DB Backup?"),
)


def _command(word: str, what: str, kind: Kind, help: str) -> Command:
    return Command(
        words=("Set", word),
        rule=SYSTEM,
        help=help,
        parameters=(positional(what, kind, "the value"),),
        run=_set,
    )


COMMANDS = (
    _command(
        "DRMDBBackupexpiredays",
        "days",
        Integer(0, 9999),
        "Set after how many days a series of database backups that is not the newest goes. Give copy pools the same "
        "REUSEDELAY.",
    ),
    _command(
        "DRMRPFEXpiredays",
        "days",
        Integer(0, 9999),
        "Set after how many days recovery plans kept by another server go.",
    ),
    _command(
        "DRMPRIMstgpool",
        "pools",
        Clearable(Patterns(30)),
        'Set the primary pools a recovery plan restores; "" = all.',
    ),
    _command(
        "DRMCOPYstgpool",
        "pools",
        Clearable(Patterns(30)),
        'Set the copy pools of plans and of DRMEDIA; "" = all.',
    ),
    _command(
        "DRMPLANPrefix",
        "prefix",
        Text(250),
        'Set the folder, or folder and start of name, of local recovery plans; "" = none.',
    ),
    _command(
        "DRMINSTRPrefix", "prefix", Text(250), 'Set where your own instructions for the plan are; "" = none.'
    ),
    _command(
        "DRMPLANVpostfix", "postfix", Text(1), "Set the character behind the names of replacement volumes."
    ),
    _command(
        "DRMCHECKLabel", "check", YesNo(), "Set whether the label of a volume is read before it leaves."
    ),
    _command(
        "DRMFILEProcess", "process", YesNo(), "Set whether volumes of DEVTYPE=FILE take part in DRMEDIA."
    ),
    _command(
        "DRMCMDFilename",
        "file",
        Text(250),
        'Set the file that FORMAT=CMD writes, new or written by it before; "" = the answer itself.',
    ),
    _command("DRMCOUriername", "location", Text(255), "Set the location of volumes that travel."),
    _command(
        "DRMNOTMOuntablename",
        "location",
        Text(255),
        "Set the location of volumes that are here and not mountable.",
    ),
    _command("DRMVAultname", "location", Text(255), "Set the location of volumes in the vault."),
    _command(
        "DRMPLANWithbackup",
        "plan",
        YesNo(),
        "Set whether each database backup kept by another server is followed by a recovery plan.",
    ),
    Command(
        words=("Query", "DRMSTatus"),
        rule=ANYONE,
        help="Show the settings of disaster recovery.",
        run=_query,
    ),
)
