"""Attention: what an agent's words amount to, whatever it says and however often."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.daemon.attending import CALM, Attending
from companion.daemon.calls import Calls, changed
from companion.daemon.news import AttentionChanged, EngineObserved, fold
from companion.daemon.view import AgentView, IconState, View
from companion.daemon.wording import icon_state, row
from companion.engine.model import Condition, EngineChoice, Health
from companion.project.model import AgentRef, Project
from companion.traffic import attention, log
from companion.traffic.attention import Attention, Heard, Word
from companion.tray.clicks import Click, Verb
from companion.tray.notifications import Notification, notification_for

WORDS = st.lists(st.sampled_from(Word))
WAITS = Attention.WAITING
ENGINE = EngineChoice("docker", "/usr/bin/docker")
AGENT = AgentView(
    AgentRef(Project(Path("/p"), "p-1")),
    "coder",
    engine=ENGINE,
    condition=Condition(Health.RUNNING, pid=7),
)
RUNS = View({AGENT.id: AGENT})


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


TAIL = "bytes=10/20 ms=1 term=--"
HOOK = "http companion.internal port=80 GET /attention/{} status=204 why=attention-{} {}"


def test_a_hooks_line_is_a_word_and_no_use_of_the_network() -> None:
    line = HOOK.format("waiting", "waiting", TAIL)
    assert log.word(line) is Word.WAITING
    assert log.parse(line) is None


@pytest.mark.parametrize(
    "line",
    [
        HOOK.format("waiting", "rm", TAIL),
        f"http x port=80 GET /why=attention-waiting status=403 why=egress {TAIL}",
        f"http x port=80 GET /a status=204 why=attention-done {TAIL} status=403 why=host {TAIL}",
        f"tls why=attention-done port=443 to=tls why=egress {TAIL}",
        f"tls x port=443 to=tls why=attention-done {TAIL}",
        f"http companion.internal port=80 GET /else status=404 why=attention {TAIL}",
    ],
)
def test_no_other_line_passes_for_a_word(line: str) -> None:
    assert log.word(line) is None


def test_a_flood_of_words_is_reported_calmly_and_its_end_is_not_lost() -> None:
    attending, told, now = Attending(), [], 0.0
    for number in range(10_000):
        attending.take("a", [Word.WAITING if number % 2 else Word.BUSY], at=now)
        told += attending.due(now)
        now += 0.001
    assert len(told) <= 10 / CALM + 1
    attending.take("a", [Word.DONE], at=now)
    assert attending.patience(now) is not None
    ((_, last),) = attending.due(now + CALM)
    assert last.attention is Attention.DONE
    assert attending.patience(now + CALM) is None


def test_what_is_said_again_is_not_reported_again() -> None:
    attending = Attending()
    attending.take("a", [Word.BUSY, Word.BUSY], at=1.0)
    assert len(attending.due(1.0)) == 1
    attending.take("a", [Word.BUSY], at=5.0)
    assert attending.due(5.0) == []


def test_what_was_logged_before_gives_way_to_what_was_said_since() -> None:
    attending = Attending()
    attending.take("a", [Word.BUSY], at=9.0)
    attending.recall("a", Heard(Attention.WAITING, at=8.0))
    attending.recall("b", Heard(Attention.WAITING, at=8.0))
    assert [(key, known.attention) for key, known in attending.due(10.0)] == [
        ("a", Attention.BUSY),
        ("b", Attention.WAITING),
    ]


def called(*changes: tuple[Attention, float]) -> list[Attention]:
    """Return the changes of which the user is told."""
    known, told = Calls(), []
    for state, at in changes:
        known = changed(known, state, at)
        if known.is_new:
            told.append(state)
    return told


def test_the_user_is_called_for_each_question_and_for_the_end_of_long_work() -> None:
    busy, waiting, done = Attention.BUSY, Attention.WAITING, Attention.DONE
    assert called((busy, 0), (waiting, 1), (waiting, 2), (busy, 3), (waiting, 4)) == [waiting] * 2
    assert called((busy, 0), (done, 5)) == []
    assert called((busy, 0), (waiting, 5), (busy, 6), (done, 40)) == [waiting, done]


def test_an_agent_that_calls_without_end_is_heard_a_few_times() -> None:
    flood = [(state, float(at)) for at in range(500) for state in (Attention.BUSY, WAITS)]
    assert len(called(*flood)) == 6
    assert len(called(*flood, (Attention.BUSY, 1200.0), (WAITS, 1201.0))) == 7


def test_a_row_waits_and_the_notification_has_only_our_words() -> None:
    view = fold(RUNS, AttentionChanged(AGENT.id, WAITS, 1.0))
    agent_view = view.sandboxes[AGENT.id]
    note = notification_for(view, AttentionChanged(AGENT.id, WAITS, 1.0))
    assert "waits for you" in row(view, agent_view, AGENT.name)
    assert icon_state(view) is IconState.WAITING
    opens = ("Open a terminal", Click(Verb.ANSWER, AGENT.id))
    title = f"{AGENT.name} waits for you"
    assert note == Notification(f"{AGENT.id}:attention", title, "", (opens,))
    view = fold(view, AttentionChanged(AGENT.id, Attention.BUSY, 2.0))
    assert "running · busy" in row(view, view.sandboxes[AGENT.id], AGENT.name)
    assert icon_state(view) is IconState.IDLE


@pytest.mark.parametrize(
    "seen",
    [
        Condition(Health.STOPPED, 0),
        Condition(Health.ABSENT),
        Condition(Health.RUNNING, pid=8),
    ],
)
def test_what_stops_waits_no_more(seen: Condition) -> None:
    view = fold(RUNS, AttentionChanged(AGENT.id, WAITS, 1.0))
    view = fold(view, EngineObserved(ENGINE, {"p-1": {"coder": seen}}))
    assert view.sandboxes[AGENT.id].attention is Attention.UNKNOWN
