"""The watcher's machine: one reaction per burst, never two at once, always an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.daemon.scheduler import (
    AT_ONCE,
    DEBOUNCE,
    PATIENCE,
    Asked,
    Finished,
    Order,
    State,
    Tick,
    Touched,
    Work,
    step,
)
from companion.engine.model import ClusterChoice

PROJECTS = st.sampled_from(["a", "b", "c"])
EVENTS = st.one_of(st.builds(Touched, PROJECTS), st.builds(Finished, PROJECTS), st.builds(Tick))


def test_a_burst_of_saves_is_one_reaction():
    state, works = State(), []
    for number in range(500):
        state, more = step(state, Touched("a"), number * 0.001)
        works += more
    state, more = step(state, Tick(), 0.5 + DEBOUNCE)
    assert not works
    assert [w.subject for w in more] == ["a"]
    assert more[0].since == 0.0


def test_a_save_during_work_is_seen_when_the_work_ends():
    state, _ = step(State(), Touched("a"), 0)
    state, works = step(state, Tick(), DEBOUNCE)
    assert len(works) == 1
    state, _ = step(state, Touched("a"), 1)
    state, works = step(state, Tick(), 5)
    assert works == ()
    _, works = step(state, Finished("a"), 6)
    assert [w.subject for w in works] == ["a"]


@given(st.lists(st.tuples(EVENTS, st.floats(0, 0.3))))
def test_no_project_is_worked_on_twice_at_once_and_no_save_is_forgotten(history):
    state, now, busy, owed = State(), 0.0, set(), set()
    for event, pause in history:
        now += pause
        if isinstance(event, Finished) and event.subject not in busy:
            continue
        if isinstance(event, Finished):
            busy.discard(event.subject)
        if isinstance(event, Touched):
            owed.add(event.subject)
        state, works = step(state, event, now)
        for work in works:
            assert work.subject not in busy
            busy.add(work.subject)
            owed.discard(work.subject)
    for project in sorted(busy):
        state, works = step(state, Finished(project), now)
        owed -= {w.subject for w in works}
    _, works = step(state, Tick(), now + DEBOUNCE)
    assert owed == {w.subject for w in works}


def test_a_burst_that_does_not_end_is_looked_at_all_the_same():
    state, works = State(), ()
    for number in range(1000):
        state, works = step(state, Touched("a"), number * DEBOUNCE / 2)
        state, works = step(state, Tick(), number * DEBOUNCE / 2)
        if works:
            break
    assert number * DEBOUNCE / 2 == pytest.approx(PATIENCE, abs=DEBOUNCE)


def test_of_a_hundred_a_few_are_looked_at_at_once_and_what_is_asked_for_does_not_wait():
    state, waiting, under_way = State(), {str(n) for n in range(100)}, []
    for subject in waiting:
        state, _ = step(state, Touched(subject), 0)
    state, works = step(state, Tick(), 1)
    while works:
        under_way += [work.subject for work in works]
        assert len(under_way) <= AT_ONCE
        waiting -= set(under_way)
        assert (state.due is None) == (len(under_way) == AT_ONCE or not waiting)
        if len(waiting) == 50:
            state, works = step(state, Asked("now", Order.STOP), 2)
            assert [(work.subject, work.order) for work in works] == [("now", Order.STOP)]
            state, _ = step(state, Finished("now"), 2)
        state, works = step(state, Finished(under_way.pop(0)), 2)
    assert not waiting


def test_projects_do_not_wait_for_each_other():
    state, _ = step(State(), Touched("a"), 0)
    state, _ = step(state, Tick(), DEBOUNCE)
    state, _ = step(state, Touched("b"), 1)
    _, works = step(state, Tick(), 1 + DEBOUNCE)
    assert [w.subject for w in works] == ["b"]


def test_an_order_does_not_wait_for_silence_but_for_the_work_under_way():
    state, works = step(State(), Asked("a", Order.START), 5)
    assert works == (Work("a", Order.START, 5),)
    state, works = step(state, Asked("a", Order.RESTART), 6)
    assert works == ()
    state, works = step(state, Asked("a", Order.STOP), 7)
    assert works == ()
    state, works = step(state, Finished("a"), 8)
    assert works == (Work("a", Order.STOP, 7),), "the newest order counts"
    _, works = step(state, Finished("a"), 9)
    assert works == ()


def test_the_looks_that_waited_longest_begin_first_and_orders_take_their_room():
    state = State()
    for number in reversed(range(AT_ONCE + 2)):
        state, _ = step(state, Touched(f"s{number}"), AT_ONCE + 2 - number)
    state, works = step(state, Tick(), 100)
    assert [work.subject for work in works] == [f"s{n}" for n in reversed(range(2, AT_ONCE + 2))]
    assert state.room == 0
    state, works = step(state, Finished("s5"), 101)
    assert [work.subject for work in works] == ["s1"]


def test_a_save_that_comes_with_an_order_is_not_looked_at_besides():
    state, _ = step(State(), Touched("a"), 0)
    state, works = step(state, Asked("a", Order.START), 0.01)
    assert works == (Work("a", Order.START, 0.01),)
    state, works = step(state, Finished("a"), 1)
    assert works == ()
    assert state.due is None


def test_news_of_the_end_of_what_nobody_knows_begins_nothing():
    assert step(State(), Finished("a"), 1)[1] == ()


def test_a_cluster_that_takes_long_to_list_is_not_listed_all_the_time():
    place = ClusterChoice("kubernetes", "kubectl", "work", "agents", "registry.test")
    state, now, looks = State(), 0.0, 0
    while now < 100:
        state, _ = step(state, Touched(place), now)
        state, works = step(state, Tick(), now + DEBOUNCE)
        if works:
            looks += 1
            now += 5  # for the list
            state, _ = step(state, Finished(place), now)
        now += 0.1
    assert looks == 6


def test_a_cluster_that_was_slow_once_is_looked_at_again_within_a_minute():
    place = ClusterChoice("kubernetes", "kubectl", "work", "agents", "registry.test")
    state, _ = step(State(), Touched(place), 0)
    state, _ = step(state, Tick(), 1)
    state, _ = step(state, Finished(place), 101)
    state, _ = step(state, Touched(place), 101)
    assert not step(state, Tick(), 160)[1]
    assert step(state, Tick(), 162)[1]
