"""A sandbox without a gateway: same keys, hooks and limits, and an open network; there and back.

Its hooks of root and its published port hold in both.
"""

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import ports
import pytest
from desk import COMPANION, Desk, make_desk
from sandboxes import FIRST_PORT, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.one_engine]
CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim", cmd: [perl, -MIO::Socket::INET, -e, '{serve}']}}
container_runtime: {engine}
gateway: {gateway}
features:
  - plugin: ssh
    port: {login}
  - plugin: custom-runtime
    entrypoint_hooks: [hook.sh]
    root_hooks: [root.sh]
    capabilities: [CHOWN]
    ports: ["{port}:8000"]
    env: ["PATH={{{{ .AGENT_HOME }}}}/bin:/usr/bin:/bin", "BASH_ENV={{{{ .AGENT_HOME }}}}/planted"]
    home_override: home
    runtime_volumes: ["./work:{{{{ .AGENT_HOME }}}}/work"]
"""
SERVE = (
    "$s=IO::Socket::INET->new(LocalPort=>8000,Listen=>5,ReuseAddr=>1);"
    ' while($c=$s->accept){print $c "HTTP/1.0 200 OK\\r\\n\\r\\nserved";close $c}'
)
ROOT_HOOK = "id -u >/etc/hooked; mkdir /opt/given; chown agent /opt/given\n"


@dataclass
class Single:
    """A project on one engine whose gateway comes and goes."""

    engine: str
    desk: Desk
    project: Path
    port: int

    def companion(self, *arguments: str):
        return self.desk.companion("-C", str(self.project), *arguments)

    def run(self, command: str) -> str:
        return self.desk.ssh("coder.sandbox", command).ok().out.strip()

    def serves(self) -> bool:
        """Tell whether the desktop's port leads to what the agent serves."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/") as got:
            return bool(got.read() == b"served")
        return False

    def up(self, gateway: str, more: str = "") -> None:
        ports = {"port": self.port, "login": FIRST_PORT[self.engine] + 4}
        text = CONFIG.format(engine=self.engine, gateway=gateway, serve=SERVE, **ports)
        (self.project / "agent.yaml").write_text(text + more)
        self.companion("up", "--yes").ok()

    def held(self) -> tuple[int, int]:
        """Return how many containers and networks there are for the project."""
        return len(self._listed("ps", "--all")), len(self._listed("network", "ls"))

    def _listed(self, *kind: str) -> list[str]:
        """Return the project's objects only: other tests may run beside these."""
        projects = self.desk.home / ".local/state/companion/projects"
        ids = [path.parent.name for path in projects.glob("*/project.json")]
        argv = [self.engine, *kind, "--quiet", "--filter"]
        texts = (
            subprocess.run(
                [*argv, f"label=dev.companion.project={one}"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for one in ids
        )
        return [line for text in texts for line in text.split()]


@contextmanager
def single(engine: str, desk: Desk) -> Iterator[Single]:
    project = desk.project("", hook__sh="echo hooked >> ~/log\n", root__sh=ROOT_HOOK)
    (project / "home").mkdir()
    (project / "home/greeting").write_text("hello\n")
    with ports.reserved() as port:
        made = Single(engine, desk, project, port)
        try:
            yield made
        finally:
            made.companion("down", "--volumes")


def is_the_agent_for_good(here: Single) -> None:
    """Root ran its hook; then nothing in there is root or could become it, by SSH or by exec."""
    assert here.run("cat /etc/hooked; stat -c %U /etc/hooked /opt/given") == "0\nroot\nagent"
    shell = here.companion("exec", "coder", "--", "cat", "/proc/self/status").ok().out
    login = here.run("cat /proc/self/status")
    proxy = f"ProxyCommand={COMPANION} -C {here.project} proxy coder"
    through = here.desk.ssh("coder.sandbox", "cat /proc/self/status", "-o", proxy).ok().out
    for status in (login, shell, through):
        facts = dict(line.split(":\t", 1) for line in status.splitlines())
        kinds = ("Inh", "Prm", "Eff", "Bnd", "Amb")
        assert {facts[f"Cap{kind}"] for kind in kinds} == {"0" * 16}
        assert facts["NoNewPrivs"] == "1"
        assert facts["Uid"].split() == ["1000"] * 4
    assert here.desk.ssh("coder.sandbox", "touch /etc/mine").code != 0
    nothing_of_the_agents_runs_as_root(here)
    here.companion("keys", "rotate", "coder").ok()
    assert "runs root.sh as root in the container at each start" in here.companion("plan").ok().out
    wait_until(here.serves)  # ready is who takes logins; what else it runs comes when it comes


def nothing_of_the_agents_runs_as_root(here: Single) -> None:
    """Not even what root would find in the home by the agent's own variables."""
    planted = 'echo "$(/usr/bin/id -u)" >>/tmp/ran; exec "/usr/bin/${0##*/}" "$@"'
    here.run(
        "mkdir -p ~/bin; echo 'echo $(/usr/bin/id -u) >>/tmp/ran' >~/planted; cd ~/bin;"
        f" printf '#!/bin/sh\n%s\n' '{planted}' | tee setpriv env seq sleep cat >/dev/null;"
        " chmod +x *"
    )
    here.companion("restart").ok()
    path = here.companion("exec", "coder", "--", "sh", "-c", "echo $PATH").ok().out
    assert path == "/home/agent/bin:/usr/bin:/bin\n"
    assert here.run("echo $PATH") == path.strip()
    assert set(here.run("/usr/bin/sort -u /tmp/ran").split()) == {"1000"}
    here.run("rm -r ~/bin ~/planted")


def test_a_sandbox_lives_without_a_gateway_and_gets_one_again(
    engine: str, tmp_path_factory: pytest.TempPathFactory
):
    desk = make_desk(tmp_path_factory.mktemp(f"single-{engine}") / "home", engines=True)
    with single(engine, desk) as here:
        containers, networks = before = here.held()
        here.up("false")
        assert here.run("cat ~/log ~/greeting; id -un") == "hooked\nhello\nagent"
        assert here.run("ls -d ~/work") == "/home/agent/work"
        is_the_agent_for_good(here)
        status = here.companion("status", "--json").ok().agent
        assert (status["state"], status["egress"]) == ("running", "no gateway")
        assert here.held() == (containers + 1, networks + 1)
        plan = here.companion("plan").ok().out
        assert plan.startswith("nothing to do")
        assert "has no gateway: reaches all" in plan
        here.run("echo kept > ~/note")
        here.up("true", "egress: listed\n")
        assert here.run("cat ~/note") == "kept"
        assert desk.ssh("coder.sandbox", "curl -sSf -m 5 http://example.com/").code != 0
        is_the_agent_for_good(here)
        here.companion("audit", "coder").ok()
        assert here.held() == (containers + 4, networks + 2)
        here.up("false")
        assert here.held() == (containers + 1, networks + 1)
    assert here.held() == before
