"""Options of `farvault admin`."""

from __future__ import annotations

from typing import Any

import pytest

from farvault.apps.admin_options import parse_arguments, split_address
from farvault.base.errors import BadInput


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-id=ann", "-password=x"], {"id": "ann", "password": "x"}),
        (["-ID=ann", "-PA=x"], {"id": "ann", "password": "x"}),
        (["-passwordfile=/f"], {"password_file": "/f", "password": ""}),
        (["-passwordf=/f"], {"password_file": "/f"}),
        (["-se=tokyo:1501"], {"server": "tokyo:1501"}),
        (["-inst=/srv/delhi"], {"instance": "/srv/delhi"}),
        (["--instance=/srv/delhi"], {"instance": "/srv/delhi"}),
        (["-dataonly=yes"], {"data_only": True}),
        (["-dataonly=y"], {"data_only": True}),
        (["-dataonly=no"], {"data_only": False}),
        (["-comma"], {"style": "COMMA"}),
        (["-tabdelimited"], {"style": "TAB"}),
        (["-displ=list"], {"style": "LIST"}),
        (["-displaymode=tab"], {"style": "TABLE"}),
        (["-json"], {"style": "JSON", "data_only": True}),
        (["-out"], {"wide": True, "out_file": ""}),
        (["-outfile=/f"], {"wide": True, "out_file": "/f"}),
        (
            ["-noc", "-q", "-con", "-itemc"],
            {"no_confirm": True, "quiet": True, "console_mode": True, "item_commit": True},
        ),
        (["-help"], {"help": True}),
        (["-?"], {"help": True}),
        ([], {"command": ""}),
        (["query stgpool"], {"command": "query stgpool"}),
        (["query", "stgpool", "f=d"], {"command": "query stgpool f=d"}),
        (["-id=a", "query", "node", "-noconfirm"], {"command": "query node", "no_confirm": True, "id": "a"}),
        (["update", "node", "ann", "contact=room 5"], {"command": 'update node ann contact="room 5"'}),
        (["define", "volume", "p", "/a b"], {"command": 'define volume p "/a b"'}),
        (["query node", "ann", "f=d"], {"command": "query node ann f=d"}),
        (["q", "act", "begind=-1"], {"command": "q act begind=-1"}),
    ],
)
def test_each_way_of_writing_an_option_is_understood(arguments: list[str], expected: dict[str, Any]) -> None:
    options = parse_arguments(arguments)
    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("argument", "message_id"),
    [
        ("-frobnicate", "ANS8010E"),
        ("-data=yes", "ANS8010E"),
        ("-id", "ANS8011E"),
        ("-id=", "ANS8011E"),
        ("-noconfirm=yes", "ANS8011E"),
        ("-dataonly=perhaps", "ANS8011E"),
        ("-displaymode=nice", "ANS8011E"),
    ],
)
def test_options_that_cannot_be(argument: str, message_id: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_arguments([argument])
    assert caught.value.message.id == message_id


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ("127.0.0.1", 1500)),
        ("tokyo", ("tokyo", 1500)),
        ("tokyo:1601", ("tokyo", 1601)),
        (":1601", ("127.0.0.1", 1601)),
        ("[::1]:1601", ("::1", 1601)),
        ("[::1]", ("::1", 1500)),
        ("::1", ("::1", 1500)),
    ],
)
def test_an_address_is_a_host_and_perhaps_a_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["tokyo:", "tokyo:0", "tokyo:99999", "tokyo:x", "[::1]x", "tokyo:1²"])
def test_addresses_that_cannot_be(text: str) -> None:
    with pytest.raises(BadInput):
        split_address(text)
