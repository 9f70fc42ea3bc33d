"""Today's code reads the committed volume of version 1, and the format page says what the code does."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from farvault.seal import label, record
from farvault.seal.compress import PLAIN_MAX_BYTES, decompress
from farvault.seal.keyring import Keyring
from farvault.seal.pack import ATTRIBUTES_MAX_BYTES, OBJECT_EXTENTS_MAX, PackDirectory, PackObject, parse
from farvault.seal.record import RecordKind
from farvault.seal.walk import EMPTY, Step, list_objects, walk

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "volume-v1"
PAGE = (ROOT / "docs" / "volume-format.md").read_text()
VOLUME = (GOLDEN / "volume.bin").read_bytes()
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
DAMAGED: list[dict[str, Any]] = json.loads((GOLDEN / "damaged.json").read_text())
KEYS = Keyring.from_bytes((GOLDEN / "keyring.bin").read_bytes())
NUMBERS = ("kind", "codec", "cipher", "key_id", "plain_bytes", "packed_bytes", "stored_bytes")


def steps_of(volume: bytes) -> list[Step]:
    return list(walk(lambda offset, length: volume[offset : offset + length], len(volume)))


def golden_record(row: dict[str, Any]) -> bytes:
    return VOLUME[row["offset"] : row["offset"] + row["stored_bytes"]]


# --- the committed volume ------------------------------------------------------------------------------------------


def test_every_record_is_found_with_the_header_it_was_written_with() -> None:
    found = [step for step in steps_of(VOLUME) if step.header]
    assert not any(step.is_damage for step in steps_of(VOLUME))
    for step, row in zip(found, EXPECTED["records"], strict=True):
        header = step.header
        assert header is not None
        assert step.offset == row["offset"]
        assert [getattr(header, name) for name in NUMBERS] == [row[name] for name in NUMBERS]
        assert (header.record_id.hex(), header.digest.hex()) == (row["record_id"], row["digest"])


def test_the_label_is_read() -> None:
    found = label.parse(VOLUME[:4096])
    assert found == label.Label(
        server="DELHI", volume="/pool/00000001.vol", pool="BACKUPPOOL", created=1_000_000_000
    )


def test_every_object_is_listed() -> None:
    aggregates = [row for row in EXPECTED["records"] if row["kind"] == RecordKind.AGGREGATE]
    listed = [list_objects(golden_record(row), KEYS) for row in aggregates]
    assert [(d.node, d.file_space, d.kind, d.management_class) for d in listed] == [
        ("NODE1", "/home", 1, "STANDARD"),
        ("NODE1", "/home", 2, "KEEP7YEARS"),
        ("TOKYO-NODE", "ADSM.SERVER", 2, "STANDARD"),
        ("NODE1", "/home", 1, "STANDARD"),
        ("NODE1", "/home", 1, "STANDARD"),
    ]
    assert [[(o.directory, o.name, o.type, o.description, o.extents) for o in d.objects] for d in listed] == [
        [
            (b"", b"user", 2, "", ()),
            (b"user", b"empty", 1, "", ()),
            (b"user", b"hello.txt", 1, "", (1,)),
            (b"user\0docs", b"text \xff not UTF-8", 1, "", (0,)),
        ],
        [(b"user", b"film", 1, "my film \N{SNOWMAN}", (1, 0)), (b"user", b"link", 3, "", ())],
        [(b"ADSM.DELHI.BFS.1", b"0000000000000000", 9, "", (0,))],
        [(b"user", b"long", 1, "", (0, 1))],
        [(b"user", b"long", 1, "", (1, 0))],
    ]
    pieces = [(o.before, o.more, o.attributes) for d in listed for o in d.objects if o.name == b"long"]
    assert pieces == [(0, True, b""), (2, False, b"attributes of all of it")]
    assert not any(o.before or o.more for d in listed for o in d.objects if o.name != b"long")


def test_a_record_inside_a_vault_is_the_record_its_owner_sealed() -> None:
    inner, outer = EXPECTED["records"][1], EXPECTED["records"][3]
    body = record.open_record(golden_record(outer), None)
    kept = parse(decompress(outer["codec"], body, outer["plain_bytes"])).extent(0)
    assert record.check(kept).digest.hex() == inner["digest"]
    assert bytes(kept) == golden_record(inner)


@pytest.mark.parametrize("index", range(len(EXPECTED["records"])))
def test_sealing_the_same_again_gives_the_same_bytes(index: int) -> None:
    row = EXPECTED["records"][index]
    keys = {0: None, 1: Keyring({1: bytes(range(32))}), 2: KEYS}[row["key_id"]]
    packed = bytes(record.open_record(golden_record(row), KEYS))
    for parts in ([packed], [packed[:1000], packed[1000:1001], packed[1001:]]):
        buffer = memoryview(bytearray(b"\xaa" * record.STORED_MAX_BYTES))
        header = record._seal_as(
            bytes.fromhex(row["record_id"]),
            buffer,
            parts,
            row["kind"],
            row["codec"],
            row["plain_bytes"],
            keys,
        )
        assert bytes(buffer[: header.stored_bytes]) == golden_record(row)


@pytest.mark.parametrize("case", DAMAGED, ids=lambda case: case["name"])
def test_each_damage_costs_its_record_and_no_other(case: dict[str, Any]) -> None:
    volume = bytearray(VOLUME[: case.get("cut_to", len(VOLUME))])
    if "xor" in case:
        volume[case["offset"]] ^= case["xor"]
    if "zero_from" in case:
        volume[case["zero_from"] : case["zero_from"] + case["zero_bytes"]] = bytes(case["zero_bytes"])
    steps = steps_of(bytes(volume))
    assert [step.offset for step in steps if step.is_damage] == case["bad"]
    lost = {*case["bad"], *case.get("lost", [])}
    assert [step.offset for step in steps if not step.problem] == [
        row["offset"] for row in EXPECTED["records"] if row["offset"] not in lost
    ]
    assert sum(step.problem == EMPTY for step in steps) == 1 + len(case.get("lost", []))


def test_the_wrapped_keyring_opens_with_its_code() -> None:
    wrapped = (GOLDEN / "wrapped-keyring.bin").read_bytes()
    assert Keyring.unwrap(wrapped, EXPECTED["recovery_code"]).to_bytes() == KEYS.to_bytes()


def test_the_keys_derived_for_the_catalog_stay_the_same() -> None:
    assert KEYS.row_key().hex() == EXPECTED["row_key"]
    secret = EXPECTED["secret"]
    assert KEYS.open_secret(bytes.fromhex(secret["sealed"]), secret["context"]).hex() == secret["plain"]


# --- the page ------------------------------------------------------------------------------------------------------


def table_below(heading: str, first_column: str) -> list[list[str]]:
    """Rows of the first table under a heading whose header line begins with the given column."""
    section = PAGE.split(f"\n{heading}\n", 1)[1]
    table = section[section.index(f"| {first_column} |") :].split("\n\n", 1)[0]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return rows[2:]


def fields_of(layout: struct.Struct) -> list[tuple[int, int]]:
    """(offset, size) of each field of a little-endian layout."""
    found, offset = [], 0
    for token in re.findall(r"\d*[a-zA-Z]", layout.format.lstrip("<")):
        size = struct.calcsize("<" + token)
        found.append((offset, size))
        offset += size
    return found


def test_the_page_opens_with_its_words() -> None:
    assert PAGE.split("\n")[2] == "| word | meaning |"


def test_the_head_table_is_the_layout_of_the_code() -> None:
    rows = table_below("### Head", "offset")
    assert [(int(row[0]), int(row[1])) for row in rows] == fields_of(record.HEAD)
    assert tuple(row[2] for row in rows) == record.FIELDS
    assert bytes.fromhex(rows[0][3]) == record.MAGIC
    assert int(rows[1][3]) == record.FORMAT_VERSION
    assert record.HEAD.size == record.HEAD_BYTES


def test_the_record_table_is_the_layout_of_the_code() -> None:
    rows = table_below("## Record", "offset")
    assert [row[:2] for row in rows[:4]] == [
        ["0", str(record.HEAD_BYTES)],
        [str(record.HEAD_BYTES), str(record.HEADER_BYTES - record.HEAD_BYTES)],
        [str(record.HEADER_BYTES), "packed bytes"],
        [f"{record.HEADER_BYTES} + packed bytes", str(record.TAG_BYTES)],
    ]


def test_the_kinds_are_those_of_the_code() -> None:
    rows = table_below("### Head", "kind | name")
    assert [(int(row[0]), row[1]) for row in rows] == [(int(kind), kind.name) for kind in RecordKind]


def test_the_limits_are_those_of_the_code() -> None:
    values = {row[2]: row[3] for row in table_below("### Head", "offset")}
    assert f"at most {PLAIN_MAX_BYTES >> 20} MiB" in values["plain bytes"]
    assert f"at most {record.STORED_MAX_BYTES >> 20} MiB" in values["stored bytes"]
    assert f"the client's own, at most {ATTRIBUTES_MAX_BYTES >> 20} MiB" in PAGE
    assert f"{OBJECT_EXTENTS_MAX:,} extents" in PAGE


def test_the_label_and_pack_tables_are_the_structs_of_the_code() -> None:
    assert [row[0] for row in table_below("## Label", "key")] == names_of(label.Label)
    section = PAGE.split("The directory is a msgpack array:")[1]
    first, second = section.split("An object is a msgpack array:")
    for text, struct_type in ((first, PackDirectory), (second, PackObject)):
        rows = re.findall(r"^\| (\d+) \| (\w+) \|", text.split("\n\n")[1], re.M)
        assert [(int(i), name) for i, name in rows] == list(enumerate(names_of(struct_type)))


def names_of(struct_type: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct_type)]


def test_the_reader_on_the_page_reads_the_committed_volume() -> None:
    program = PAGE.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(program, "docs/volume-format.md", "exec"), names)
    files = names["files_of"](VOLUME, KEYS.to_bytes())
    text = b"".join(b"line %d of a text that compresses\n" % i for i in range(2000))
    assert files["/home", b"user", b"hello.txt"] == b"hello\n"
    assert files["/home", b"user\0docs", b"text \xff not UTF-8"] == text
    assert files["/home", b"user", b"film"].startswith(b"hello\n")
    assert len(files["/home", b"user", b"film"]) == 60_006
    one, two, three = (blake3(b"long %d" % number).digest(5_000) for number in range(3))
    assert files["/home", b"user", b"long"] == one + two + one + three
    assert len(files) == 8
