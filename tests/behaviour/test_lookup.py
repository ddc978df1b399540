"""Commands find their project from where an agent works, and the agent where there is only one."""

import os
import pty
import subprocess
from pathlib import Path

import pytest
from desk import AGENT, COMPANION, Desk
from fake_project import Fake, config

MOUNTING = "    runtime_volumes: ['{}:/srv/code']\n"


def mounting(desk: Desk, directory: Path, name: str = "project") -> Fake:
    """Start a sandbox whose agent works in a directory outside of its project."""
    directory.mkdir(parents=True, exist_ok=True)
    text = config() + MOUNTING.format(directory)
    fake = Fake(desk, desk.project(text.replace("name: coder", f"name: {name}"), name))
    fake.companion("up").ok()
    return fake


@pytest.mark.parametrize("command", ["status", "plan", "exec -- true", "logs", "pause"])
def test_a_command_finds_the_sandbox_from_where_its_agent_works(desk: Desk, command: str):
    code = desk.home / "code/app"
    mounting(desk, code)
    (code / "src").mkdir()
    desk.companion(*command.split(), cwd=code / "src").ok()
    desk.companion("-C", str(code), *command.split()).ok()
    outside = desk.companion(*command.split(), cwd=desk.home / "code")
    assert "there is no agent.yaml in" in outside.err or "is not registered" in outside.err


def test_the_project_in_a_directory_comes_before_who_works_there(desk: Desk):
    mounting(desk, desk.home / "code/app")
    inner = desk.project(AGENT, "code/app")
    told = desk.companion("status", "--json", cwd=inner).ok().agent
    assert told["directory"] == str(inner)


def test_of_two_sandboxes_on_one_directory_the_named_agent_decides(desk: Desk):
    code = desk.home / "code/app"
    mounting(desk, code, "one")
    mounting(desk, code, "two")
    unclear = desk.companion("exec", "--", "true", cwd=code)
    assert unclear.code == 1
    assert "several sandboxes work in" in unclear.err
    assert "one, two" in unclear.err
    desk.companion("exec", "two", "--", "true", cwd=code).ok()
    both = desk.companion("status", "--json", cwd=code).ok().data["agents"]
    assert sorted(one["agent"] for one in both) == ["one", "two"]


def test_the_only_sandbox_of_a_name_is_found_from_anywhere(desk: Desk):
    mounting(desk, desk.home / "code/app", "one")
    elsewhere = desk.home / "elsewhere"
    elsewhere.mkdir()
    desk.companion("exec", "one", "--", "true", cwd=elsewhere).ok()
    assert "no agent.yaml" in desk.companion("logs", cwd=elsewhere).problems[0]
    nowhere = desk.companion("exec", "two", "--", "true", cwd=elsewhere)
    assert "no sandbox is called two" in nowhere.err
    there = desk.companion("-C", str(elsewhere), "exec", "one", "--", "true")
    assert "no agent 'one'" in there.err
    text = (desk.home / "one/agent.yaml").read_text()
    other = Fake(desk, desk.project(text.replace("code/app", "code/other"), "other"))
    (desk.home / "code/other").mkdir()
    other.companion("up").ok()
    unclear = desk.companion("exec", "one", "--", "true", cwd=elsewhere)
    assert "several sandboxes are called one: in" in unclear.problems[0]
    assert f"-C {desk.home}/" in unclear.err


def test_a_sandbox_of_another_project_is_found_by_its_name_from_inside_one(desk: Desk):
    code = desk.home / "code/app"
    project = mounting(desk, code, "one").project
    mounting(desk, desk.home / "code/side", "two")
    for place in (code, project):
        desk.companion("exec", "two", "--", "true", cwd=place).ok()
        told = desk.companion("network", "two", "--json", cwd=place).ok()
        assert told.data["agent"] == "two"
        nobody = desk.companion("network", "three", cwd=place)
        assert "there is no agent 'three' in" in nobody.err
    there = desk.companion("-C", str(code), "exec", "two", "--", "true")
    assert "there is no agent 'two' in" in there.err
    desk.companion("down", "two", cwd=code).ok()
    states = {one["agent"]: one["state"] for one in desk.companion("list", "--json").ok().data}
    assert states == {"one": "running", "two": "stopped"}


@pytest.mark.parametrize("text", [AGENT.replace("coder", "two"), "name: two\nwrong\n"])
def test_a_new_agent_of_a_project_is_never_taken_for_another_ones(desk: Desk, text: str):
    mounting(desk, desk.home / "code/side", "two")
    new = desk.project(text, "new")
    assert desk.companion("down", "two", cwd=new).code != 0
    assert desk.companion("list", "--json").ok().data[0]["state"] == "running"


def test_an_agent_must_be_named_where_there_are_several(desk: Desk):
    fleet = desk.home / "team"
    for name in ("one", "two"):
        desk.project(AGENT.replace("coder", name), f"team/{name}")
    (fleet / "fleet.yaml").write_text("agents: [one, two]\n")
    done = desk.companion("logs", cwd=fleet)
    assert (done.code, "has several agents: one, two" in done.err) == (2, True)


@pytest.mark.parametrize("before", ["*.pyc", "*.pyc\r\nbuild/\r\n", "", ".env\n# mine\n"])
def test_init_adds_to_a_gitignore_and_keeps_each_byte(desk: Desk, before: str):
    repository = desk.home / "app"
    (repository / ".git").mkdir(parents=True)
    ignore = repository / ".gitignore"
    ignore.write_bytes(before.encode() + b"\xff\n")
    said = desk.companion("init", "--name", "helper", "--runtime", "codex", cwd=repository).ok().out
    assert "companion run" in said
    assert ignore.read_bytes().startswith(before.encode() + b"\xff\n")
    lines = [line.strip() for line in ignore.read_bytes().split(b"\n")]
    assert [lines.count(one) for one in (b".build/", b".env")] == [1, 1]
    assert {path.name for path in repository.glob(".gitignore*")} == {".gitignore"}


def test_init_writes_through_no_link_of_a_repository(desk: Desk):
    repository, theirs = desk.home / "app", desk.home / ".bashrc"
    (repository / ".git").mkdir(parents=True)
    theirs.write_text("mine\n")
    (repository / ".gitignore").symlink_to(theirs)
    done = desk.companion("init", cwd=repository)
    assert (done.code, "is a symbolic link" in done.err) == (1, True)
    assert theirs.read_text() == "mine\n"


def edit(
    desk: Desk, program: str, *arguments: str, cwd: Path
) -> "subprocess.CompletedProcess[str]":
    """Edit on a terminal with a program as the user's editor."""
    _, theirs = pty.openpty()
    editor = desk.home / "my editor"
    editor.write_text(f"#!/bin/sh\n{program}\n")
    editor.chmod(0o755)
    environment = desk.environment | {"EDITOR": f"'{editor}' --wait", "VISUAL": ""}
    try:
        return subprocess.run(
            [COMPANION, "edit"],
            env=environment, cwd=cwd, stdin=theirs, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(theirs)


def test_edit_opens_agent_yaml_and_reports_what_is_wrong_with_it(desk: Desk):
    project = desk.project()
    done = edit(desk, 'echo "$@" >seen; echo "limits: {pids: 99}" >>"$2"', cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert (desk.home / "seen").read_text() == f"--wait {project}/agent.yaml\n"
    assert "is valid" in done.stdout
    broken = edit(desk, 'echo "limitz: 1" >>"$2"', cwd=project)
    assert broken.returncode == 1
    assert "agent.yaml:7:1" in broken.stderr
    edit(desk, 'sed -i /limitz/d "$2"', cwd=project)
    desk.companion("-C", str(project), "validate").ok()


def test_edit_starts_no_program_that_lies_in_a_project(desk: Desk):
    project = desk.project(AGENT, own="#!/bin/sh\ntouch owned\n")
    (project / "own").chmod(0o755)
    desk.environment["PATH"] = f"{project}:{desk.environment['PATH']}"
    desk.environment["EDITOR"] = "own"
    _, theirs = pty.openpty()
    done = subprocess.run([COMPANION, "edit"], env=desk.environment, cwd=project, stdin=theirs,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "could not be started" in done.stderr
