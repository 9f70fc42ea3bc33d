"""Questions about records: who has the bytes can answer, and a sample is fair."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.seal import probe
from farvault.seal.digest import keyed_digest
from farvault.seal.probe import Question, Sampler

RECORD = bytes(range(256)) * 1024


def test_the_answer_is_the_ranges_digest_under_the_nonce() -> None:
    question = Question(0, len(RECORD), 100, 50, b"n" * 32)
    assert probe.answer(question, RECORD) == keyed_digest(b"n" * 32, RECORD[100:150])
    assert probe.answer(question._replace(nonce=b"m" * 32), RECORD) != probe.answer(question, RECORD)


@given(size=st.integers(1, 300_000))
def test_a_question_lies_inside_its_record(size: int) -> None:
    question = probe.ask(4096, size)
    assert question.start_bytes >= 0 and 1 <= question.size_bytes <= probe.RANGE_BYTES
    assert question.start_bytes + question.size_bytes <= size
    assert probe.ask(4096, size).nonce != question.nonce


@pytest.mark.parametrize(("start", "size"), [(0, 0), (len(RECORD), 1), (0, len(RECORD) + 1)])
def test_a_range_outside_the_record_is_refused(start: int, size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        probe.answer(Question(0, len(RECORD), start, size, b"n" * 32), RECORD)


def test_a_changed_byte_in_the_range_changes_the_answer() -> None:
    question = Question(0, len(RECORD), 1000, 200, b"n" * 32)
    changed = bytearray(RECORD)
    changed[1100] ^= 1
    assert probe.answer(question, changed) != probe.answer(question, RECORD)


def test_a_sample_has_at_most_so_many_and_every_record_gets_its_turn() -> None:
    seen: Counter[int] = Counter()
    for _ in range(300):
        sampler = Sampler(3)
        for number in range(10):
            sampler.show(number, memoryview(bytes([number]) * 64))
        assert len(sampler.kept) == 3
        for question, answer in sampler.kept:
            record = bytes([question.offset_bytes]) * 64
            assert answer == probe.answer(question, record)
            seen[question.offset_bytes] += 1
    assert set(seen) == set(range(10))
    assert max(seen.values()) < 2 * min(seen.values()), "about 90 each"


def test_a_sample_of_none_keeps_none_and_a_new_one_starts_empty() -> None:
    sampler = Sampler(0)
    sampler.show(0, memoryview(bytes(64)))
    assert sampler.kept == []
    sampler = Sampler(2)
    sampler.show(0, memoryview(bytes(64)))
    sampler.begin()
    assert sampler.kept == []
