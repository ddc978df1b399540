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

from companion.cli.catalogue import COMMANDS

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


def ask(desk: Desk, line: str, shell: str = "bash", *argv: str | Path) -> tuple[list[str], str]:
    """Return what companion answers a shell's script, in argcomplete's protocol, and its stderr."""
    answer = desk.home / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": shell, "_ARGCOMPLETE_IFS": "\n",
             "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
             "COMP_LINE": f"companion {line}", "COMP_POINT": str(len(line) + 10)}  # fmt: skip
    done = subprocess.run(
        argv or [COMPANION], env=desk.environment | asked, cwd=desk.home, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return [word for word in answer.read_text().split("\n") if word], done.stderr


def words(desk: Desk, line: str, shell: str = "bash") -> list[str]:
    return ask(desk, line, shell)[0]


def test_every_command_is_offered_and_each_of_its_options(desk: Desk):
    assert words(desk, "") == [command.name for command in COMMANDS]
    options = ["-f", "--follow", "-C", "--dir", "--json", "-h", "--help"]
    assert words(desk, "network coder -") == options
    assert words(desk, "--v") == ["--version"]


def test_the_answer_follows_from_the_words_before(desk: Desk):
    desk.companion("-C", str(desk.project()), "generate").ok()
    assert words(desk, "keys ") == ["list", "add", "remove", "rotate", "signing"]
    assert "coder" in words(desk, "-C project --json keys list ")
    assert words(desk, "logs -C project c") == ["coder"]
    assert words(desk, "-C . logs ") == []
    assert words(desk, "-C project up coder ") == ["coder"]
    assert words(desk, "open coder --in ze") == ["zed"]
    assert words(desk, "help stat") == ["status"]
    for theirs in ("nope x", "ssh coder -- --j", "exec coder ls --j", "compose ps --j"):
        assert words(desk, theirs) == []


def test_a_place_for_copies_is_an_agent_or_a_file(desk: Desk):
    desk.companion("-C", str(desk.project()), "generate").ok()
    (desk.home / "shot.png").write_text("")
    assert words(desk, "-C project port ") == ["coder"]
    assert words(desk, "-C project cp s") == ["shot.png"]
    assert "coder:" in words(desk, "-C project cp shot.png co")


def test_powershell_gets_a_script_and_its_answers(desk: Desk):
    script = desk.companion("completions", "powershell").ok().out
    assert "Register-ArgumentCompleter -Native -CommandName companion" in script
    assert words(desk, "keys ro", "powershell") == ["rotate"]


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
    ) == ("keys\tmanage login keys; print the key that signs commits\n")


def run_fish(desk: Desk, project: Path, script: str) -> str:
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=desk.environment, cwd=project, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_tab_costs_no_library(desk: Desk):
    desk.companion("-C", str(desk.project()), "generate").ok()
    python = COMPANION.parent / "python"
    found, imported = ask(
        desk, "-C project logs ", "bash", python, "-X", "importtime", "-m", "companion"
    )
    assert found == ["coder"]
    modules = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "argcomplete" in modules
    heavy = {"pydantic", "yaml", "paramiko", "watchdog", "cryptography", "pystray"}
    assert not heavy & modules


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
