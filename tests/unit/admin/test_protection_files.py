"""The volume history and device configuration files: what is written is read back, what was altered is told by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.admin.device_configuration import (
    device_configuration_text,
    parse_device_configuration,
)
from farvault.admin.server_secrets import node_password_context
from farvault.admin.volume_history_file import parse_volume_history, volume_history_text
from farvault.base.clock import ManualClock
from farvault.base.errors import BadInput
from farvault.base.units import GIB, MIB
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import set_setting
from farvault.model.device_class import DeviceClass
from farvault.model.server import Server
from farvault.model.volume_history import BACKUPFULL, OWN_VOLUME, HistoryVolume
from farvault.seal.keyring import Keyring

_NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters='"'), min_size=1, max_size=40
)
_ROWS = st.builds(
    HistoryVolume,
    time=st.integers(10**8, 4 * 10**9),
    type=st.sampled_from(OWN_VOLUME),
    series=st.integers(0, 10**6),
    operation=st.integers(0, 32),
    sequence=st.integers(0, 99),
    device_class=st.from_regex(r"[A-Z]{1,8}", fullmatch=True),
    volume=_NAMES,
    records=st.integers(0, 10**6),
    stored_bytes=st.integers(0, 10**12),
    end_bytes=st.integers(0, 10**6),
    digest=st.binary(max_size=32),
    receipt=st.binary(max_size=64),
    scratch=st.booleans(),
    epoch=st.integers(1, 99),
)


@given(st.lists(_ROWS, max_size=5))
def test_the_history_comes_back_as_it_was(rows: list[HistoryVolume]) -> None:
    assert parse_volume_history(volume_history_text(rows, "DELHI", "id", 10**9), "volhist.out") == rows


def test_what_python_takes_for_ends_of_lines_is_none() -> None:
    row = HistoryVolume(time=10**9, type=BACKUPFULL, series=1, device_class="D", volume="a\u2028b\x85c")
    assert parse_volume_history(volume_history_text([row], "DELHI", "id", 10**9), "volhist.out") == [row]


TSM = """\
 Operation Date/Time:   2026/06/28 06:00:10

 Volume Type:  BACKUPFULL
 Volume Name:  "EXAMPLE01.DBV"
 Backup Series:        1015
 Backup Op:               0
 Volume Seq:         100001
 Device Class Name:  DBB
**************************************************
"""


def test_the_layout_of_the_reference_is_read() -> None:
    (row,) = parse_volume_history(TSM, "volhist.out")
    assert (row.volume, row.series, row.sequence, row.device_class) == ("EXAMPLE01.DBV", 1015, 100001, "DBB")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("1015", "many", 5),
        ("2026/06/28", "yesterday", 1),
        (' Volume Name:  "EXAMPLE01.DBV"', "", 9),
        (" Backup Op:               0", "???", 6),
    ],
)
def test_a_line_that_cannot_be_read_is_named(old: str, new: str, line: int) -> None:
    with pytest.raises(BadInput, match=f"line {line}"):
        parse_volume_history(TSM.replace(old, new), "volhist.out")


def test_definitions_come_back_with_their_sealed_passwords(tmp_path_factory: pytest.TempPathFactory) -> None:
    keyring = Keyring.create()
    sealed = keyring.seal_secret(b"pass word", node_password_context("TOKYO"))
    server = Server(
        name="TOKYO",
        high_level_address="tokyo.example",
        low_level_address=1500,
        node_name="DELHI",
        description='the "other" one, far away',
        sealed_node_password=sealed,
        fingerprint="AA:" * 31 + "AA",
    )
    classes = [
        DeviceClass(
            name="FILES", device_type="FILE", directory="/a b,/c", max_capacity_bytes=3 * GIB, mount_limit=7
        ),
        DeviceClass(
            name="FAR",
            device_type="SERVER",
            server_name="TOKYO",
            max_capacity_bytes=500 * MIB,
            mount_limit=2,
            mount_retention_minutes=5,
            prefix="ADSM",
            retry_period_minutes=0,
            retry_interval_seconds=3,
        ),
    ]
    catalog = Catalog.create(str(tmp_path_factory.mktemp("c") / "c.db"), keyring.row_key(), ManualClock())
    with catalog.write() as tx:
        set_setting(tx, "SERVERNAME", "DELHI")
        for each in (server, *classes):
            nouns.insert(tx, each)
    with catalog.read() as r:
        text = device_configuration_text(r)
        stored = [nouns.get(r, DeviceClass, one.name) for one in classes]
    catalog.close()
    assert "pass word" not in text
    found = parse_device_configuration(text, keyring, "devconfig.out")
    assert found.server_name == "DELHI"
    back = found.servers["TOKYO"]
    assert (back.high_level_address, back.low_level_address, back.node_name) == (
        "tokyo.example",
        1500,
        "DELHI",
    )
    assert (back.description, back.fingerprint) == (server.description, server.fingerprint)
    assert keyring.open_secret(back.sealed_node_password, node_password_context("TOKYO")) == b"pass word"
    for one in stored:
        again = found.classes[one.name]
        assert {**_fields(again), "id": 0} == {**_fields(one), "id": 0}


def _fields(noun: DeviceClass) -> dict[str, object]:
    return {name: getattr(noun, name) for name in noun.__struct_fields__}


def test_a_file_written_by_hand_may_hold_the_password_itself() -> None:
    keyring = Keyring.create()
    text = "/* by hand */\n\ndefine server tokyo password=secret-1 hla=tokyo lla=1500 nodename=delhi\n"
    back = parse_device_configuration(text, keyring, "f").servers["TOKYO"]
    assert keyring.open_secret(back.sealed_node_password, node_password_context("TOKYO")) == b"secret-1"


@pytest.mark.parametrize(
    "line",
    [
        "define devclass x",
        "define devclass x devtype=tape",
        "define nothing",
        'define devclass x devtype=file directory="open',
        "define server t sealedpassword=xyz hla=a lla=1",
    ],
)
def test_a_line_that_is_no_definition_is_named(line: str) -> None:
    with pytest.raises(BadInput, match="line 2"):
        parse_device_configuration(f"set servername delhi\n{line}\n", Keyring.create(), "devconfig.out")
