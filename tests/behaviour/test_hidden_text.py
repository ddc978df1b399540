"""What a config looks like is what it means: characters that hide something are refused by name."""

import os
import subprocess

import pytest
import yaml
from desk import AGENT, COMPANION, Desk

HARMLESS = 'name: coder # a note{}egress: open\nruntime: {{base_image: "debian:bookworm-slim"}}\n'
FAITHFUL = "A=👩\u200d💻 naïve\u00a0«x»\u3000a\u200cb"
CUSTOM = '  - plugin: custom-runtime\n    {}: ["{}"]\n'


@pytest.mark.parametrize(
    ("char", "name"),
    [
        ("\u2028", "U+2028 (LINE SEPARATOR)"),
        ("\u2029", "U+2029 (PARAGRAPH SEPARATOR)"),
        ("\x85", "U+0085"),
        ("\r", "U+000D"),
        ("\u202e", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
    ],
)
@pytest.mark.parametrize("file", ["agent.yaml", "fleet.yaml"])
def test_a_comment_that_ends_where_no_editor_shows_it_is_refused(
    desk: Desk, file: str, char: str, name: str
):
    project = desk.project()
    text = HARMLESS.format(char) if file == "agent.yaml" else f"agents: [a] # a{char}shared: {{}}\n"
    (project / file).write_bytes(text.encode())
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1
    assert done.err.startswith(f"error: {file}:1:"), done.err
    assert f"the text is not what it looks like: {name}" in done.err


@pytest.mark.parametrize(
    ("key", "char"),
    [
        ("commands", "\u00a0"),
        ("commands", "\ufeff"),
        ("runtime_volumes", "\u200d"),
        ("commands", "\u2800"),
        ("entrypoint_hooks", "\u3164"),
        ("env", "=\U000e0101"),
    ],
)
def test_a_command_or_path_with_a_character_that_hides_is_refused_by_its_name(
    desk: Desk, key: str, char: str
):
    project = desk.project(AGENT + CUSTOM.format(key, f"./a{char}b:/c"))
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1
    assert f"without U+{ord(char[-1]):04X} (" in done.err


def test_a_value_for_the_agent_keeps_joiners_and_spaces_of_every_kind(desk: Desk):
    project = desk.project(AGENT + CUSTOM.format("env", FAITHFUL))
    desk.companion("-C", str(project), "generate").ok()
    compose = yaml.safe_load((project / ".build/coder/docker-compose.yml").read_text())
    assert compose["services"]["coder"]["environment"]["A"] == FAITHFUL.removeprefix("A=")


def test_a_directory_whose_name_is_not_utf_8_is_refused_before_anything_is_written(desk: Desk):
    directory = desk.project().rename(os.fsdecode(os.fsencode(desk.home) + b"/caf\xe9"))
    for command in (
        ("up",),
        ("generate",),
        ("validate",),
        ("init", str(directory / "new")),
        ("init", "new"),
        ("add",),
        ("run", "codex", "--yes"),
    ):
        done = subprocess.run(
            [COMPANION, "-C", str(directory), *command],
            env=desk.environment,
            cwd=directory,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert b"the name of the directory is not UTF-8" in done.stderr
    assert sorted(path.name for path in directory.iterdir()) == ["agent.yaml", "work"]
    assert not [*desk.home.rglob("project.json"), *desk.home.rglob("last.txt")]
