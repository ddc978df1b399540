"""Attention: what an agent's words amount to, whatever their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.traffic import attention
from companion.traffic.attention import Attention, Heard, Word

WORDS = st.lists(st.sampled_from(Word))


def after(*words: Word) -> Attention:
    known = Heard()
    for at, word in enumerate(words):
        known = attention.heard(known, word, float(at))
    return known.attention


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ([], Attention.UNKNOWN),
        ([Word.BUSY, Word.WAITING], Attention.WAITING),
        ([Word.WAITING, Word.BUSY], Attention.BUSY),
        ([Word.BUSY, Word.DONE], Attention.DONE),
        ([Word.WAITING, Word.ENDED], Attention.UNKNOWN),
        ([Word.BUSY, Word.BELL], Attention.WAITING),
        ([Word.BELL, Word.SEEN], Attention.UNKNOWN),
        ([Word.BELL, Word.BELL, Word.SEEN], Attention.UNKNOWN),
        ([Word.WAITING, Word.BELL, Word.SEEN], Attention.WAITING),
        ([Word.DONE, Word.BELL], Attention.DONE),
    ],
)
def test_words_amount_to_a_state(words: list[Word], state: Attention) -> None:
    assert after(*words) is state


@given(WORDS)
def test_an_agent_that_ended_waits_for_nobody(words: list[Word]) -> None:
    assert after(*words, Word.ENDED) is Attention.UNKNOWN


@given(WORDS)
def test_looking_at_a_question_does_not_answer_it(words: list[Word]) -> None:
    assert after(*words, Word.WAITING, Word.SEEN) is Attention.WAITING


@given(st.text())
def test_only_listed_words_are_words(text: str) -> None:
    word = attention.word_of(text)
    assert (word is not None) == (text in [str(one) for one in Word])


def test_what_was_heard_before_the_last_start_is_forgotten() -> None:
    waiting = attention.heard(Heard(), Word.WAITING, at=100.0)
    assert attention.since_start(waiting, started=99.0) is Attention.WAITING
    assert attention.since_start(waiting, started=101.0) is Attention.UNKNOWN
