"""A sandbox without a gateway: same keys, hooks and limits, and an open network; there and back."""

import subprocess

import pytest
from desk import make_desk

pytestmark = pytest.mark.engine
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: {engine}
gateway: {gateway}
features:
  - plugin: ssh
  - plugin: custom-runtime
    entrypoint_hooks: [hook.sh]
    home_override: home
    runtime_volumes: ["./work:{{{{ .AGENT_HOME }}}}/work"]
"""


def test_a_sandbox_lives_without_a_gateway_and_gets_one_again(
    engine: str, tmp_path_factory: pytest.TempPathFactory
):
    desk = make_desk(tmp_path_factory.mktemp(f"single-{engine}") / "home")

    def text(gateway: str) -> str:
        return CONFIG.format(engine=engine, gateway=gateway)

    project = desk.project(text("false"), hook__sh="echo hooked >> ~/log\n")
    (project / "home").mkdir()
    (project / "home/greeting").write_text("hello\n")

    def run(command: str) -> str:
        return desk.ssh("coder.sandbox", command).ok().out.strip()

    def mine(kind: str, *more: str) -> list[str]:
        label = "label=dev.companion.agent=coder"
        argv = [engine, *kind.split(), *more, "--filter", label, "--quiet"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

    before = len(mine("ps", "--all")), len(mine("network ls"))
    try:
        desk.companion("-C", str(project), "up", "--yes").ok()
        assert run("cat ~/log ~/greeting; id -un") == "hooked\nhello\nagent"
        assert run("ls -d ~/work") == "/home/agent/work"
        assert "CapEff:\t0000000000000000" in run("cat /proc/self/status")
        status = desk.companion("-C", str(project), "status", "--json").ok().agent
        assert (status["state"], status["egress"]) == ("running", "no gateway")
        assert (len(mine("ps", "--all")), len(mine("network ls"))) == (before[0] + 1, before[1] + 1)
        plan = desk.companion("-C", str(project), "plan").ok().out
        assert plan.startswith("nothing to do")
        assert "no gateway: the agent may reach all" in plan
        run("echo kept > ~/note")
        (project / "agent.yaml").write_text(text("true") + "egress: listed\n")
        desk.companion("-C", str(project), "up").ok()
        assert run("cat ~/note") == "kept"
        assert desk.ssh("coder.sandbox", "curl -sSf -m 5 http://example.com/").code != 0
        assert (len(mine("ps", "--all")), len(mine("network ls"))) == (before[0] + 3, before[1] + 2)
        (project / "agent.yaml").write_text(text("false"))
        desk.companion("-C", str(project), "up").ok()
        assert (len(mine("ps", "--all")), len(mine("network ls"))) == (before[0] + 1, before[1] + 1)
    finally:
        desk.companion("-C", str(project), "down", "--volumes")
    assert (len(mine("ps", "--all")), len(mine("network ls"))) == before
