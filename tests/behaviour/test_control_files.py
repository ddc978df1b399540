"""Files that control an agent are part of no sandbox, and what we write follows no link."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import AGENT, CANARY, Desk
from fake_project import fresh

CUSTOM = AGENT + "  - plugin: custom-runtime\n"
HOOK = CUSTOM + "    entrypoint_hooks: [{}]\n"
KEYS = AGENT + "    authorized_keys: {}\n"
HOST_KEY = AGENT + "    host_key: {}\n"
HOME = CUSTOM + "    home_override: {}\n"
OTHER = "name: other\nruntime: codex\negress: listed\n"


def link(place: str, target: str) -> Callable[[Path], None]:
    return lambda project: (project / place).symlink_to(target)


def same_file(place: str, of: str) -> Callable[[Path], None]:
    return lambda project: os.link(project / of, project / place)


def nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("text", "named", "prepare", "why"),
    [
        (HOOK, "hooks/start.sh", link("hooks/start.sh", "../.env"), "leads to .env, which is kept"),
        (KEYS, "keys.pub", link("keys.pub", ".env"), "leads to .env, which is kept"),
        (HOST_KEY, ".env", nothing, "is .env, which is kept"),
        (HOOK, "hooks/start.sh", same_file("hooks/start.sh", ".env"), "is .env, which is kept"),
        (HOOK, "hooks/x", same_file("hooks/x", "work/x"), "has several names (hard links)"),
        (HOME, "home", same_file("home/x", "work/x"), "home/x has several names (hard links)"),
        (HOME, "inner", nothing, "inner/agent.yaml, which configures another agent"),
        (HOOK, "inner/start.sh", nothing, "inner, which is another project"),
        (HOOK, "hooks/x", link("hooks/x", "../inner/.env"), "inner/.env, which configures another"),
        (HOOK, ".git/config", nothing, "lies in .git, which is kept"),
        (HOOK, "hooks/x", link("hooks/x", "../.build/x"), "lies in .build, which is kept"),
        (HOOK, "agent.yaml", nothing, "is agent.yaml, which is kept"),
        (HOST_KEY.replace("{}", "key") + HOOK.partition("  - plugin: ssh\n")[2], "key", nothing,
         "'key' is key, which is a private key"),
    ],
)  # fmt: skip
def test_what_controls_an_agent_is_never_part_of_a_sandbox(
    desk: Desk, text: str, named: str, prepare: Callable[[Path], None], why: str
):
    project = desk.project(text.replace("{}", named), __env=f"KEY={CANARY}\n", key="a key\n")
    for name in ("hooks", "home", ".git", ".build", "inner"):
        (project / name).mkdir()
    for name in ("work/x", ".git/config", ".build/x", "inner/start.sh"):
        (project / name).write_text("true\n")
    inner = desk.project(OTHER, name="project/inner", __env=f"KEY={CANARY}\n")
    desk.companion("add", str(inner)).ok()
    prepare(project)
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1, done.out
    assert why in done.err
    assert f"agent.yaml:{project.joinpath('agent.yaml').read_text().count(chr(10))}:" in done.err
    assert desk.companion("-C", str(project), "generate").code == 1
    assert not list((project / ".build").rglob("*.sh"))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda env, secret: env.symlink_to(secret), "leads to {}, out of the project"),
        (lambda env, secret: os.link(secret, env), ".env has several names (hard links)"),
        (lambda env, _: os.mkfifo(env), ".env is a special file"),
        (lambda env, _: env.mkdir(), ".env is a directory"),
    ],
)
def test_secrets_are_read_from_a_plain_file_of_the_project_only(
    desk: Desk, make: Callable[[Path, Path], None], why: str
):
    other = desk.project(OTHER, name="other", __env=f"KEY={CANARY}\n")
    project = desk.project()
    make(project / ".env", other / ".env")
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1, done.out
    assert why.format(other / ".env") in done.err
    assert done.problems[0].startswith(".env:1:1: ")


@pytest.mark.parametrize("command", [("schema", "--write"), ("generate",), ("up",)])
def test_no_generated_file_is_written_through_a_link(desk: Desk, command: tuple[str, ...]):
    project, victim = fresh(desk).project, desk.home / "victim"
    victim.mkdir()
    (project / ".build").symlink_to(victim)
    done = desk.companion("-C", str(project), *command)
    assert done.code == 1, done.out
    assert f"{project}/.build is a symbolic link" in done.err
    assert not list(victim.iterdir())


def test_a_config_behind_a_link_gets_no_schema_comment(desk: Desk):
    project, victim = desk.project(), desk.home / "victim.yaml"
    victim.write_text(AGENT)
    (project / "agent.yaml").unlink()
    (project / "agent.yaml").symlink_to(victim)
    done = desk.companion("-C", str(project), "schema", "--write")
    assert done.code == 1, done.out
    assert f"{project}/agent.yaml is a symbolic link" in done.err
    assert victim.read_text() == AGENT
    assert not (project / ".build").exists()


@pytest.mark.parametrize("name", ["work", ".build", ".gitignore", "agent.yaml", "home"])
def test_init_in_a_clone_follows_no_link_of_it(desk: Desk, name: str):
    clone, victim = desk.home / "clone", desk.home / "victim"
    victim.mkdir()
    subprocess.run(["git", "init", "-q", desk.home / "origin"], check=True)
    (desk.home / "origin" / name).symlink_to(victim / "file" if "." in name[1:] else victim)
    git = ["git", "-C", str(desk.home / "origin"), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "add", "-f", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "links"], check=True)
    subprocess.run(["git", "clone", "-q", desk.home / "origin", clone], check=True)
    before = victim.stat()
    done = desk.companion("init", str(clone), "--example", "local-coding")
    assert done.code == 1, done.out
    assert f"{clone}/{name} is a symbolic link" in done.err
    assert sorted(p.name for p in clone.iterdir()) == sorted((".git", name))
    assert not list(victim.iterdir())
    assert victim.stat().st_uid == before.st_uid


def test_the_list_of_variables_leaves_a_link_of_the_users_alone(desk: Desk):
    needs = AGENT + (
        "  - plugin: external-services\n    services:\n"
        '      - {url: "https://api.example.com", headers: {X-Key: "${KEY}"}}\n'
    )
    project, target = desk.project(needs, __env="KEY=x\n"), desk.home / "target"
    (project / ".env.example").symlink_to(target)
    desk.companion("-C", str(project), "generate").ok()
    assert not target.exists()
    assert (project / ".env.example").is_symlink()
