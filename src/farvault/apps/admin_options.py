"""Options of `farvault admin`, as dsmadmc has them (TSM reference 6.1): one hyphen, any case, `=`, abbreviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from farvault.base.errors import BadInput
from farvault.model.attribute import BadValue, Choice, Kind, YesNo, abbreviates

DEFAULT_PORT = 1500
USAGE = """Usage: farvault admin [options] ["command"]

Without a command: interactive, or commands from standard input. Capitals are the shortest form.

  -INSTance=FOLDER         the server of this folder on this machine; no id or password needed
  -SErvername=HOST[:PORT]  another server (default 127.0.0.1:1500)
  -ID=NAME                 administrator
  -PAssword=TEXT           his password; others can see it in the process list: better is
  -PASSWORDFile=FILE       its first line is the password
  -FINGERprint=HEX         the server's certificate must be this one
  -DATAONLY=YES|NO         leave out the banner and the ANS lines around each command's output
  -COMMAdelimited          values divided by commas         -TABdelimited   by tabs
  -DISPLaymode=LISt|TABle  form of query output              -JSON           as JSON
  -OUTfile[=FILE]          no limit to the width; with a file copy the output there
  -Quiet                   nothing on the screen, only in the outfile
  -NOConfirm               answer every question with yes
  -ITEMCommit              go on with a macro or script after a command that failed
  -CONsolemode             show what the server says, until Ctrl-C
  -ALWAYSPrompt            show the prompt also where input is not a terminal

In commands: `macro FILE [value...]`, `quit`, `command > file`, `command >> file`."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `style`: as in the Command message. `command`: empty = none given."""

    instance: str = ""
    server: str = ""
    id: str = ""
    password: str = ""
    password_file: str = ""
    fingerprint: str = ""
    data_only: bool = False
    style: str = ""
    wide: bool = False
    out_file: str = ""
    quiet: bool = False
    no_confirm: bool = False
    item_commit: bool = False
    console_mode: bool = False
    always_prompt: bool = False
    help: bool = False
    command: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `-SErvername`."""
        return split_address(self.server)


class _Option(NamedTuple):
    """`takes`: "" nothing, "=" a value, "?" perhaps a value. `values`: what it sets, where it is no plain value."""

    word: str
    takes: str
    field: str
    values: dict[str, Any] | None = None


_OPTIONS = (
    _Option("INSTance", "=", "instance"),
    _Option("SErvername", "=", "server"),
    _Option("TCPServeraddress", "=", "server"),
    _Option("ID", "=", "id"),
    _Option("PAssword", "=", "password"),
    _Option("PASSWORDFile", "=", "password_file"),
    _Option("FINGERprint", "=", "fingerprint"),
    _Option("DATAONLY", "=", "data_only"),
    _Option("DISPLaymode", "=", "style"),
    _Option("COMMAdelimited", "", "style", {"style": "COMMA"}),
    _Option("TABdelimited", "", "style", {"style": "TAB"}),
    _Option("JSON", "", "style", {"style": "JSON", "data_only": True}),
    _Option("OUTfile", "?", "out_file"),
    _Option("Quiet", "", "quiet", {"quiet": True}),
    _Option("NOConfirm", "", "no_confirm", {"no_confirm": True}),
    _Option("ITEMCommit", "", "item_commit", {"item_commit": True}),
    _Option("CONsolemode", "", "console_mode", {"console_mode": True}),
    _Option("ALWAYSPrompt", "", "always_prompt", {"always_prompt": True}),
    _Option("Help", "", "help", {"help": True}),
    _Option("?", "", "help", {"help": True}),
)


def parse_arguments(arguments: Sequence[str]) -> Options:
    """Options stand before the command or after it; `BadInput` for one that is unknown or incomplete."""
    options = Options()
    words: list[str] = []
    for argument in arguments:
        found = _find(argument)
        if found is not None:
            options = _with(options, found, argument)
        elif argument.startswith("-") and not words and len(argument) > 1:
            raise BadInput("ANS8010E", option=argument.partition("=")[0])
        else:
            words.append(argument)
    return replace(options, command=_command(words))


def split_address(text: str) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port` -> host and port."""
    host, port = text, str(DEFAULT_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise BadInput("ANS8011E", option="-SERVERNAME", value=text, right="HOST or HOST:PORT")
    return host or "127.0.0.1", int(port)


def _find(argument: str) -> _Option | None:
    """The option an argument names; an exact word wins over an abbreviation."""
    if not argument.startswith("-") or len(argument) < 2:
        return None
    typed = argument.lstrip("-").partition("=")[0]
    matching = [option for option in _OPTIONS if typed and abbreviates(typed, option.word)]
    exact = [option for option in matching if option.word.upper() == typed.upper()]
    return next(iter(exact or matching), None)


def _with(options: Options, option: _Option, argument: str) -> Options:
    name, mark, value = argument.partition("=")
    if option.takes == "=" and not value:
        raise BadInput("ANS8011E", option=name.upper(), value="nothing", right="a value after =")
    if not option.takes and mark:
        raise BadInput("ANS8011E", option=name.upper(), value=value, right="no value")
    if option.values is not None:
        return replace(options, **option.values)
    if option.field == "out_file":
        return replace(options, wide=True, out_file=value)
    kinds: dict[str, Kind] = {"data_only": YesNo(), "style": Choice("LISt", "TABle")}
    kind = kinds.get(option.field)
    try:
        values: dict[str, Any] = {option.field: kind.parse(value) if kind else value}
        return replace(options, **values)
    except BadValue as wrong:
        raise BadInput("ANS8011E", option=name.upper(), value=value, right=str(wrong)) from None


def _command(words: Sequence[str]) -> str:
    """One command line. The shell took quotes away: all but the first word get them back where they hold blanks."""
    return " ".join([*words[:1], *(_requoted(word) for word in words[1:])])


def _requoted(word: str) -> str:
    key, mark, value = word.partition("=")
    if mark and key.isidentifier() and any(c.isspace() for c in value) and value[:1] not in "\"'":
        return f'{key}="' + value.replace('"', '""') + '"'
    if not mark and any(c.isspace() for c in word) and word[:1] not in "\"'":
        return '"' + word.replace('"', '""') + '"'
    return word
