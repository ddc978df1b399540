"""What lives on and what ends when the rules change while streams are open."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from internet import ADDRESS, NAME, internet, tell_address
from sandboxes import Box, wait_until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.one_engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace"),
]

STREAMS = {
    "passed through": f"curl -skN https://{NAME}/",
    "plain, listed": f"curl -sN http://{NAME}/",
    "a service": "curl -sN http://host.containers.internal:8000/ticks",
    "another service": "curl -sN http://host.containers.internal:8001/ticks",
    "an intercepted service": "curl -sN https://host.containers.internal:8443/ticks",
}


class Stream:
    """An endless answer that the agent reads; knows when it last heard something."""

    def __init__(self, box: Box, command: str) -> None:
        argv = ["ssh", "-F", box.desk.home / ".ssh/config", "-o", "BatchMode=yes", box.alias]
        self.child = subprocess.Popen([*argv, command], stdout=subprocess.PIPE, text=True)
        self.heard = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.child.stdout or ():
            self.heard += line == "tick\n"

    def lives(self) -> bool:
        """Wait until it is heard of again, or ends."""
        before = self.heard
        wait_until(lambda: self.heard > before or self.ended())
        return not self.ended()

    def ended(self) -> bool:
        return self.child.poll() is not None

    def close(self) -> None:
        self.child.kill()
        self.child.wait()


@contextmanager
def streams(box: Box) -> Iterator[dict[str, Stream]]:
    with ExitStack() as stack:
        made = {name: Stream(box, command) for name, command in STREAMS.items()}
        for stream in made.values():
            stack.callback(stream.close)
        with suppress(AssertionError):
            wait_until(lambda: all(stream.heard for stream in made.values()))
        assert {name for name, stream in made.items() if stream.heard} == set(STREAMS)
        yield made


@pytest.fixture
def open_box(box: Box, tmp_path: Path) -> Iterator[Box]:
    """The shared sandbox with a listed host that has a public address."""
    kept, env = box.config_text(), (box.project / ".env").read_text()
    with internet(tmp_path):
        try:
            tell_address(box, NAME, ADDRESS)
            save(box, kept.replace("[listed.test,", f"[listed.test, {NAME},"))
            yield box
        finally:
            (box.project / ".env").write_text(env)
            save(box, kept)


def save(box: Box, config: str) -> None:
    (box.project / "agent.yaml").write_text(config)
    assert box.companion("up", "--json").ok().agent["change"] in {"reload", "none"}


def living(made: dict[str, Stream]) -> set[str]:
    return {name for name, stream in made.items() if stream.lives()}


WIDER = """\
      - url: http://host.containers.internal:8099
        headers: {X-New: "${ONE}"}
  - plugin: custom"""


def test_what_is_not_touched_lives_on_and_what_is_gone_ends(open_box: Box):
    box = open_box
    before, config = box.ids(), box.config_text()
    with streams(box) as made:
        # A host more, told to the running process.
        save(box, config.replace("[listed.test,", "[listed.test, more.test,"))
        assert living(made) == set(STREAMS)
        # Another secret for a service: its next request has it, its open answer goes on.
        env = box.project / ".env"
        env.write_text(env.read_text().replace("ONE=", "ONE=other-"))
        save(box, config)
        box.run("curl -sS -m 8 http://host.containers.internal:8000/")
        assert "other-" in box.seen[8000][-1]["authorization"]
        # A service more: a new process, beside the one that has the streams.
        wider = config.replace("  - plugin: custom", WIDER)
        save(box, wider)
        assert living(made) == set(STREAMS)
        # What is gone ends, in the old process, and is refused from now on.
        save(box, wider.replace(f" {NAME},", ""))
        wait_until(lambda: made["passed through"].ended() and made["plain, listed"].ended())
        assert living(made) == {"a service", "another service", "an intercepted service"}
        assert "gateway: refused" in box.ssh(f"curl -sk -m 8 https://{NAME}/").out
        assert box.ssh(f"curl -sSf -m 8 http://{NAME}/").code != 0
        start = config.index("      - url: http://host.containers.internal:8001")
        without = config[:start] + config[config.index("      - url: https", start) :]
        save(box, without)
        wait_until(made["another service"].ended)
        assert living(made) == {"a service", "an intercepted service"}
        save(box, config.replace("- url: https://host.containers.internal:8443",
                                 "- url: https://host.containers.internal:8445"))  # fmt: skip
        wait_until(made["an intercepted service"].ended)
        assert living(made) == {"a service"}
    assert box.ids() == before


def test_the_mode_open_ends_nothing_when_it_comes_and_what_it_let_through_when_it_goes(
    open_box: Box,
):
    box, config = open_box, open_box.config_text()
    opened = re.sub("mode: listed\n  allow: .*", "mode: open", config)
    with streams(box) as made:
        save(box, opened)
        assert living(made) == set(STREAMS)
        free = Stream(box, STREAMS["passed through"])
        wait_until(lambda: free.heard > 0)
        save(box, config.replace(f" {NAME},", ""))
        wait_until(lambda: free.ended() and made["passed through"].ended())
        assert living(made) == {"a service", "another service", "an intercepted service"}


def test_only_a_few_old_processes_are_kept(open_box: Box):
    """Each keeps a stream; the oldest go, so that saves can not fill the gateway's memory."""
    box, config = open_box, open_box.config_text()
    count = "cat /proc/[0-9]*/comm 2>/dev/null | grep -c haproxy"
    gateway = ("exec", box.container("coder-gateway"), "bash", "-c", count)
    kept: list[Stream] = []
    try:
        for number in range(6):
            kept.append(Stream(box, STREAMS["a service"]))
            wait_until(lambda: kept[-1].heard > 0)
            level = "debug" if number % 2 else "info"
            save(box, f"{config}log_level: {level}\n")
        # the master, the newest worker and four older ones
        wait_until(lambda: int(box.engine(*gateway)) <= 6)
        assert kept[0].ended()
        assert kept[-1].lives()
    finally:
        for stream in kept:
            stream.close()
