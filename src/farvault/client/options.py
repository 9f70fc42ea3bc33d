"""The client's options: one table, read from the option file, the environment and the command line (TSM clients 3).

A row says the keyword (capitals are the shortest abbreviation), the field of `Options` it sets, what values it takes and
where it may stand. Rows without a field are known words for functions that are not there: those that would change what
is stored or restored are refused, those that only tune something that tunes itself here are accepted and do nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, Final, NamedTuple

from farvault.base.errors import BadInput, NotAvailable
from farvault.base.units import GIB, KIB, parse_size
from farvault.client.moments import DateText, Day, Hour, TimeText
from farvault.model.attribute import BadValue, Choice, Integer, Kind, YesNo, abbreviates
from farvault.policy.inclexcl import VERBS, Statement, parse_lines, parse_statement

DEFAULT_PORT: Final = 1500


@dataclass(frozen=True, slots=True)
class Options:
    """Values in effect for one command."""

    server: str = ""
    address: str = "localhost"
    port: int = DEFAULT_PORT
    node: str = ""
    password: str = ""
    password_file: str = ""
    password_access: str = "PROMPT"  # noqa: S105 - a way to get one, not a password
    fingerprint: str = ""
    restart_minutes: int = 60
    restart_interval_seconds: int = 15
    domain: tuple[str, ...] = ()
    virtual_mount_points: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    subdir: bool = False
    directory_class: str = ""
    archive_class: str = ""
    follow_links_at_archive: bool = True
    skip_acl: bool = False
    skip_acl_update_check: bool = False
    absolute: bool = False
    files_only: bool = False
    directories_only: bool = False
    transaction_bytes: int = 25600 * KIB
    resources: int = 0
    changing_retries: int = 4
    compression: bool = True
    compression_level: int = 1
    make_sparse: bool = True
    replace: str = "PROMPT"
    preserve_path: str = "SUBTREE"
    quiet: bool = False
    verbose: bool = False
    inactive: bool = False
    latest: bool = False
    if_newer: bool = False
    description: str = ""
    detail: bool = False
    no_prompt: bool = False
    by_date: bool = False
    pit_date: Day | None = None
    pit_time: Hour | None = None
    from_date: Day | None = None
    from_time: Hour | None = None
    to_date: Day | None = None
    to_time: Hour | None = None
    delete_type: str = "ACTIVE"
    object_type: str = "FILE"
    file_name: str = ""
    console: bool = False
    traverse: bool = True


class Where(Enum):
    """Where an option may stand."""

    ANYWHERE = "anywhere"
    COMMAND = "command"
    FILE = "file"


class _Flag(NamedTuple):
    """An option without a value."""


class _Words(NamedTuple):
    """Several values; more statements add to them."""

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(text.replace(",", " ").split())


class _Words1(NamedTuple):
    """One word or a quoted text."""

    longest: int = 1024

    def parse(self, text: str) -> str:
        if not text or len(text) > self.longest:
            raise BadValue(f"a text of 1 to {self.longest} characters")
        return text


class _SizeInKilobytes(NamedTuple):
    """A plain number is in KB, as TXNBYTELIMIT has always been."""

    def parse(self, text: str) -> int:
        try:
            size = int(text) * KIB if text.isdigit() and len(text) < 12 else parse_size(text)
        except ValueError:
            size = 0
        if not 300 * KIB <= size <= 32 * GIB:
            raise BadValue("300K to 32G (a plain number is in KB)")
        return size


class _Level(NamedTuple):
    """A zstd level, negative ones too."""

    def parse(self, text: str) -> int:
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(text) < 4 and -7 <= int(text) <= 19:
            return int(text)
        raise BadValue("a level from -7 to 19")


Value = Kind | _Flag | _Words | _Words1 | _SizeInKilobytes | _Level | DateText | TimeText


class Option(NamedTuple):
    """One row. `field` empty: no such function; `harmless`: then accepted all the same.

    `commands`: on the command line it has a meaning for these alone; none: for all.
    """

    keyword: str
    field: str
    value: Value = _Words1()
    where: Where = Where.ANYWHERE
    harmless: bool = False
    commands: tuple[str, ...] = ()


_FLAG: Final = _Flag()
_COMMAND, _FILE = Where.COMMAND, Where.FILE
_STORE: Final = ("INCREMENTAL", "SELECTIVE", "ARCHIVE")
_GET_BACK: Final = ("RESTORE", "RETRIEVE")
_LIST: Final = ("QUERY BACKUP", "QUERY ARCHIVE")
_TAKE_AWAY: Final = ("DELETE BACKUP", "DELETE ARCHIVE")
_PREVIEW: Final = ("PREVIEW BACKUP", "PREVIEW ARCHIVE")
_OF_FILES: Final = (*_STORE, *_GET_BACK, *_LIST, *_TAKE_AWAY, "EXPIRE", *_PREVIEW)
_BACKUPS: Final = ("RESTORE", "QUERY BACKUP")
_DATED: Final = (*_GET_BACK, *_LIST, *_TAKE_AWAY)
_ARCHIVES: Final = ("ARCHIVE", "RETRIEVE", "QUERY ARCHIVE", "DELETE ARCHIVE")

OPTIONS: Final[tuple[Option, ...]] = (
    Option("SErvername", "server"),
    Option("TCPServeraddress", "address"),
    Option("TCPPort", "port", Integer(1, 65535)),
    Option("NODename", "node", _Words1(64)),
    Option("VIRTUALNodename", "node", _Words1(64)),
    Option("PAssword", "password", _Words1(64)),
    Option("PASSWORDFile", "password_file"),
    Option("PASSWORDAccess", "password_access", Choice("Prompt")),
    Option("FINGerprint", "fingerprint"),
    Option("COMMRESTARTDuration", "restart_minutes", Integer(0, 9999)),
    Option("COMMRESTARTInterval", "restart_interval_seconds", Integer(0, 65535)),
    Option("DOMain", "domain", _Words()),
    Option("VIRTUALMountpoint", "virtual_mount_points", _Words(), _FILE),
    Option("SUbdir", "subdir", YesNo()),
    Option("DIRMc", "directory_class", _Words1(30)),
    Option("ARCHMc", "archive_class", _Words1(30), commands=("ARCHIVE", "PREVIEW ARCHIVE")),
    Option("ARCHSYMLinkasfile", "follow_links_at_archive", YesNo()),
    Option("SKIPACL", "skip_acl", YesNo()),
    Option("SKIPACLUPdatecheck", "skip_acl_update_check", YesNo()),
    Option("ABSolute", "absolute", _FLAG, _COMMAND, commands=("INCREMENTAL",)),
    Option("FILESOnly", "files_only", _FLAG, _COMMAND, commands=_OF_FILES),
    Option("DIRSOnly", "directories_only", _FLAG, _COMMAND, commands=_OF_FILES),
    Option("TXNBytelimit", "transaction_bytes", _SizeInKilobytes()),
    Option("RESOURceutilization", "resources", Integer(1, 100)),
    Option("CHAngingretries", "changing_retries", Integer(0, 4)),
    Option("COMPRESSIon", "compression", YesNo()),
    Option("COMPRESSIONLevel", "compression_level", _Level()),
    Option("MAKesparsefile", "make_sparse", YesNo()),
    Option("REPlace", "replace", Choice("Prompt", "All", "Yes", "No", "Ifnewer")),
    Option("PRESERvepath", "preserve_path", Choice("Subtree", "Complete", "NOBase", "NONe")),
    Option("QUIet", "quiet", _FLAG),
    Option("VErbose", "verbose", _FLAG),
    Option("INActive", "inactive", _FLAG, _COMMAND, commands=_BACKUPS),
    Option("LATest", "latest", _FLAG, _COMMAND, commands=_BACKUPS),
    Option("IFNewer", "if_newer", _FLAG, _COMMAND, commands=_GET_BACK),
    Option("DEScription", "description", _Words1(254), _COMMAND, commands=_ARCHIVES),
    Option("DETail", "detail", _FLAG, _COMMAND),
    Option("NOPrompt", "no_prompt", _FLAG),
    Option("INCRBYDate", "by_date", _FLAG, _COMMAND, commands=("INCREMENTAL",)),
    Option("PITDate", "pit_date", DateText(), _COMMAND, commands=_BACKUPS),
    Option("PITTime", "pit_time", TimeText(), _COMMAND, commands=_BACKUPS),
    Option("FROMDate", "from_date", DateText(), _COMMAND, commands=_DATED),
    Option("FROMTime", "from_time", TimeText(), _COMMAND, commands=_DATED),
    Option("TODate", "to_date", DateText(), _COMMAND, commands=_DATED),
    Option("TOTime", "to_time", TimeText(), _COMMAND, commands=_DATED),
    Option(
        "DELType",
        "delete_type",
        Choice("Active", "Inactive", "ALl"),
        _COMMAND,
        commands=("DELETE BACKUP",),
    ),
    Option("OBJType", "object_type", Choice("File"), _COMMAND, commands=("DELETE BACKUP",)),
    Option("FILEName", "file_name", _Words1(), _COMMAND, commands=_PREVIEW),
    Option("CONsole", "console", _FLAG, _COMMAND, commands=_PREVIEW),
    Option("TRAverse", "traverse", YesNo(), _COMMAND, commands=_PREVIEW),
    # Only tune what tunes itself here.
    Option("COMMMethod", "", harmless=True),
    Option("TCPBuffsize", "", harmless=True),
    Option("TCPWindowsize", "", harmless=True),
    Option("TCPNodelay", "", harmless=True),
    Option("SSL", "", harmless=True),
    Option("SSLREQuired", "", harmless=True),
    Option("MEMORYEFficientbackup", "", harmless=True),
    Option("DISKCACHELocation", "", harmless=True),
    Option("DEDUPLication", "", harmless=True),
    Option("ENABLEDEDUPCache", "", harmless=True),
    Option("DEDUPCACHESize", "", harmless=True),
    Option("DEDUPCACHEPath", "", harmless=True),
    Option("COMPRESSAlways", "", harmless=True),
    Option("TAPEPrompt", "", harmless=True),
    Option("SCROLLPrompt", "", harmless=True),
    Option("SCROLLLines", "", harmless=True),
    Option("NOJOurnal", "", _FLAG, harmless=True),
    Option("DISABLENQR", "", harmless=True),
    Option("REMOVEOPerandlimit", "", _FLAG, harmless=True),
    Option("MANAGEDServices", "", harmless=True),
    Option("LANGuage", "", harmless=True),
    # Would change what is stored, restored or shown.
    Option("ASNODEname", ""),
    Option("FROMNode", ""),
    Option("FROMOwner", ""),
    Option("PASSWORDDIR", ""),
    Option("FILEList", ""),
    Option("SNAPSHOTRoot", ""),
    Option("FOLlowsymbolic", ""),
    Option("AUTOMount", ""),
    Option("NFSTIMEout", ""),
    Option("DELetefiles", "", _FLAG),
    Option("V2archive", "", _FLAG),
    Option("PRESERVELastaccessdate", ""),
    Option("ENCRYPTIontype", ""),
    Option("ENCRYPTKey", ""),
    Option("ENABLELANfree", ""),
    Option("PICk", "", _FLAG),
    Option("QUERYSummary", "", _FLAG),
    Option("DATEformat", ""),
    Option("TIMEformat", ""),
    Option("NUMBERformat", ""),
    Option("ERRORLOGName", ""),
    Option("ERRORLOGRetention", ""),
    Option("ERRORLOGMax", ""),
    Option("SCHEDLOGName", ""),
    Option("SCHEDLOGRetention", ""),
    Option("SCHEDLOGMax", ""),
    Option("SCHEDMODe", ""),
    Option("PRESchedulecmd", ""),
    Option("POSTSchedulecmd", ""),
    Option("TCPCLIENTAddress", ""),
    Option("TCPCLIENTPort", ""),
    Option("UPDATECtime", ""),
)


def find_option(name: str) -> Option | None:
    """By keyword or an abbreviation of it; a keyword typed in full beats what it abbreviates."""
    for option in OPTIONS:
        if option.keyword.upper() == name.upper():
            return option
    found = [option for option in OPTIONS if abbreviates(name, option.keyword)]
    return found[0] if len(found) == 1 else None


class CommandLine(NamedTuple):
    """A command line taken apart: words that are no options, and (keyword, value) pairs in order."""

    words: list[str]
    options: list[tuple[str, str | None]]


def split_command_line(arguments: Sequence[str]) -> CommandLine:
    """Options start with `-`; `-name=value` or `-name`. A single `-` and what follows `--` are words."""
    line = CommandLine([], [])
    for place, argument in enumerate(arguments):
        if argument == "--":
            line.words.extend(arguments[place + 1 :])
            break
        if argument.startswith("-") and len(argument) > 1:
            name, equals, value = argument.lstrip("-").partition("=")
            line.options.append((name, value if equals else None))
        else:
            line.words.append(argument)
    return line


def check_place(line: CommandLine, command: str) -> None:
    """`BadInput` for an option that has no meaning for this command: not doing what was asked for is no success."""
    for name, _ in line.options:
        option = find_option(name)
        if option is not None and option.commands and command not in option.commands:
            raise BadInput("ANS9813E", option=option.keyword.upper(), command=command)


def apply_option(options: Options, name: str, value: str | None, where: Where) -> Options:
    """`BadInput` for what is not understood, `NotAvailable` for a function that is not there."""
    option = find_option(name)
    if option is None:
        raise BadInput("ANS1107E", option=name)
    if not option.field:
        if option.harmless:
            return options
        raise NotAvailable("ANS9801E", option=option.keyword.upper())
    if option.where is not Where.ANYWHERE and option.where is not where:
        place = "in the option file" if option.where is Where.FILE else "on the command line"
        raise BadInput("ANS9821E", option=option.keyword.upper(), place=place)
    if isinstance(option.value, _Flag):
        if value is not None and where is Where.COMMAND:
            raise BadInput("ANS1108E", option=option.keyword.upper(), value=value, expected="no value")
        parsed: Any = True
        return replace(options, **{option.field: parsed})
    try:
        parsed = option.value.parse(_unquoted(value or ""))
    except BadValue as wrong:
        keyword = option.keyword.upper()
        if not value:
            raise BadInput("ANS9822E", option=keyword, expected=str(wrong)) from None
        raise BadInput("ANS1108E", option=keyword, value=value, expected=str(wrong)) from None
    if isinstance(option.value, _Words):
        parsed = (*getattr(options, option.field), *parsed)
    return replace(options, **{option.field: parsed})


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def option_file(chosen: str) -> str:
    """`-optfile=`, else FARVAULT_CLIENT_CONFIG, else the user's file, else the machine's; empty where there is none."""
    if chosen or (chosen := os.environ.get("FARVAULT_CLIENT_CONFIG", "")):
        return chosen
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for path in (os.path.join(home, "farvault", "client.opt"), "/etc/farvault/client.opt"):
        if os.path.exists(path):
            return path
    return ""


@dataclass
class _Stanza:
    """The lines under one SERVERNAME (or before the first)."""

    label: str
    lines: list[tuple[int, str]] = field(default_factory=list)


def read_option_file(path: str, server: str, options: Options) -> Options:
    """Options of a file: the lines before the first SERVERNAME, then those of the stanza `server` (or the first one)."""
    stanzas = [_Stanza("")]
    default = ""
    for number, line in enumerate(_read_lines(path), 1):
        words = line.split(None, 1)
        if not words or words[0].startswith("*"):
            continue
        keyword = words[0].upper()
        if abbreviates(keyword, "SErvername") and len(words) > 1:
            stanzas.append(_Stanza(words[1].strip()))
        elif keyword == "DEFAULTSERVER" and len(words) > 1:
            default = words[1].strip()
        else:
            stanzas[-1].lines.append((number, line.strip()))
    labelled = {stanza.label.upper(): stanza for stanza in stanzas[1:]}
    chosen = labelled.get((server or default).upper())
    if chosen is None and not server and labelled:
        chosen = stanzas[1]
    for stanza in (stanzas[0], chosen):
        for number, line in stanza.lines if stanza else ():
            options = _apply_line(options, path, number, line)
    # A stanza's label is a local name, not an address.
    return replace(options, server="" if chosen is not None else server)


def _apply_line(options: Options, path: str, number: int, line: str) -> Options:
    keyword, _, value = line.partition(" ")
    value = value.strip()
    try:
        if keyword.upper() in VERBS:
            return replace(options, statements=(*options.statements, parse_statement(line, path)))
        if abbreviates(keyword, "INCLExcl"):
            listed = parse_lines(_read_lines(_unquoted(value)), _unquoted(value))
            return replace(options, statements=(*options.statements, *listed))
        return apply_option(options, keyword, value or None, Where.FILE)
    except (BadInput, NotAvailable) as wrong:
        raise BadInput("ANS1036S", path=path, line=number, problem=wrong.message.text) from None


def _read_lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError as problem:
        raise BadInput("ANS1035S", path=path, reason=problem.strerror or str(problem)) from None


def resolve(line: CommandLine) -> Options:
    """Defaults, then the option file, then the command line."""
    chosen_file = server = ""
    rest: list[tuple[str, str | None]] = []
    for name, value in line.options:
        if abbreviates(name, "OPTFile"):
            chosen_file = value or ""
        elif abbreviates(name, "INCLExcl"):
            rest.append(("INCLEXCL", value))
        elif abbreviates(name, "SErvername"):
            server = value or ""
        else:
            rest.append((name, value))
    options = Options(server=server)
    if path := option_file(chosen_file):
        options = read_option_file(path, server, options)
    for name, value in rest:
        if name == "INCLEXCL":
            listed = parse_lines(_read_lines(value or ""), value or "")
            options = replace(options, statements=(*options.statements, *listed))
        else:
            options = apply_option(options, name, value, Where.COMMAND)
    return _with_address(options)


def _with_address(options: Options) -> Options:
    """`-servername=host:port` without a stanza of that name is an address."""
    if not options.server:
        return options
    host, colon, port = options.server.rpartition(":")
    if not colon or "]" in port:
        return replace(options, address=options.server.strip("[]"))
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise BadInput("ANS1217E", server=options.server)
    return replace(options, address=host.strip("[]"), port=int(port))


def shown(options: Options) -> list[tuple[str, str]]:
    """Keyword and value in effect, for QUERY OPTIONS; no password."""
    by_field = {option.field: option.keyword for option in OPTIONS if option.field}
    return [
        (by_field[each.name].upper(), str(getattr(options, each.name)))
        for each in fields(options)
        if each.name in by_field and each.name not in ("password",)
    ]
