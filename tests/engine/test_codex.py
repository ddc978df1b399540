"""The real Codex in the shipped example, as an editor speaks to it: ACP over SSH."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, make_desk

pytestmark = pytest.mark.engine
KEY = "sk-canary-2c41e7"


class Acp:
    """A client of the Agent Client Protocol: JSON lines on the standard input and output."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.number, self.said = process, 0, ""

    def call(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": parameters}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.number and "method" not in answer:
                assert "error" not in answer, answer
                return answer["result"]
            update = answer.get("params", {}).get("update", {})
            if update.get("sessionUpdate") == "agent_message_chunk":
                self.said += update["content"].get("text", "")
        raise AssertionError("the agent ended")


@contextmanager
def example(desk: Desk) -> Iterator[Path]:
    """Bring the shipped example up with a key of its own, and its model server."""
    project = desk.home / "demo"
    desk.companion("init", str(project), "--example", "local-coding-ssh").ok()
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


def test_an_editor_talks_acp_with_codex_by_the_command_that_we_registered(
    engine: str, tmp_path: Path
):
    if engine != "podman":
        pytest.skip("one engine is enough for the agent: podman")
    desk = make_desk(tmp_path / "home")
    (desk.home / ".config/zed").mkdir()
    with example(desk) as project:
        desk.companion("editors", "sync").ok()
        settings = json.loads((desk.home / ".config/zed/settings.json").read_text())
        (server,) = settings["agent_servers"].values()
        inside = desk.ssh("coder.sandbox", "cat ~/.config/zed/settings.json").ok().out
        assert json.loads(inside)["agent_servers"] == settings["agent_servers"]
        command = " ".join([server["command"], *server["args"]])
        argv = ["ssh", "-F", desk.home / ".ssh/config", "coder.sandbox", f"cd work && {command}"]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            agent = Acp(process)
            assert agent.call("initialize", protocolVersion=1)["protocolVersion"] == 1
            session = agent.call("session/new", cwd="/home/agent/work", mcpServers=[])["sessionId"]
            prompt = [{"type": "text", "text": "run: id -un"}]
            ended = agent.call("session/prompt", sessionId=session, prompt=prompt)
            process.terminate()
        assert ended["stopReason"] == "end_turn"
        assert "The command said:" in agent.said
        assert "agent" in agent.said
        requests = (project / "requests.jsonl").read_text().splitlines()
        assert {json.loads(line)["authorization"] for line in requests} == {f"Bearer {KEY}"}
        held = "cat ~/.codex/config.toml; env; cat /proc/*/environ | tr '\\0' '\\n'"
        assert KEY not in desk.ssh("coder.sandbox", f"{held} 2>/dev/null").out
