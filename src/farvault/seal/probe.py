"""Possession: a range of a record and a nonce; who still has the bytes can answer, who has only their digests cannot.

The answer is BLAKE3 of the range keyed by the nonce. Where the asker will not have the bytes later, he keeps a few
questions with their answers while he has them (`Sampler`): chosen at random, so that the other side cannot know which
records will be asked for.
"""

from __future__ import annotations

import random
import secrets
from typing import Final, NamedTuple

from farvault.seal.digest import Buffer, keyed_digest

RANGE_BYTES: Final = 64 * 1024
"""Longest range: a hash of 20 microseconds, and one read of the target's disk."""
NONCE_BYTES: Final = 32
NO_ANSWER: Final = bytes(32)
"""What stands for a record that cannot be read. No range has this digest."""

_random = random.SystemRandom()


class Question(NamedTuple):
    """A range of the record at `offset_bytes` of a volume."""

    offset_bytes: int
    stored_bytes: int
    start_bytes: int
    size_bytes: int
    nonce: bytes


class Kept(NamedTuple):
    """A question and what the answer must be."""

    question: Question
    answer: bytes


def ask(offset_bytes: int, stored_bytes: int) -> Question:
    """A new question about a record of this length."""
    size = min(RANGE_BYTES, stored_bytes)
    start = _random.randrange(stored_bytes - size + 1)
    return Question(offset_bytes, stored_bytes, start, size, secrets.token_bytes(NONCE_BYTES))


def answer(question: Question, record: Buffer) -> bytes:
    """What somebody who has the record says. `ValueError` where the range is not inside it."""
    end = question.start_bytes + question.size_bytes
    view = memoryview(record)
    if question.size_bytes < 1 or end > view.nbytes:
        raise ValueError(f"bytes {question.start_bytes} to {end} of a record of {view.nbytes}")
    return keyed_digest(question.nonce, view[question.start_bytes : end])


class Sampler:
    """Keeps questions about `most` of the records shown to it, each record as likely as any other."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Kept] = []
        self._shown = 0

    def show(self, offset_bytes: int, record: memoryview) -> None:
        """One record that was put on the volume at this offset."""
        self._shown += 1
        place = len(self._kept) if len(self._kept) < self._most else _random.randrange(self._shown)
        if place >= self._most:
            return
        question = ask(offset_bytes, record.nbytes)
        self._kept[place : place + 1] = [Kept(question, answer(question, record))]

    @property
    def kept(self) -> list[Kept]:
        return list(self._kept)

    def begin(self) -> None:
        """What was kept is stored, or was about nothing: start anew."""
        self._kept, self._shown = [], 0
