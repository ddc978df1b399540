"""The real Codex in the shipped examples: as people start it, and as an editor speaks to it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from acp import over_ssh
from desk import Desk, make_desk

pytestmark = pytest.mark.engine
KEY = "sk-canary-2c41e7"
ASK = "run: echo $((6*7)) by $(id -un) in $PWD"
HELD = "cat ~/.codex/config.toml; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'"


@contextmanager
def example(name: str, desk: Desk, engine: str) -> Iterator[Path]:
    """Bring a shipped example up with a key of its own, and its model server."""
    project = desk.home / "demo"
    desk.companion("init", str(project), "--example", name).ok()
    with (project / "agent.yaml").open("a") as config:
        config.write(f"container_runtime: {engine}\n")
    (project / ".env").write_text(f"MODEL_API_KEY={KEY}\n")
    try:
        desk.companion("-C", str(project), "up", "--yes").ok()
        status = desk.companion("-C", str(project), "status", "--json").ok().agent
        server = subprocess.Popen(
            [sys.executable, "model_server.py", "--host", status["host_address"]],
            cwd=project,
            env=desk.environment | {"MODEL_API_KEY": KEY},
            stdout=subprocess.PIPE,
            text=True,
        )
        with server:
            server.stdout.readline()
            yield project
            server.terminate()
    finally:
        desk.companion("-C", str(project), "down", "--volumes")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path / "home", engines=True)


def keys_at_the_server(project: Path) -> set[str]:
    requests = (project / "requests.jsonl").read_text().splitlines()
    return {json.loads(line)["authorization"] for line in requests}


@pytest.mark.long
def test_codex_works_without_ssh_with_a_key_that_it_never_sees(desk: Desk, engine: str):
    with example("local-coding", desk, engine) as project:
        there = ("-C", str(project))
        codex = ("codex", "exec", "--skip-git-repo-check", ASK)
        said = desk.companion(*there, "exec", "coder", "--", *codex).ok().out
        assert "The command said:" in said
        assert "42 by agent in /home/agent/work" in said
        assert keys_at_the_server(project) == {f"Bearer {KEY}"}
        held = desk.companion(*there, "exec", "coder", "--", "sh", "-c", HELD).ok().out
        assert "dummy-token" in held
        assert "HOME=/home/agent" in held
        assert KEY not in held
        logs = desk.companion(*there, "logs", "coder", "-v").ok().out
        assert "http host.containers.internal:8000 port=8000 POST /v1/responses status=200" in logs
        assert KEY not in logs


@pytest.mark.one_engine
def test_an_editor_talks_acp_with_codex_by_the_command_that_we_registered(desk: Desk, engine: str):
    (desk.home / ".config/zed").mkdir()
    with example("local-coding-ssh", desk, engine) as project:
        desk.companion("editors", "sync").ok()
        settings = json.loads((desk.home / ".config/zed/settings.json").read_text())
        (server,) = settings["agent_servers"].values()
        inside = desk.ssh("coder.sandbox", "cat ~/.config/zed/settings.json").ok().out
        assert json.loads(inside)["agent_servers"] == settings["agent_servers"]
        for shell in ("bash", "sh"):  # as the Codex app looks for it
            found = desk.ssh("coder.sandbox", f"{shell} -lc 'command -v codex'").ok().out
            assert found == "/usr/local/bin/codex\n"
        command = " ".join([server["command"], *server["args"]])
        with over_ssh(desk, "coder.sandbox", f"cd work && {command}") as agent:
            assert agent.prompt("/home/agent/work", "run: id -un") == "end_turn"
        assert "The command said:" in agent.said
        assert "agent" in agent.said
        assert keys_at_the_server(project) == {f"Bearer {KEY}"}
        assert KEY not in desk.ssh("coder.sandbox", HELD).out


@pytest.mark.long
def test_the_fleet_of_the_examples_is_two_agents_that_share_a_token_and_nothing_else(
    desk: Desk, engine: str
):
    project = desk.home / "demo"
    there = ("-C", str(project))
    desk.companion("init", str(project), "--example", "multi-agent").ok()
    fleet = project / "fleet.yaml"
    text = fleet.read_text()
    fleet.write_text(text.replace("shared:\n", f"shared:\n  container_runtime: {engine}\n", 1))
    without = desk.companion(*there, "up", "--yes")
    assert without.code == 1
    assert "GITHUB_TOKEN has no value" in without.err
    (project / ".env").write_text(f"GITHUB_TOKEN={KEY}\n")
    try:
        desk.companion(*there, "up", "--yes").ok()
        for name in ("coder", "reviewer"):
            alias = f"{name}.sandbox"
            said = desk.ssh(alias, "codex --version; touch work/mine; printenv GITHUB_TOKEN").ok()
            assert said.out.startswith("codex-cli ")
            assert said.out.endswith("dummy\n")
            assert (project / name / "work/mine").exists()
            assert KEY not in desk.ssh(alias, HELD).out
            refused = desk.ssh(alias, "curl -sS -m 5 http://example.com/").out
            assert "not in the egress list" in refused
    finally:
        desk.companion(*there, "down", "--volumes")
