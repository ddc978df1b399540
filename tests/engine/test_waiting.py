"""An agent that waits is seen on the desktop, from wherever in the sandbox it says so."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sandboxes import Box, wait_until
from test_watch import watching

pytestmark = pytest.mark.engine
SAY = "/usr/local/lib/companion/attention"
WORDS = "http://companion.internal"
FLOOD = 3000
ASK = f"curl -s -o /dev/null -w '%{{http_code}}' {WORDS}"


def attention(box: Box) -> str | None:
    found: str | None = box.companion("status", "--json").ok().agent["attention"]
    return found


def say(box: Box, word: str) -> None:
    """Say a word as a hook does, and wait until the gateway has it."""
    box.run(f"{SAY} {word}; flock /tmp/.companion-attention.lock true")


def logged(box: Box) -> int:
    return box.companion("logs", "coder", "-v").ok().out.count("why=attention")


@contextmanager
def ended(box: Box) -> Iterator[None]:
    """Leave no word to other tests."""
    try:
        yield
    finally:
        say(box, "ended")


def test_status_tells_that_the_agent_waits_until_it_does_not(box: Box):
    with ended(box):
        say(box, "waiting")
        assert attention(box) == "waiting"
        assert "running, waits for you" in box.companion("status").ok().out
        box.companion("exec", "coder", "--", SAY, "busy").ok()
        wait_until(lambda: attention(box) == "busy")
    assert attention(box) is None


def test_only_listed_words_are_taken_and_none_is_forwarded(box: Box):
    with ended(box):
        say(box, "done")
        for path in ("/attention/rm%20-rf", "/attention/busy/x", "/attention/", "/", "/BUSY"):
            assert box.run(f"{ASK}{path}") == "404"
        assert box.run(f"{ASK}/attention/busy -H 'Host: other.test'") == "403"
        assert attention(box) == "done"
    used = box.companion("network", "--json").ok().out
    assert "companion.internal" not in used


def test_a_bell_that_nobody_hears_waits_until_somebody_looks(box: Box):
    with ended(box):
        box.run("tmux new-session -d -s bell 'sleep 1; printf \"\\a\"; sleep 300'")
        wait_until(lambda: attention(box) == "waiting")
        box.run("TERM=xterm timeout 2 script -qc 'tmux attach -t bell' /dev/null; tmux kill-server")
        wait_until(lambda: attention(box) is None)


def test_a_watcher_hears_it_and_a_flood_is_a_few_lines(box: Box):
    with ended(box), watching(box) as log:
        say(box, "waiting")
        wait_until(lambda: "waits for you" in log.read_text())
        assert attention(box) == "waiting"
        before = logged(box)
        box.run(f"seq {FLOOD} | sed 's|.*|url={WORDS}/attention/waiting|' | curl -s -K -")
        assert logged(box) - before < FLOOD / 5
        assert log.read_text().count("waits for you") == 1
