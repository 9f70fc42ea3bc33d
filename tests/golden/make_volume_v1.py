"""Makes tests/golden/volume-v1: run while the format was laid down, never again once version 1 is out.

Everything is fixed: keys, record ids, times, contents. What the tests read is the committed files, not this.
"""

from __future__ import annotations

import json
from pathlib import Path

from blake3 import blake3

from farvault.seal import chunk, compress, label, pack, record, recovery_code
from farvault.seal.digest import Buffer, digest
from farvault.seal.keyring import Keyring
from farvault.seal.record import RecordKind

FOLDER = Path(__file__).parent / "volume-v1"
OLD_KEYS = Keyring({1: bytes(range(32))})
KEYS = Keyring({1: bytes(range(32)), 2: bytes(range(32, 64))})
CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ-RS"  # the two check characters are added below


def noise(seed: str, length: int) -> bytes:
    """Bytes that do not compress, the same for ever."""
    return blake3(seed.encode()).digest(length)


class Volume:
    """The bytes so far, and what the tests should find."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.records: list[dict[str, object]] = []

    def add(
        self, kind: RecordKind, codec: int, packed: Buffer, plain_bytes: int, keys: Keyring | None
    ) -> None:
        record_id = digest(b"record %d" % len(self.records))[:16]
        buffer = memoryview(bytearray(record.STORED_MAX_BYTES))
        header = record._seal_as(record_id, buffer, [packed], kind, codec, plain_bytes, keys)
        self.records.append(
            {"offset": len(self.data)}
            | {k: v.hex() if isinstance(v, bytes) else int(v) for k, v in header._asdict().items()}
        )
        self.data += buffer[: header.stored_bytes]

    def add_pack(self, builder: pack.PackBuilder, keys: Keyring | None, level: int | None = 3) -> None:
        plain = builder.build()
        codec, packed = (0, plain) if level is None else compress.Compressor(level).compress(plain)
        self.add(RecordKind.AGGREGATE, codec, packed, len(plain), keys)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    volume = Volume()
    buffer = memoryview(bytearray(4096))
    label.make(
        buffer,
        label.Label(server="DELHI", volume="/pool/00000001.vol", pool="BACKUPPOOL", created=1_000_000_000),
    )
    body = record.open_record(buffer, None)
    volume.add(RecordKind.LABEL, compress.RAW, bytes(body), len(body), None)

    text = b"".join(b"line %d of a text that compresses\n" % i for i in range(2000))
    first = pack.PackBuilder("NODE1", "/home", 1, "STANDARD")
    one = first.add_extent(digest(text), text)
    two = first.add_extent(digest(b"hello\n"), b"hello\n")
    first.add_object(b"", b"user", 2, 4096, b"attributes of a directory")
    first.add_object(b"user", b"empty", 1, 0, b"")
    first.add_object(b"user", b"hello.txt", 1, 6, b"a", "", (two,))
    first.add_object(b"user\0docs", b"text \xff not UTF-8", 1, len(text), b"b", "", (one,))
    volume.add_pack(first, OLD_KEYS)

    film = noise("film", 60_000)
    second = pack.PackBuilder("NODE1", "/home", 2, "KEEP7YEARS")
    inline = second.add_extent(digest(film), film)
    known = second.add_reference(digest(b"hello\n"), 6)
    second.add_object(b"user", b"film", 1, 60_006, b"c", "my film \N{SNOWMAN}", (known, inline))
    second.add_object(b"user", b"link", 3, 0, b"d")
    volume.add_pack(second, KEYS)

    volume.data += bytes(2 * 4096)  # unused space

    inner = bytes(volume.data[4096 : 4096 + int(str(volume.records[1]["stored_bytes"]))])
    vault = pack.PackBuilder("TOKYO-NODE", "ADSM.SERVER", 2, "STANDARD")
    vault.add_extent(digest(inner), inner)
    vault.add_object(b"ADSM.DELHI.BFS.1", b"0000000000000000", 9, len(inner), b"", "", (0,))
    volume.add_pack(vault, None, level=None)

    ends = [noise(f"long {number}", 5_000) for number in range(3)]
    third = pack.PackBuilder("NODE1", "/home", 1, "STANDARD")
    first_two = [third.add_extent(digest(end), end) for end in ends[:2]]
    third.add_object(b"user", b"long", 1, 20_000, b"", "", first_two, 0, True)
    volume.add_pack(third, KEYS)
    fourth = pack.PackBuilder("NODE1", "/home", 1, "STANDARD")
    again = fourth.add_reference(digest(ends[0]), 5_000)
    last = fourth.add_extent(digest(ends[2]), ends[2])
    fourth.add_object(b"user", b"long", 1, 20_000, b"attributes of all of it", "", (again, last), 2)
    volume.add_pack(fourth, KEYS)

    volume.add(RecordKind.DATABASE, compress.RAW, noise("pages", 8192), 8192, KEYS)
    volume.add(RecordKind.PLAN, compress.RAW, b"", 0, KEYS)

    number = 0
    for letter in CODE.replace("-", "") + "00":
        number = number * 32 + recovery_code._ALPHABET.index(letter)
    check = -number % 1021
    code = CODE + recovery_code._ALPHABET[check >> 5] + recovery_code._ALPHABET[check & 31]

    chunks = noise("chunks", 16 << 20)
    expected = {
        "size_bytes": len(volume.data),
        "records": volume.records,
        "recovery_code": code,
        "row_key": KEYS.row_key().hex(),
        "secret": {
            "context": "golden",
            "plain": b"secret".hex(),
            "sealed": KEYS.seal_secret(b"secret", "golden").hex(),
        },
        "extent_lengths_of_noise": chunk.cut(memoryview(chunks), final=True),
    }
    damaged = [
        {"name": "a bit of the label", "offset": 100, "xor": 1, "bad": [0]},
        {"name": "the magic of an aggregate", "offset": 4096, "xor": 255, "bad": [4096]},
        {"name": "a bit of the body", "offset": 4096 + 200, "xor": 16, "bad": [4096]},
        {"name": "the stored length", "offset": 4096 + 53, "xor": 32, "bad": [4096]},
        {"name": "the digest", "offset": 4096 + 64, "xor": 128, "bad": [4096]},
        {"name": "the cipher", "offset": 4096 + 12, "xor": 1, "bad": [4096]},
        {"name": "a reserved byte", "offset": 4096 + 13, "xor": 1, "bad": [4096]},
        {"name": "the padding", "offset": len(volume.data) - 1, "xor": 1, "bad": [len(volume.data) - 4096]},
        {
            "name": "cut in the middle of the last record",
            "cut_to": len(volume.data) - 1,
            "bad": [len(volume.data) - 4096],
        },
        {"name": "a whole block zeroed", "zero_from": 4096, "zero_bytes": 4096, "bad": [], "lost": [4096]},
    ]
    (FOLDER / "volume.bin").write_bytes(volume.data)
    (FOLDER / "keyring.bin").write_bytes(KEYS.to_bytes())
    (FOLDER / "wrapped-keyring.bin").write_bytes(KEYS.wrap(code))
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    (FOLDER / "damaged.json").write_text(json.dumps(damaged, indent=1) + "\n")


if __name__ == "__main__":
    main()
