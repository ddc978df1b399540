"""What of a sandbox's output is shown, and in which order?"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import pytest

from companion.engine.driver import Driver
from companion.engine.model import Command, Container
from companion.operations import container_logs, log_text
from companion.operations.container_logs import Line
from companion.operations.log_noise import is_noise
from companion.spec.identity import Role
from companion.system.talk import PART

LOGIN = (
    "Accepted publickey for agent from 10.231.0.36 port 48418 ssh2: ED25519 SHA256:yniWbVtPz4ZJf"
)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        (Role.AGENT, "Server listening on :: port 2222."),
        (Role.AGENT, LOGIN),
        (Role.AGENT, "Disconnected from user agent 10.231.0.36 port 45444"),
        (Role.AGENT, "kex_exchange_identification: Connection closed by remote host"),
        (Role.AGENT, "Attempt to write login records by non-root user (aborting)"),
        (Role.GATEWAY, "[NOTICE]   (24) : New worker (27) forked"),
        (Role.GATEWAY, "tls pypi.org port=443 to=any why=ok bytes=1/2 ms=3 term=--"),
        (Role.GATEWAY, "tls a.test port=443 to=intercept why=intercepted bytes=1/2 ms=3 term=--"),
        (Role.INGRESS, "in port=2222 bytes=1784/2441 ms=234 term=--"),
    ],
)
def test_routine_is_left_out(role: Role, text: str):
    assert is_noise(role, text)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        (Role.AGENT, f"my program says: {LOGIN}"),
        (Role.AGENT, "agent: sshd ended with exit code 1"),
        (Role.AGENT, "tls pypi.org port=443 to=any why=ok bytes=1/2 ms=3 term=--"),
        (Role.GATEWAY, "tls astral.sh port=443 to=tls why=egress bytes=1/2 ms=3 term=PR"),
        (Role.GATEWAY, "[ALERT]    (27) : the server does not answer"),
        (Role.GATEWAY, "gateway: resolver ended with exit code 1"),
    ],
)
def test_what_matters_is_shown(role: Role, text: str):
    assert not is_noise(role, text)


def test_what_is_refused_many_times_is_one_line_that_says_so():
    refused = "tls a.test port=443 to=refused why=egress bytes={}/2 ms=3 term=--"
    texts = [refused.format(1), refused.format(2), "other", "other"]
    lines = [Line(n * 10**9, "gateway", Role.GATEWAY, text) for n, text in enumerate(texts)]
    said = [text.partition("| ")[2] for text in log_text.all_shown(lines, 7)]
    again = f"{datetime.fromtimestamp(1).astimezone():%Y-%m-%d %H:%M:%S}"
    assert said == [f"a.test refused: not in the egress list (2 times until {again})", *texts[2:]]
    raw = [text.partition("| ")[2] for text in log_text.all_shown(lines, 7, raw=True)]
    assert raw == texts


def test_lines_of_all_containers_come_in_the_order_of_time(tmp_path):
    said = {
        "a": ["2026-11-26T21:44:25.2Z two", "no time", "2026-11-26T21:44:26Z three"],
        "b": ["2026-11-26T22:44:25.100000001+01:00 one", "2026-99-26T21:44:25Z odd"],
    }
    each = [list(container_logs.lines_of(name, Role.AGENT, texts)) for name, texts in said.items()]
    merged = container_logs.in_order(each)
    assert [line.text for line in merged] == ["one", "odd", "two", "no time", "three"]
    assert merged[0].at == 1795729465_100000001


def test_no_part_of_a_long_line_is_taken_for_a_time():
    long = f"2026-11-26T21:44:25Z {'x' * PART}"
    parts = [long[:PART], "9999-12-31T23:59:59-23:00 forged", "9999-12-31T23:59:59Z later"]
    lines = list(container_logs.lines_of("a", Role.AGENT, parts))
    assert lines[1].text == parts[1]
    assert lines[1].at == lines[0].at
    assert lines[2].at <= time.time_ns() + 86400 * 10**9


@dataclass
class Slow:
    """An engine on which the older line comes later, as from the second of two logs."""

    def log(self, container: str, **_: object) -> Command:
        second, delay = ("26", 0) if container == "1" else ("25", 0.1)
        script = f"sleep {delay}; echo 2026-11-26T21:44:{second}Z at {second}"
        return Command(("sh", "-c", script), {})


def test_a_log_that_is_followed_begins_in_the_order_of_time():
    both = [
        Container(name, name, "p", name, name, Role.AGENT, "", True, "", 0, False, "", "")
        for name in ("1", "2")
    ]
    with container_logs.followed(cast("Driver", Slow()), both) as lines:
        assert [line.text for line in lines] == ["at 25", "at 26"]


@dataclass
class Flood:
    """An engine whose every container talks without end."""

    def log(self, *_: str, **__: object) -> Command:
        return Command(("sh", "-c", "while :; do echo x; done"), {})


def test_no_thread_is_left_of_a_log_that_is_read_no_further():
    before = set(threading.enumerate())
    agent = Container("1", "1", "p", "agent", "a", Role.AGENT, "", True, "", 0, False, "", "")
    with container_logs.followed(cast("Driver", Flood()), [agent]) as lines:
        assert next(lines).text == "x"
        time.sleep(0.2)  # more has come than is kept
    del lines
    for left in set(threading.enumerate()) - before:
        left.join(timeout=60)
        assert not left.is_alive()
