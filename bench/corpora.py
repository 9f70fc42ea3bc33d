"""The three corpora, made on the spot: real files of this machine, one big file, very many tiny ones.

Everything is deterministic for one machine: the same files in the same order, seeded randomness for the rest.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterator

MIB = 1 << 20
WORDS = [
    b"volume",
    b"server",
    b"pool",
    b"archive",
    b"copy",
    b"record",
    b"node",
    b"restore",
    b"extent",
    b"catalog",
]


def make(name: str, folder: str, scale: float) -> str:
    """Make corpus `name` (mixed, big, tiny) at `scale` (1 = full size) unless it is there already; its folder."""
    path = os.path.join(folder, f"{name}-{scale:g}")
    done = path + ".complete"
    if not os.path.exists(done):
        os.makedirs(path, exist_ok=True)
        MAKERS[name](path, scale)
        with open(done, "w"):
            pass
    return path


def _real_files() -> Iterator[str]:
    for root in ("/usr/lib", "/usr/share", "/usr/include", "/usr/bin"):
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode) and os.access(path, os.R_OK):
                    yield path


def _mixed(path: str, scale: float) -> None:
    """About 1.8 GiB in 37,000 real files; where the machine has fewer, made-up text fills the rest."""
    files_left, bytes_left = int(37_000 * scale), int(1850 * MIB * scale)
    average = bytes_left // max(files_left, 1)
    number = 0
    for source in _real_files():
        if files_left == 0 or bytes_left <= 0:
            break
        size = os.path.getsize(source)
        if size > 40 * average * max(1, 20 * (number % 50 == 0)):
            continue  # keep the mix: a few big ones, mostly small ones
        target = os.path.join(path, f"{number // 200:04}", os.path.basename(source))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            continue
        with open(source, "rb") as old, open(target, "wb") as new:
            new.write(old.read())
        files_left, bytes_left, number = files_left - 1, bytes_left - size, number + 1
    chance = random.Random(1)
    while files_left > 0 and bytes_left > 0:
        size = min(bytes_left, max(100, int(chance.lognormvariate(9, 1.5))))
        target = os.path.join(path, f"made-{number // 200:04}", f"{number}.txt")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as new:
            new.write(_text(chance, size))
        files_left, bytes_left, number = files_left - 1, bytes_left - size, number + 1
    filler = 0
    while bytes_left > MIB:  # too few real bytes: add bigger files, half of them incompressible
        size = min(bytes_left, 24 * MIB)
        with open(os.path.join(path, f"big-{filler:03}.bin"), "wb") as new:
            new.write(chance.randbytes(size) if filler % 2 else _text(chance, size))
        bytes_left, filler = bytes_left - size, filler + 1


def _big(path: str, scale: float) -> None:
    """One file of 4 GiB: stretches of text, random bytes and repeats, as a disk image has."""
    chance = random.Random(2)
    left = int(4096 * MIB * scale)
    seen: list[bytes] = []
    with open(os.path.join(path, "disk.img"), "wb") as new:
        while left > 0:
            size = min(left, 8 * MIB)
            draw = chance.random()
            if draw < 0.1 and seen:
                piece = chance.choice(seen)[:size]
            elif draw < 0.5:
                piece = chance.randbytes(size)
            else:
                piece = _text(chance, size)
            if len(seen) < 8:
                seen.append(piece)
            new.write(piece)
            left -= len(piece)


def _tiny(path: str, scale: float) -> None:
    """200,000 files of 0 to 16 KiB, about 940 MiB, 500 to a folder."""
    chance = random.Random(3)
    stock = _text(chance, 4 * MIB) + chance.randbytes(2 * MIB)
    for number in range(int(200_000 * scale)):
        folder = os.path.join(path, f"{number // 500:04}")
        if number % 500 == 0:
            os.makedirs(folder, exist_ok=True)
        size = min(16384, int(chance.expovariate(1 / 4900)))
        start = chance.randrange(len(stock) - size)
        with open(os.path.join(folder, f"{number}.dat"), "wb", buffering=0) as new:
            new.write(b"%d\n" % number + stock[start : start + size])


def _text(chance: random.Random, size: int) -> bytes:
    """Words, numbers and some noise: about 2.5 : 1 under zstd."""
    block = b" ".join(
        chance.choice(WORDS) if chance.random() < 0.6 else b"%x" % chance.getrandbits(40)
        for _ in range(20_000)
    )
    rows = bytearray()
    while len(rows) < size:
        start = chance.randrange(len(block) - 4000)
        rows += block[start : start + chance.randrange(200, 4000)] + b"%x\n" % chance.getrandbits(256)
    return bytes(rows[:size])


MAKERS: dict[str, Callable[[str, float], None]] = {"mixed": _mixed, "big": _big, "tiny": _tiny}
