"""An agent that waits is seen on the desktop, from wherever in the sandbox it says so."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandboxes import Box, wait_until
from test_watch import watching

pytestmark = pytest.mark.engine
SAY = "/usr/local/lib/companion/attention"
WORDS = "http://companion.internal"
ASK = f"curl -s -o /dev/null -w '%{{http_code}}' {WORDS}"
FLOOD = 3000


@dataclass
class Watched:
    """The shared sandbox, with a watcher."""

    box: Box
    log: Path

    @property
    def attention(self) -> str | None:
        found: str | None = self.box.companion("status", "--json").ok().agent["attention"]
        return found

    def say(self, word: str) -> None:
        self.box.run(f"{SAY} {word}")

    def becomes(self, attention: str | None) -> None:
        wait_until(lambda: self.attention == attention, tell=self.log.read_text)

    def falls_silent(self) -> bool:
        """Say that the agent ended; after a flood, that is heard a second later."""
        self.say("ended")
        return self.attention is None

    @property
    def logged(self) -> int:
        return self.box.companion("logs", "coder", "-v").ok().out.count("why=attention")


@pytest.fixture
def watched(box: Box) -> Iterator[Watched]:
    with watching(box) as log:
        world = Watched(box, log)
        yield world
        wait_until(world.falls_silent)


def test_status_tells_that_the_agent_waits_until_it_does_not(watched: Watched):
    watched.say("waiting")
    watched.becomes("waiting")
    assert "running, waits for you" in watched.box.companion("status").ok().out
    assert "waits for you" in watched.log.read_text()
    watched.box.companion("exec", "coder", "--", SAY, "busy").ok()
    watched.becomes("busy")
    watched.say("ended")
    watched.becomes(None)


def test_a_program_that_is_killed_while_it_waits_waits_no_longer(watched: Watched):
    """No hook tells of that."""
    hook = f"sh -c '{SAY} waiting || true'"
    watched.box.run(f'(setsid sh -c "{hook}; exec sleep 300" >/dev/null 2>&1 &)')
    watched.becomes("waiting")
    follower = "ls /tmp/.companion-attention.[0-9]* 2>/dev/null || true"
    wait_until(lambda: watched.box.run(follower))
    watched.box.run("pkill -KILL -f '^sleep 300'")
    watched.becomes(None)
    assert watched.box.run(follower) == ""


def test_only_listed_words_are_taken_and_none_is_forwarded(watched: Watched):
    watched.say("done")
    watched.becomes("done")
    for path in ("/attention/rm%20-rf", "/attention/busy/x", "/attention/", "/", "/BUSY"):
        assert watched.box.run(f"{ASK}{path}") == "404"
    assert watched.box.run(f"{ASK}/attention/busy -H 'Host: other.test'") == "403"
    watched.say("waiting")  # the lines before it were read when this one is
    watched.becomes("waiting")
    assert "companion.internal" not in watched.box.companion("network", "--json").ok().out


def test_a_bell_that_nobody_hears_waits_until_somebody_looks(watched: Watched):
    watched.box.run("tmux new-session -d -s bell 'sleep 1; printf \"\\a\"; sleep 300'")
    watched.becomes("waiting")
    attach = "TERM=xterm timeout 2 script -qc 'tmux attach -t bell' /dev/null"
    watched.box.run(f"{attach}; tmux kill-session -t bell")
    watched.becomes(None)


def test_a_flood_of_words_is_a_few_lines_and_the_last_state_is_found(watched: Watched):
    before, told = watched.logged, watched.log.read_text().count("waits for you")
    watched.box.run(f"seq {FLOOD} | sed 's|.*|url={WORDS}/attention/waiting|' | curl -s -K -")
    assert watched.logged - before < FLOOD / 5
    watched.becomes("waiting")
    assert watched.log.read_text().count("waits for you") <= told + 1


def test_a_watcher_finds_out_what_was_said_before_it_began(box: Box):
    box.run(f"{SAY} waiting; flock /tmp/.companion-attention.lock true")
    with watching(box) as log:
        watched = Watched(box, log)
        wait_until(lambda: "waits for you" in log.read_text(), tell=log.read_text)
        watched.becomes("waiting")
        watched.say("ended")
        watched.becomes(None)
