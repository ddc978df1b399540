"""Mounts are judged by what they are, whatever they are called."""

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from desk import AGENT, COMPANION, ROOT, Desk

MOUNT = AGENT + "  - plugin: custom-runtime\n    runtime_volumes: ['{}']\n"
USER = 1000
"""Agents of root run as this user."""


def said(desk: Desk, volume: str, **environment: str) -> str:
    """Return what is said of a mount; "" if it is allowed."""
    desk.environment |= environment
    done = desk.companion("-C", str(desk.project(MOUNT.replace("{}", volume))), "validate")
    assert done.code in {0, 1}, done.err
    if done.code:
        assert done.problems[0].startswith("agent.yaml:7:23: ")
    return done.err


@contextmanager
def listening(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield


@pytest.fixture
def home(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The desk's home; paths of sockets must be short, so they are bound relative to it."""
    monkeypatch.chdir(desk.home)
    return desk.home


SOCKETS = "where programs of the desktop have their sockets"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("/tmp", SOCKETS),
        ("//tmp", SOCKETS),
        ("/srv/../tmp", SOCKETS),
        ("/var/tmp", SOCKETS),
        ("{home}/tmpdir", SOCKETS),
        ("{home}/runtime", SOCKETS),
        ("/var", "belongs to the system"),
    ],
)
def test_where_programs_of_the_desktop_have_their_sockets_is_never_mounted(
    desk: Desk, source: str, why: str
):
    """An agent that could reach the desktop's tmux would run commands there."""
    for name in ("tmpdir/mine", "runtime"):
        (desk.home / name).mkdir(parents=True)
    where = source.format(home=desk.home)
    own = {"TMPDIR": f"{desk.home}/tmpdir", "XDG_RUNTIME_DIR": f"{desk.home}/runtime"}
    assert why in said(desk, f"{where}:/srv/x", **own)
    assert why in said(desk, f"{where}:/srv/x:ro", **own)
    assert said(desk, f"{desk.home}/tmpdir/mine:/srv/x", **own) == ""


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("bin", "is {home}/bin"),
        (".local/bin", "is {home}/.local/bin"),
        ("tools/mine", "is {home}/tools/mine"),
        ("link", "is {home}/tools/mine"),
        ("tools", "contains {home}/tools/mine"),
    ],
)
def test_where_the_desktop_looks_for_programs_is_mounted_read_only_at_most(
    desk: Desk, source: str, how: str
):
    for name in ("bin/mine", ".local/bin", "tools/mine"):
        (desk.home / name).mkdir(parents=True)
    (desk.home / "link").symlink_to("tools/mine")
    path = {"PATH": f"{desk.home}/link:{desk.environment['PATH']}"}
    mount = f"{desk.home}/{source}:/srv/x"
    text = said(desk, mount, **path)
    assert f"{how.format(home=desk.home)}, where your shell looks for programs" in text
    assert f"mount it read-only: {mount}:ro" in text
    assert said(desk, f"{mount}:ro", **path) == ""
    assert said(desk, f"{desk.home}/bin/mine:/srv/x", **path) == "", "not on PATH itself"


def test_a_repository_with_a_virtual_environment_on_path_is_mounted_as_ever(desk: Desk):
    for name in ("app/.git", "app/.venv/bin"):
        (desk.home / name).mkdir(parents=True)
    path = {"PATH": f"{desk.home}/app/.venv/bin:{desk.environment['PATH']}"}
    assert said(desk, f"{desk.home}/app:/srv/x", **path) == ""


@pytest.mark.parametrize("source", ["/usr/local/lib", "/opt", "/srv", "/var/lib"])
def test_the_system_is_mounted_read_only_at_most(desk: Desk, source: str):
    text = said(desk, f"{source}:/srv/x")
    if source != "/var/lib":  # holds engines' storage
        assert f"'{source}' belongs to the system" in text
        assert f"mount it read-only: {source}:/srv/x:ro" in text
        assert said(desk, f"{source}:/srv/x:ro") == ""
    else:
        assert "belongs to the system" in said(desk, f"{source}:/srv/x:ro")


@pytest.mark.parametrize("mode", ["", ":ro"])
@pytest.mark.parametrize(
    "source", [ROOT, ROOT / "companion", ROOT / "companion/cli", ROOT / "ssh", sys.prefix]
)
def test_what_runs_companion_is_never_mounted(desk: Desk, source: Path, mode: str):
    assert "which runs Companion itself" in said(desk, f"{source}:/srv/x{mode}")


def test_the_program_that_starts_companion_lies_in_no_mount(desk: Desk):
    programs = desk.home / "programs"
    programs.mkdir()
    (programs / "companion").symlink_to(COMPANION)
    with_programs = f"{programs}:{desk.environment['PATH']}"
    assert "programs/companion, which runs" in said(desk, f"{programs}:/x", PATH=with_programs)


@pytest.mark.parametrize("known_by", ["DOCKER_HOST", "CONTAINER_HOST", "context", "connection"])
def test_a_directory_with_an_engines_socket_is_never_mounted(desk: Desk, known_by: str):
    endpoint = desk.home / "engines/here.sock"
    endpoint.parent.mkdir()
    address = f"unix://{endpoint}"
    for file, value in {
        "context": (
            ".docker/contexts/meta/a1/meta.json", {"Endpoints": {"docker": {"Host": address}}}
        ),
        "connection": (
            ".config/containers/podman-connections.json",
            {"Connection": {"Connections": {"vm": {"URI": address}}}},
        ),
    }.items():  # fmt: skip
        if file == known_by:
            path = desk.home / value[0]
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(value[1]))
    environment = {known_by: address} if known_by.isupper() else {}
    text = said(desk, f"{desk.home}/engines:/srv/x:ro", **environment)
    assert f"contains {endpoint}, where a container engine listens" in text
    (desk.home / ".docker/certs").mkdir(parents=True)
    assert ".docker, which controls a container" in said(desk, f"{desk.home}/.docker/certs:/srv/x")


def test_a_directory_in_which_a_program_listens_is_not_mounted(desk: Desk, home: Path):
    with listening(Path("data/deep/er/app.sock")), listening(Path("data2/it")):
        text = said(desk, f"{home}/data:/srv/x")
        assert f"contains {home}/data/deep/er/app.sock, where a program" in text
        assert f"{home}/data2/it" in said(desk, f"{home}/data2:/srv/x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to the agent's user")
def test_sockets_that_the_agent_left_in_a_mount_do_not_keep_it_from_starting(
    desk: Desk, home: Path
):
    with listening(Path("data/agents")), listening(Path("data2/roots")):
        os.chown("data/agents", USER, USER)
    assert said(desk, f"{home}/data:/srv/x") == ""
    assert "data2/roots, where a program" in said(desk, f"{home}/data2:/srv/x")


def test_an_absolute_socket_is_found_however_deep_it_lies(desk: Desk, home: Path):
    deep = home / "data" / "/".join("abcdefg")
    deep.mkdir(parents=True)
    short = Path(f"/tmp/companion-test-{os.getpid()}")
    short.symlink_to(deep)
    try:
        with listening(short / "s"):
            assert f"contains {deep}/s, where" in said(desk, f"{home}/data:/srv/x")
    finally:
        short.unlink()


@pytest.mark.parametrize(
    "target",
    ["//etc", "//usr/lib", "/x/../etc", "/x/..", "/./run", "/var", "/usr//local/lib", "//"],
)
def test_no_spelling_of_a_target_replaces_a_part_of_the_container(desk: Desk, target: str):
    assert "the mount target '/" in said(desk, f"./work:{target}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(
    ("shown", "at", "mounted", "why"),
    [
        (".ssh", "alias", "alias", "is .ssh"),
        (".ssh/keys", "alias", "alias", "lies in .ssh"),
        ("", "alias", "alias/data", None),
        ("", "alias", "alias", "is or contains your home directory"),
        ("project/.build", "alias", "alias", "is .build"),
        ("project", "alias", "alias", "contains agent.yaml"),
        (".ssh", "project/work/inner", "./work", "contains .ssh"),
        (".ssh/keys", "project/work/inner", "./work", "contains a part of .ssh"),
        ("data", "alias", "alias", None),
    ],
)
def test_a_bind_mount_is_judged_as_what_it_shows(
    desk: Desk, shown: str, at: str, mounted: str, why: str | None
):
    for name in (".ssh/keys", "alias", "data", "project/.build", "project/work/inner"):
        (desk.home / name).mkdir(parents=True, exist_ok=True)
    source = mounted if mounted.startswith(".") else desk.home / mounted
    project = desk.project(MOUNT.replace("{}", f"{source}:/srv/x"))
    bind = shlex.join(["mount", "--bind", str(desk.home / shown), str(desk.home / at)])
    validate = shlex.join([str(COMPANION), "-C", str(project), "validate"])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{bind} && {validate}"],
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, why or "") == (1 if why else 0, why or ""), done.stderr
    assert (why or "") in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what a directory belongs to another")
def test_another_users_home_is_never_mounted(desk: Desk):
    other = desk.home.parent / "somebody"
    (other / "files").mkdir(parents=True)
    assert said(desk, f"{other}/files:/srv/x") == ""
    os.chown(other, USER, USER)
    assert f"lies in {other}, the home directory of another" in said(desk, f"{other}/files:/srv/x")
    assert f"is {other}, the home directory of another" in said(desk, f"{other}:/srv/x:ro")
