"""Long work shows on a terminal what is under way, and elsewhere plain lines."""

import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from desk import COMPANION, Desk
from fake_project import Fake, fresh

from companion.cli import style
from companion.cli.live import Task, duration, frame

SAID = [
    "STEP 3/9: RUN apt-get update",
    "Get:1 \x1b]0;owned\x07 \x1b[2J InRelease",
]
SECONDS = 30


class Screen:
    """A command on a terminal of its own, and all that it wrote there."""

    def __init__(
        self, fake: Fake, *words: str, size: tuple[int, int] | None = None, **variables: str
    ) -> None:
        self.text = ""
        self._end, child = pty.openpty()
        if size:
            termios.tcsetwinsize(child, size)
        environment = fake.desk.environment | {"TERM": "xterm", "COLUMNS": "80"} | variables
        argv = [COMPANION, "-C", fake.project, *words]
        streams = {"stdin": child, "stdout": child, "stderr": child}
        self.process = subprocess.Popen(argv, env=environment, cwd=fake.desk.home, **streams)
        os.close(child)

    def until(self, pattern: str) -> str:
        """Return all that was written, once it holds a text that matches."""
        late = time.monotonic() + SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < late, self.text
            assert self._read(), f"it ended before it wrote {pattern}: {self.text}"
        return self.text

    def ends(self) -> int:
        while self._read():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._end], [], [], 0.2)
        with suppress(OSError):  # its other end is closed
            if not ready:
                return True
            part = os.read(self._end, 65536)
            self.text += part.decode(errors="replace")
            return bool(part)
        return False


@contextmanager
def building(
    desk: Desk, *words: str, size: tuple[int, int] | None = None, **variables: str
) -> Iterator[tuple[Fake, Screen]]:
    """Start `up` on a terminal, with a build that says something and then waits."""
    fake = fresh(desk)
    fake.companion("plan").ok()
    fake.set(hold=["build"], says=SAID)
    screen = Screen(fake, "up", *words, size=size, **variables)
    try:
        yield fake, screen
    finally:
        fake.set(hold=[])
        screen.process.kill()


def test_a_terminal_shows_the_step_its_time_and_the_last_line_of_the_tool(desk: Desk):
    with building(desk) as (fake, screen):
        screen.until(r"InRelease")
        screen.until(r"building the gateway image[^\n]*  1\.\d s")  # it is never silent
        assert "step 3/9: RUN apt-get update" in screen.text
        assert "\x07" not in screen.text
        assert "\x1b[2J" not in screen.text
        fake.set(hold=[])
        assert screen.ends() == 0
    *_, last = screen.text.replace("\r", "").strip().splitlines()
    assert re.fullmatch(r"(\x1b\[[\dJmA;]*)*coder is running: 2 built, 4 started, [\d.]+ s", last)
    assert re.search(r"building the agent image: [^\n]*\r?\n", screen.text)


def test_what_is_drawn_fits_the_terminal_whatever_columns_says(desk: Desk):
    with building(desk, size=(24, 50), COLUMNS="200") as (fake, screen):
        screen.until(r"building the gateway image[^\n]*  1\.\d s")
        fake.set(hold=[])
        assert screen.ends() == 0
    drawn = re.findall(r"\x1b\[J(\x1b\[36m[^\r\n]+)", screen.text)
    assert 40 < max(map(style.width, drawn)) < 50


def test_a_row_has_one_line_however_narrow_the_terminal_is(desk: Desk):
    config = "name: coder\nruntime: codex\negress: listed\n"
    fake = Fake(desk, desk.project(config, name="a-project-with-a-long-name"))
    fake.companion("up").ok()
    line = "http companion.internal port=80 GET /attention/waiting status=204 why=attention-waiting"
    fake.set(said=f"2030-01-01T00:00:00.000000000Z {line} bytes=10/20 ms=1 term=--\n")
    screen = Screen(fake, "list", size=(24, 40), COLUMNS="40")
    assert screen.ends() == 0
    lines = re.sub(r"\x1b\[[\d;]*m|\r", "", screen.text).splitlines()
    assert max(map(len, lines)) == 40
    assert "running, waits f…" in lines[1]


def test_sentences_break_between_words_and_commands_stay_whole(desk: Desk):
    fake = fresh(desk)
    screen = Screen(fake, "exec", size=(24, 40), COLUMNS="40")
    assert screen.ends() == 1
    lines = re.sub(r"\x1b\[[\d;]*m|\r", "", screen.text).splitlines()
    assert lines == [
        "error: there is no agent 'coder' in",
        f"  {fake.project}",
        "tip: start it with `companion up`",
    ]


def test_raw_output_is_whole_lines_and_nothing_is_drawn_over(desk: Desk):
    with building(desk, "-v") as (fake, screen):
        screen.until(r"Get:1 \\x1b\]0;owned\\x07")
        fake.set(hold=[])
        assert screen.ends() == 0
    assert "\x1b[J" not in screen.text


def test_without_a_terminal_steps_are_plain_lines(desk: Desk):
    fake = fresh(desk)
    fake.companion("plan").ok()
    fake.set(says=SAID)
    lines = fake.companion("up").ok().err.splitlines()
    assert "building the gateway image: its definition has no gateway image yet" in lines
    assert "  step 3/9: RUN apt-get update" in lines
    assert not [line for line in lines if "Get:1" in line or "\x1b" in line]


def test_no_line_of_a_frame_is_wider_or_higher_than_the_terminal(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    step, said = "building 構築する " * 9, "取得 " * 80
    tasks = [Task(f"a{n}: ", step, "step 3/9", said, 0.0) for n in range(9)]
    for columns, rows in ((80, 24), (40, 24), (100, 8)):
        lines = frame(tasks, 75.0, columns, rows)
        assert len(lines) < rows
        assert all(style.width(line) < columns for line in lines)
        assert "1 min 15 s" in lines[0]
    assert (duration(0.44), duration(12.9), duration(3601)) == ("0.4 s", "12 s", "60 min 1 s")


BROKEN = """\
name: coder
runtime: {base_image: "debian:bookworm-slim"}
container_runtime: podman
egress: listed
packages:
  - jq
  - tree
  - ripgrepp
features:
  - plugin: custom-runtime
    commands:
      - echo fine
      - make it
"""
INSTALL = "apt-get update && apt-get install -y --no-install-recommends -- tree ripgrepp"


@pytest.mark.parametrize(
    ("command", "said", "place"),
    [
        (INSTALL, "E: Unable to locate package ripgrepp", "agent.yaml:8:5"),
        (INSTALL, "E: You have held broken packages", "agent.yaml:5:1"),
        ("make it", "make: *** No rule to make target", "agent.yaml:13:9"),
    ],
)
def test_a_failed_build_names_the_place_and_keeps_its_log(
    desk: Desk, command: str, said: str, place: str
):
    fake = fresh(desk)
    fake.companion("up").ok()
    (fake.project / "agent.yaml").write_text(BROKEN)
    step = f"STEP 5/9: RUN {json.dumps(['/bin/sh', '-ec', command])}"
    fake.set(refuse=["build"], says=[step, said, 'Error: building at STEP "RUN": exit status 1'])
    done = fake.companion("up")
    assert done.code == 1
    assert done.err.splitlines()[-4:] == [
        f"error: {place}: the agent image could not be built:",
        f"  {said}",
        "  the previous version is still running",
        "tip: `companion logs coder --build` shows all that was printed",
    ]
    assert said in fake.companion("logs", "--build").ok().out
    (log,) = desk.paths.projects.glob("*/coder/build.log")
    assert log.stat().st_mode & 0o777 == 0o600
    (problem,) = json.loads(fake.companion("up", "--json").out)["problems"]
    assert (problem["code"], f"agent.yaml:{problem['line']}") == ("rolled-back", place[:-2])


@pytest.mark.parametrize("said", ["a\tb" * 60, "\xad" * 200, "\u0601" * 200])
def test_no_line_is_wider_than_it_is_counted(monkeypatch, said: str):
    monkeypatch.setenv("NO_COLOR", "1")
    *_, last = frame([Task("", "building", "", said, 0.0)], 75.0, 80, 24)
    assert "\t" not in last
    assert len(last) < 80


def test_a_name_is_never_cut_however_narrow_the_terminal_is(desk: Desk):
    name = "a-name-that-must-be-typed"
    project = desk.project(f"name: {name}\nruntime: codex\n", name="deep" * 12)
    desk.companion("add", str(project)).ok()
    screen = Screen(Fake(desk, project), "list", COLUMNS="60")
    assert screen.ends() == 0
    assert re.search(rf"^{name} +codex .*…", screen.text, re.MULTILINE)
