"""What makes an incremental backup send a file, update it, or leave it alone: the reference's table, 5.3."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from farvault.model.stored_object import FileAttributes
from farvault.policy.changed import Change, CtimeRule, what_changed

FILE = FileAttributes(
    mode=0o100644, uid=1000, gid=100, size_bytes=5, mtime_ns=10, ctime_ns=11, inode=7, device=3, user="u", group="g",
    extended={"user.a": b"1"},
)  # fmt: skip
DIRECTORY = msgspec.structs.replace(FILE, mode=0o040755, size_bytes=4096)
LINK = msgspec.structs.replace(FILE, mode=0o120777, link_target=b"there")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Change.NONE),
        ({"size_bytes": 6}, Change.DATA),
        ({"mtime_ns": 12}, Change.DATA),
        ({"mtime_ns": 9}, Change.DATA),
        ({"extended": {"user.a": b"2"}}, Change.DATA),
        ({"extended": {"user.a": b"1", "system.posix_acl_access": b"x"}}, Change.DATA),
        ({"extended": {}}, Change.DATA),
        ({"mode": 0o100600}, Change.ATTRIBUTES),
        ({"mode": 0o100600, "ctime_ns": 12}, Change.ATTRIBUTES),
        ({"mode": 0o120777}, Change.DATA),
        ({"uid": 0}, Change.ATTRIBUTES),
        ({"gid": 0}, Change.ATTRIBUTES),
        ({"user": "other"}, Change.ATTRIBUTES),
        ({"group": "other"}, Change.ATTRIBUTES),
        ({"inode": 8}, Change.ATTRIBUTES),
        ({"ctime_ns": 12}, Change.ATTRIBUTES),
        ({"hard_link": 7}, Change.ATTRIBUTES),
        ({"device": 4}, Change.NONE),
        ({"holes": ((0, 4),)}, Change.NONE),
        ({"uid": 0, "size_bytes": 6}, Change.DATA),
    ],
)
def test_what_makes_a_file_another_version(change: dict[str, Any], expected: Change) -> None:
    assert what_changed(FILE, msgspec.structs.replace(FILE, **change)) is expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Change.NONE),
        ({"mtime_ns": 12}, Change.DATA),
        ({"mode": 0o040700}, Change.DATA),
        ({"extended": {}}, Change.DATA),
        ({"uid": 0}, Change.ATTRIBUTES),
        ({"ctime_ns": 12}, Change.ATTRIBUTES),
        ({"size_bytes": 8192}, Change.NONE),
        ({"inode": 8}, Change.NONE),
        ({"mode": 0o100755}, Change.DATA),
    ],
)
def test_what_makes_a_directory_another_version(change: dict[str, Any], expected: Change) -> None:
    assert what_changed(DIRECTORY, msgspec.structs.replace(DIRECTORY, **change)) is expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"link_target": b"elsewhere"}, Change.DATA),
        ({"mtime_ns": 12}, Change.DATA),
        ({"uid": 0}, Change.ATTRIBUTES),
    ],
)
def test_what_makes_a_symbolic_link_another_version(change: dict[str, Any], expected: Change) -> None:
    assert what_changed(LINK, msgspec.structs.replace(LINK, **change)) is expected


def test_a_device_of_another_number_is_another_device() -> None:
    device = msgspec.structs.replace(FILE, mode=0o020600, device_number=5)
    assert what_changed(device, msgspec.structs.replace(device, device_number=6)) is Change.DATA


def test_which_number_the_names_of_a_file_share_does_not_matter() -> None:
    one, other = (msgspec.structs.replace(FILE, hard_link=number) for number in (1, 2))
    assert what_changed(one, other) is Change.NONE


@pytest.mark.parametrize(
    ("rule", "expected"),
    [(CtimeRule.IGNORE, Change.NONE), (CtimeRule.UPDATE, Change.ATTRIBUTES), (CtimeRule.RESEND, Change.DATA)],
)
def test_what_ctime_means_can_be_chosen(rule: CtimeRule, expected: Change) -> None:
    for each in (FILE, DIRECTORY):
        assert what_changed(each, msgspec.structs.replace(each, ctime_ns=99), ctime=rule) is expected


def test_extended_attributes_can_be_left_out_of_the_comparison() -> None:
    other = msgspec.structs.replace(FILE, extended={})
    assert what_changed(FILE, other, compare_extended=False) is Change.NONE
