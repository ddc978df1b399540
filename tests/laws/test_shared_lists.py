"""Lists that several look at together: asked for once, and never older than allowed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from companion.engine.shared_lists import SharedLists, of_one_look
from companion.errors import EngineError

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


def test_a_failure_is_nobody_elses():
    look = of_one_look()
    with pytest.raises(ZeroDivisionError):
        look.get("pods", lambda: 1 // 0)
    assert look.get("pods", lambda: 1) == 1


def test_who_waits_for_a_silent_engine_waits_for_no_more_than_one_more_answer():
    lists, asked = SharedLists(), count()
    began, may_end = threading.Event(), threading.Event()

    def ask() -> int:
        next(asked)
        began.set()
        may_end.wait()
        raise EngineError("it does not answer", "look at it")

    with ThreadPoolExecutor(MANY) as pool:
        waiting = [pool.submit(lists.get, "pods", ask)]
        began.wait()
        waiting += [pool.submit(lists.get, "pods", ask) for _ in range(MANY - 1)]
        while pool._work_queue.qsize():
            pass
        may_end.set()
        failures = [one.exception() for one in waiting]
    assert len(set(map(str, failures))) == 1
    assert len(set(map(id, failures))) == MANY  # each may add to its own
    assert next(asked) < MANY
    with pytest.raises(EngineError):
        lists.get("pods", ask)
