"""Random-access volumes in and out of use: VARY ONLINE, VARY OFFLINE."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import OPERATOR
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer
from farvault.model.attribute import Text
from farvault.processes.process import Process
from farvault.processes.vary_volume import find_random_volume, find_usable_volume, vary_offline, vary_online


def _online(instance: Instance, call: Call) -> Iterator[Answer]:
    find_usable_volume(instance.storage, call["volume"])

    def work(process: Process) -> None:
        vary_online(instance.storage, process, call["volume"])

    yield from run_process(instance, call, "VARY ONLINE", work)


def _offline(instance: Instance, call: Call) -> Iterator[Answer]:
    find_random_volume(instance.storage, call["volume"])

    def work(process: Process) -> None:
        vary_offline(instance.storage, process, call["volume"])

    yield from run_process(instance, call, "VARY OFFLINE", work)


_VOLUME = positional("volume", Text(1024), "random-access volume")

COMMANDS = (
    Command(
        words=("VARy", "ONline"),
        rule=OPERATOR,
        help="Make a random-access volume usable again. Its file must be there, whole, with its own label.",
        parameters=(_VOLUME, WAIT),
        run=_online,
    ),
    Command(
        words=("VARy", "OFfline"),
        rule=OPERATOR,
        help="Take a random-access volume out of use: nothing is read from it or stored on it.",
        parameters=(_VOLUME, WAIT),
        run=_offline,
    ),
)
