"""How does an editor speak to an agent? By the Agent Client Protocol, in lines of JSON."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from desk import Desk


class Acp:
    """A client on an agent's standard input and output that allows whatever it is asked.

    `asked` is called before it answers a question.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.number, self.said = process, 0, ""
        self.asked: Callable[[], object] = lambda: None

    def call(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        self._send(id=self.number, method=method, params=parameters)
        for line in self.process.stdout:
            message = json.loads(line)
            if "method" in message:
                self._heed(message)
            elif message["id"] == self.number:
                assert "error" not in message, message
                return message["result"]
        raise AssertionError("the agent ended")

    def prompt(self, folder: str, text: str, mode: str = "") -> str:
        """Ask in a new session, in this mode if there is one; return why the turn ended."""
        session = self.call("session/new", cwd=folder, mcpServers=[])["sessionId"]
        if mode:
            self.call("session/set_mode", sessionId=session, modeId=mode)
        prompt = [{"type": "text", "text": text}]
        reason: str = self.call("session/prompt", sessionId=session, prompt=prompt)["stopReason"]
        return reason

    def _heed(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message["method"] == "session/request_permission":
            self.asked()
            allow = next(o for o in parameters["options"] if o["kind"] == "allow_once")
            outcome = {"outcome": "selected", "optionId": allow["optionId"]}
            self._send(id=message["id"], result={"outcome": outcome})
        update = parameters.get("update", {})
        if update.get("sessionUpdate") == "agent_message_chunk":
            self.said += update["content"].get("text", "")

    def _send(self, **message: Any) -> None:
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()


@contextmanager
def over_ssh(desk: Desk, alias: str, command: str) -> Iterator[Acp]:
    """Start an agent by SSH, as an editor does, and shake hands."""
    argv = ["ssh", "-F", desk.home / ".ssh/config", "-o", "BatchMode=yes", alias, command]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        agent = Acp(process)
        try:
            assert agent.call("initialize", protocolVersion=1)["protocolVersion"] == 1
            yield agent
        finally:
            process.terminate()
