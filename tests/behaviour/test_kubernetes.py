"""A project's objects for a cluster, written by `generate --kubernetes`."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from desk import AGENT, Desk

WORKS = AGENT + (
    "  - plugin: external-services\n    services:\n      - url: https://api.example.com\n"
    '        headers: {X-Api-Key: "${A_KEY}"}\n'
)
VALUE = "a-secret-that-is-long"
PLACE = ("--kubernetes", "agents", "--registry", "registry.example.com/team")
ADDRESS = ("--gateway-address", "10.96.0.7")


def generate(desk: Desk, project: Path, *words: str):
    return desk.companion("-C", str(project), "generate", *words)


def objects(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(Path(file).read_text()))


def test_the_secrets_are_apart_outside_the_project_and_readable_by_their_user_alone(desk: Desk):
    project = desk.project(WORKS, __env=f"A_KEY={VALUE}\n")
    done = generate(desk, project, *PLACE, *ADDRESS, "--json").ok()
    (agent,) = done.data["agents"]
    secrets = Path(agent["secrets"])
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert not secrets.is_relative_to(project)
    assert {o["kind"] for o in objects(agent["secrets"])} == {"Secret"}
    value = base64.b64encode(base64.b64encode(VALUE.encode())).decode()
    assert value in secrets.read_text()
    assert "Secret" not in {o["kind"] for o in objects(agent["objects"])}
    for file in project.rglob("*"):
        if file.is_file() and file.name != ".env":
            assert VALUE not in file.read_text()
            assert value not in file.read_text()
    images = {i["image"].rpartition(":")[0]: Path(i["context"]) for i in agent["images"]}
    assert all(name.startswith("registry.example.com/team/") for name in images)
    assert all((context / "Dockerfile").is_file() for context in images.values())


def test_written_again_it_is_the_same_with_the_key_that_ssh_expects(desk: Desk):
    project = desk.project(WORKS + "  - {plugin: git, sign: true}\n", __env=f"A_KEY={VALUE}\n")
    agent = generate(desk, project, *PLACE, *ADDRESS, "--json").ok().agent
    written = [Path(agent[kind]) for kind in ("objects", "secrets", "ssh_config")]
    before = [file.read_bytes() for file in written]
    generate(desk, project, *PLACE, *ADDRESS).ok()
    assert [file.read_bytes() for file in written] == before
    asked = ("ssh", "-G", "-F", agent["ssh_config"], agent["alias"])
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    options = dict(line.split(" ", 1) for line in told.splitlines())
    assert f"exec --stdin {agent['pod']} --container agent" in options["proxycommand"]
    (keys,) = (
        o["data"] for o in objects(agent["secrets"]) if o["metadata"]["name"][-5:] == "-sshd"
    )
    pin = Path(options["userknownhostsfile"]).read_text().split()[-1]
    assert pin in base64.b64decode(keys["host_key.pub"]).decode()
    assert not (desk.home / ".ssh/config").exists()  # nothing runs on this desktop


LACKING = {
    "no registry": (("--kubernetes", "agents", *ADDRESS), "--registry"),
    "no address": (PLACE, "--gateway-address coder=IP"),
    "another agent's address": ((*PLACE, "--gateway-address", "x=10.96.0.7"), "coder=IP"),
    "no address at all": ((*PLACE, "--gateway-address", "x"), "'x' is not an IPv4 address"),
    "no namespace": (("--kubernetes", "A B", *PLACE[2:], *ADDRESS), "'A B'"),
}


@pytest.mark.parametrize("what", LACKING)
def test_what_is_missing_is_named_and_nothing_is_written(desk: Desk, what: str):
    words, named = LACKING[what]
    project = desk.project()
    done = generate(desk, project, *words)
    assert done.code == 2
    assert done.err.count("error:") == 1
    assert named in done.err
    assert not (project / ".build").exists()


def test_what_a_cluster_cannot_do_is_refused_with_its_place_and_nothing_is_written(desk: Desk):
    mounted = '  - plugin: custom-runtime\n    runtime_volumes: ["./work:/work"]\n'
    project = desk.project(AGENT + mounted)
    done = generate(desk, project, *PLACE, *ADDRESS)
    assert done.code == 1
    assert "agent.yaml:7:23: a cluster cannot mount './work' of your desktop" in done.err
    assert "tip: mount a volume" in done.err
    assert not (project / ".build").exists()


def test_a_secret_without_a_value_is_named_and_nothing_is_written(desk: Desk):
    project = desk.project(WORKS)
    done = generate(desk, project, *PLACE, *ADDRESS)
    assert done.code == 1
    assert "A_KEY" in done.err
    assert not (project / ".build").exists()
