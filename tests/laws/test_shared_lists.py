"""Lists that several look at together: asked for once, and never older than allowed."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

import pytest

from companion.engine.shared_lists import SharedLists, of_one_look
from companion.errors import Code, EngineError

MANY = 12


def test_who_comes_while_a_list_is_asked_for_shares_the_next_one():
    lists, numbers = SharedLists(), count(1)
    began, may_end = threading.Event(), threading.Event()

    def ask() -> int:
        began.set()
        may_end.wait()
        return next(numbers)

    with ThreadPoolExecutor(MANY) as pool:
        first = pool.submit(lists.get, "pods", ask)
        began.wait()
        others = [pool.submit(lists.get, "pods", ask) for _ in range(MANY - 1)]
        while pool._work_queue.qsize():
            pass
        may_end.set()
        # The first list began before the others came: it may lack what they have done.
        assert first.result() == 1
        assert min(other.result() for other in others) == 2
    assert next(numbers) < MANY


def test_who_comes_later_gets_a_newer_list_unless_it_is_one_look():
    numbers = count()
    lists, look = SharedLists(), of_one_look()
    assert [lists.get("pods", lambda: next(numbers)) for _ in range(2)] == [0, 1]
    assert [look.get("pods", lambda: next(numbers)) for _ in range(2)] == [2, 2]
    assert look.get("services", lambda: next(numbers)) == 3


def test_a_defect_is_nobody_elses():
    look = of_one_look()
    with pytest.raises(ZeroDivisionError):
        look.get("pods", lambda: 1 // 0)
    assert look.get("pods", lambda: 1) == 1


def test_who_asks_a_silent_engine_has_the_answer_of_whoever_asked_before():
    lists, asked = SharedLists(silence=60.0), count()
    began, may_end = threading.Event(), threading.Event()

    def ask() -> int:
        next(asked)
        began.set()
        may_end.wait()
        raise EngineError("it does not answer", "look at it", code=Code.ENGINE_SILENT)

    with ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(lists.get, "pods", ask)]
        began.wait()
        waiting += [pool.submit(lists.get, "pods", ask) for _ in range(MANY - 1)]
        may_end.set()
        failures = [one.exception() for one in waiting]
    assert len(set(map(str, failures))) == 1
    assert len(set(map(id, failures))) == MANY  # each may add to its own
    with pytest.raises(EngineError):
        lists.get("pods", ask)  # a moment later, as the next agents of a fleet
    assert next(asked) == 1


def test_what_an_engine_refuses_or_did_not_answer_long_ago_is_asked_again():
    for code, silence in ((Code.ENGINE_DENIED, 60.0), (Code.ENGINE_SILENT, 0.0)):
        lists, answers = SharedLists(silence=silence), iter((EngineError("no", code=code), 1))

        def ask(answers: Iterator[EngineError | int] = answers) -> int:
            answer = next(answers)
            if isinstance(answer, EngineError):
                raise answer
            return answer

        with pytest.raises(EngineError, match="no"):
            lists.get("pods", ask)
        assert lists.get("pods", ask) == 1


def test_what_was_asked_long_ago_is_forgotten_with_all_that_it_holds(
    monkeypatch: pytest.MonkeyPatch,
):
    class Answer: ...

    lists, now = SharedLists(seconds=30.0), 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    kept = weakref.ref(lists.get("pods", Answer))
    now += 59
    lists.get("services", Answer)
    assert kept()
    now += 2
    lists.get("services", Answer)
    assert not kept()


def test_a_failure_that_is_kept_holds_nothing_of_whoever_asked():
    class Asker: ...

    lists = SharedLists(silence=60.0)

    def ask() -> weakref.ref[Asker]:
        asker = Asker()
        kept.append(weakref.ref(asker))
        raise EngineError("no", code=Code.ENGINE_SILENT)

    kept: list[weakref.ref[Asker]] = []
    with suppress(EngineError):
        lists.get("pods", ask)
    gc.collect()
    assert not kept[0]()
