"""Real shells complete our command line: commands, options, choices, agents, else files."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
from desk import COMPANION, Desk

from companion.cli.commands.completion import candidates
from companion.cli.parser import COMMANDS

SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}
BEGIN = {"bash": "", "zsh": "autoload -Uz compinit; compinit -u -D;"}
# What is typed, and what stands there after a Tab.
TYPED = {
    "companion keys ro": "companion keys rotate ",
    "companion keys rotate cod": "companion keys rotate coder ",
    "companion -C . logs cod": "companion -C . logs coder ",
    "companion logs coder --fol": "companion logs coder --follow ",
    "companion open coder --in codi": "companion open coder --in codium ",
    "companion keys add coder my": "companion keys add coder my.pub ",
}


def words(text: str, *agents: str) -> list[str]:
    return [word for word, _ in candidates(text.split(" "), lambda _: agents)]


def test_every_command_is_offered_and_each_of_its_options():
    assert words("") == [command.name for command in COMMANDS]
    assert words("logs coder -") == ["-f", "--follow", "-C", "--dir", "--json"]
    assert words("--v") == ["--version"]


def test_what_comes_next_is_known_by_what_stood_before():
    assert words("keys ") == ["list", "add", "remove", "rotate"]
    assert words("-C /else --json keys list c", "coder", "critic") == ["coder", "critic"]
    assert words("up coder ", "coder", "critic") == ["coder", "critic"]
    assert words("open coder --in ze") == ["zed"]
    for unknown in (
        "nope ",
        "-C ",
        "ssh coder -- l",
        "ssh coder ls ",
        "keys add coder ",
        "status x",
    ):
        assert words(unknown, "coder") == []


def test_agents_are_asked_of_the_directory_that_is_named():
    asked: list[str] = []
    candidates(["-C", "elsewhere", "logs", ""], lambda where: asked.append(where) or ())
    assert asked == ["elsewhere"]


@pytest.fixture
def project(desk: Desk) -> Path:
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    (project / "my.pub").write_text("")
    desk.environment |= {
        "PATH": f"{COMPANION.parent}:{desk.environment['PATH']}",
        "HISTFILE": "/dev/null",
        "TERM": "dumb",
    }
    return project


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_completes(desk: Desk, project: Path, shell: str):
    with Terminal(SHELLS[shell], desk, project) as terminal:
        terminal.write(f"{BEGIN[shell]} source <(companion completions {shell}); echo rea''dy\n")
        terminal.wait_for("ready")
        for typed, whole in TYPED.items():
            terminal.write(f"{typed}\t")
            terminal.wait_for(whole)
            terminal.write("\x15")


def test_fish_completes(desk: Desk, project: Path):
    for typed, whole in TYPED.items():
        script = f"companion completions fish | source; complete -C '{typed}'"
        said = run_fish(desk, project, script)
        assert said.split("\t")[0].strip() == whole.split()[-1]
    assert run_fish(
        desk, project, "companion completions fish | source; complete -C 'companion k'"
    ) == ("keys\tlist, add or remove keys that may log in; rotate our own\n")


def run_fish(desk: Desk, project: Path, script: str) -> str:
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=desk.environment, cwd=project, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_tab_costs_no_library(desk: Desk):
    code = (
        "import sys; from companion.cli.main import main;"
        "main(['completions', 'bash', '--words']);"
        "heavy = {'pydantic', 'yaml', 'paramiko', 'watchdog', 'cryptography', 'pystray'};"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    argv = [COMPANION.parent / "python", "-c", code]
    subprocess.run(argv, input=b"logs\n\n", env=desk.environment, check=True, capture_output=True)


class Terminal:
    """A program on a terminal of its own, and everything that it showed."""

    def __init__(self, argv: list[str], desk: Desk, directory: Path) -> None:
        self._shown = ""
        self._leader, follower = pty.openpty()
        self._child = subprocess.Popen(
            argv, env=desk.environment, cwd=directory, start_new_session=True,
            stdin=follower, stdout=follower, stderr=follower,
        )  # fmt: skip
        os.close(follower)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._leader)

    def write(self, text: str) -> None:
        self._shown = ""
        os.write(self._leader, text.encode())

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 30
        while text not in self._shown:
            assert time.monotonic() < end, f"{text!r} is not in {self._shown!r}"
            if select.select([self._leader], [], [], 0.1)[0]:
                self._shown += os.read(self._leader, 4096).decode(errors="replace")
