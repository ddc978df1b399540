"""Sandboxes of `generate --kubernetes` on a real cluster, applied by a user with the shipped Role.

Two projects have an agent of the same name in one namespace: one is closed by its Pod, the other
by NetworkPolicies alone.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import node
import pytest
from desk import ROOT, Desk, Done, make_desk
from node import Cluster, Space

from companion.operations import audit

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
SPACE = "agents"
VALUE = "canary-value-of-a-secret"
CONFIG = f"""\
name: coder
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
egress: {{mode: listed, allow: [listed.test]}}
features:
  - plugin: ssh
  - plugin: external-services
    services:
      - url: http://model.{SPACE}.svc.cluster.local:8000
        headers: {{Authorization: "Bearer ${{A_KEY}}"}}
"""
MODEL = """\
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"{self.path} {self.headers['Authorization']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.HTTPServer(("", 8000), Echo).serve_forever()
"""
ROLE = str(ROOT / "assets/kubernetes/role.yaml")
FENCES = {"pod": ("10.96.40.7", "--node-seccomp"), "policy": ("10.96.40.8", "--policy-only")}


@dataclass(frozen=True)
class Sandbox:
    """A sandbox on the cluster."""

    space: Space
    desk: Desk
    written: Any
    gateway: str
    """The ClusterIP of its gateway's Service."""

    @property
    def pod(self) -> str:
        return self.written["pod"]

    @property
    def name(self) -> str:
        return self.pod.removesuffix("-0")

    def agent(self, script: str) -> Done:
        return self.space.inside(self.pod, script)

    def ssh(self, *words: str) -> tuple[str, ...]:
        return ("ssh", "-F", self.written["ssh_config"], *words, self.written["alias"])

    @property
    def environment(self) -> dict[str, str]:
        return self.desk.environment | self.space.cluster.environment("user")

    def login(self, command: str, *options: str) -> Done:
        argv = [*self.ssh(*options), command]
        done = subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def gateway_pod(self) -> Any:
        chosen = f"app notin (model,stranger),{LABEL}.role=gateway,{LABEL}.project={self.project}"
        (found,) = self.space.get("pods", "-l", chosen)["items"]
        return found

    @property
    def project(self) -> str:
        return self.space.get("pod", self.pod)["metadata"]["labels"][f"{LABEL}.project"]

    @property
    def pods(self) -> set[str]:
        """The IDs of its Pods, each with how often its containers started."""
        both = (self.gateway_pod, self.space.get("pod", self.pod))
        counts = [
            sum(c["restartCount"] for c in one["status"]["containerStatuses"]) for one in both
        ]
        return {f"{one['metadata']['uid']} {n}" for one, n in zip(both, counts, strict=True)}


LABEL = "dev.companion"


def apply(space: Space, written: Any) -> None:
    files = (word for kind in ("secrets", "objects") for word in ("-f", written[kind]))
    space.kubectl("apply", *files, user="user").ok()


@pytest.fixture(scope="module")
def sandboxes(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Sandbox]]:
    space = Space(cluster, SPACE)
    desk = make_desk(tmp_path_factory.mktemp("kubernetes") / "home", engines=True)
    made = {}
    for fence, (address, *words) in FENCES.items():
        project = desk.project(CONFIG, fence, __env=f"A_KEY={VALUE}\n")
        place = ("--gateway-address", address, *words)
        written = node.generated(desk, project, space, *place)
        cluster.push(written["images"])
        if profile := written["seccomp"]:
            cluster.install(profile["file"], f"/var/lib/kubelet/seccomp/{profile['location']}")
        made[fence] = Sandbox(space, desk, written, address)
    cluster.kubectl("create", "namespace", SPACE).ok()
    try:
        set_up(space, made["pod"].written["images"][-1]["image"])
        for one in made.values():
            apply(space, one.written)
        space.wait("--for=condition=Ready", "pod/model", "pod/stranger")
        for one in made.values():
            space.started(one.pod)
        yield made
    finally:
        cluster.kubectl("delete", "namespace", SPACE)


def set_up(space: Space, image: str) -> None:
    """Give the user the rights of the Role, and make a model and a Pod that is nobody's."""
    space.kubectl("apply", "-f", ROLE).ok()
    bind = ("create", "rolebinding", "companion", "--role", "companion", "--user", "user")
    space.kubectl(*bind).ok()
    metadata = {"name": "model", "namespace": SPACE}
    port = {"selector": {"app": "model"}, "ports": [{"port": 8000}]}
    others = (
        node.pod("model", image, "python3", "-c", MODEL),
        node.pod("stranger", image, "sleep", "infinity"),
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": port},
    )
    for one in others:
        one["metadata"]["namespace"] = SPACE
    space.cluster.apply(*others)


@pytest.fixture(params=FENCES)
def sandbox(request: pytest.FixtureRequest, sandboxes: dict[str, Sandbox]) -> Sandbox:
    return sandboxes[request.param]


def test_its_user_logs_in_through_the_cluster_and_another_host_key_is_refused(
    sandbox: Sandbox, tmp_path: Path
):
    done = sandbox.login("id -un; hostname")
    assert (done.code, done.out.split(), done.err) == (0, ["agent", sandbox.pod], "")
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIIHvEwTl2Sl2w1sWhPBGpW0yDQKyRGeBTGrDnXnUWSHY"
    (tmp_path / "pins").write_text(f"{sandbox.written['alias']} ssh-ed25519 {key}\n")
    other = sandbox.login("true", "-o", f"UserKnownHostsFile={tmp_path / 'pins'}")
    assert other.code == 255
    assert "Host key verification failed" in other.err


def test_what_is_listed_passes_with_the_key_that_the_gateway_adds_and_nothing_else(
    sandbox: Sandbox,
):
    asked = f"curl -sS --max-time 20 http://model.{SPACE}.svc.cluster.local:8000/v1"
    assert sandbox.agent(asked).ok().out == f"/v1 Bearer {VALUE}"
    assert "no address" in sandbox.agent("curl -sS http://listed.test").ok().out
    assert "not in the egress list" in sandbox.agent("curl -sS http://other.test").ok().out


def test_the_key_and_every_token_of_the_cluster_are_outside_the_agent(sandbox: Sandbox):
    found = sandbox.agent(
        f"env | grep {VALUE}; grep -rs {VALUE} / --exclude-dir=proc --exclude-dir=sys;"
        " ls /var/run/secrets /companion/secrets /companion/certificates 2>/dev/null; id -u;"
        " grep -E '^Cap(Eff|Bnd)' /proc/self/status"
    )
    assert found.out.split() == ["1000", "CapEff:", "0" * 16, "CapBnd:", "0" * 16]
    space = sandbox.space
    kinds = "pods,events,configmaps,services,deployments,statefulsets,replicasets"
    pods = (sandbox.pod, sandbox.gateway_pod["metadata"]["name"])
    logs = [space.kubectl("logs", pod, "--all-containers").ok().out for pod in pods]
    told = [space.kubectl("get", kinds, "-o", "yaml").ok().out, *logs]
    assert not [text for text in told if VALUE in text]


WAYS_OUT = {
    "the API server": "10.96.0.1/443",
    "the node's kubelet": "10.213.251.2/10250",
    "the registry on the node": "10.213.251.2/5000",
}
NOWHERE = {"the desktop": "10.213.251.1/22", "another host": "198.51.100.7/81"}


def ways_out(sandbox: Sandbox) -> set[str]:
    """Return which of the ways out an agent finds open; its gateway takes calls for others."""
    ask = r"printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3"
    script = "".join(
        f'said=$(timeout 3 bash -c "exec 3<>/dev/tcp/{where}; {ask}" 2>/dev/null | tr -d "\\0");'
        f" [[ -z $said || $said = *gateway:* ]] || echo '{what}';"
        for what, where in (WAYS_OUT | NOWHERE).items()
    )
    return set(sandbox.agent(script).out.splitlines())


def test_the_agent_gets_nowhere_else(sandbox: Sandbox):
    for where in WAYS_OUT.values():
        dialed = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{where}'"
        sandbox.space.inside("stranger", dialed).ok()  # it is there
    assert ways_out(sandbox) == set()
    model = sandbox.space.address("model")
    asked = f"curl -s --max-time 5 http://{model}:8000/"
    assert "None" in sandbox.space.inside("stranger", asked).ok().out
    assert sandbox.agent(asked).out.replace("None", "Bearer").count("Bearer") == 0
    named = f"getent ahostsv4 stranger.{SPACE}.svc.cluster.local kubernetes.default.svc"
    answers = {line.split()[0] for line in sandbox.agent(named).out.splitlines()}
    assert answers <= {"192.0.2.1", sandbox.gateway}


def test_what_an_audit_tries_holds(sandboxes: dict[str, Sandbox]):
    sandbox = sandboxes["pod"]
    script = (ROOT / "assets/agent/audit.sh").read_text()
    others = (sandboxes["policy"].gateway, sandbox.space.address("stranger"))
    arguments = ("all", "10.213.251.2", "10250", sandbox.gateway, *others)
    argv = ("exec", "--stdin", sandbox.pod, "--", "bash", "-s", *arguments)
    said = sandbox.space.kubectl(*argv, stdin=script).ok().out
    titles = re.findall(r'^\s*try "([^"]+)"', script, re.MULTILINE)
    assert len(titles) > 40
    assert [one for one in audit.findings(titles, said) if not one.held] == []


def stranger_gets(sandbox: Sandbox) -> str:
    """Return what a Pod that is nobody's gets of the gateway and of the agent's SSH server."""
    status = sandbox.gateway_pod["status"]
    model = f"model.{SPACE}.svc.cluster.local"
    script = "".join(
        f"curl -s --max-time 3 -H 'Host: {model}' http://{address}:8000/;"
        for address in (sandbox.gateway, status["podIP"])
    )
    agent = sandbox.space.address(sandbox.pod)
    script += f"timeout 3 bash -c 'cat </dev/tcp/{agent}/2222'"
    return sandbox.space.inside("stranger", script).out


def test_another_pod_reaches_neither_gateway_nor_agent(sandbox: Sandbox):
    assert stranger_gets(sandbox) == ""


def test_a_changed_rule_takes_effect_within_seconds_and_ends_no_session(sandbox: Sandbox):
    before = sandbox.pods
    session = subprocess.Popen(
        [*sandbox.ssh(), "cat"],
        env=sandbox.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert session.stdin
    assert session.stdout
    session.stdin.write("a\n")
    session.stdin.flush()
    assert session.stdout.readline() == "a\n"
    project = sandbox.desk.home / sandbox.project.rpartition("-")[0]
    file = project / "agent.yaml"
    file.write_text(CONFIG.replace("listed.test", "added.test"))
    words = ("--gateway-address", *FENCES[project.name])
    apply(sandbox.space, node.generated(sandbox.desk, project, sandbox.space, *words))
    pod = sandbox.gateway_pod["metadata"]["name"]
    mark = ("annotate", "--overwrite", "pod", pod, "dev.companion.applied=2")
    sandbox.space.kubectl(*mark, user="user").ok()
    asks = "curl -s http://added.test | grep 'no address' && exit"
    asked = f"for _ in $(seq 90); do {asks}; sleep 0.2; done"  # unasked, a kubelet takes 60 to 90 s
    assert "no address" in sandbox.agent(asked).out
    assert "not in the egress list" in sandbox.agent("curl -s http://listed.test").out
    session.stdin.write("b\n")
    session.stdin.close()
    assert session.stdout.read() == "b\n"
    assert session.wait(30) == 0
    assert sandbox.pods == before


def again(sandbox: Sandbox) -> None:
    """Replace the agent's Pod, and wait until the new one is there."""
    uid = sandbox.space.get("pod", sandbox.pod)["metadata"]["uid"]
    sandbox.space.kubectl("delete", "pod", sandbox.pod, user="user").ok()
    for _ in range(600):
        found = sandbox.space.kubectl("get", "pod", sandbox.pod, "-o", "jsonpath={.metadata.uid}")
        if found.code == 0 and found.out != uid:
            return
        time.sleep(0.1)
    pytest.fail("the agent's Pod did not return")


def test_its_home_survives_its_pod(sandboxes: dict[str, Sandbox]):
    sandbox = sandboxes["pod"]
    sandbox.agent("echo mine >>~/.bashrc").ok()
    again(sandbox)
    sandbox.space.started(sandbox.pod)
    assert sandbox.login("tail -n 1 ~/.bashrc; ls -A ~").out.split()[0] == "mine"


def test_where_policies_have_no_effect_one_stays_closed_and_the_other_never_starts(
    sandboxes: dict[str, Sandbox],
):
    """Last: one sandbox is down afterwards."""
    closed_by_pod, closed_by_policies = sandboxes.values()
    with closed_by_pod.space.cluster.unenforced():
        again(closed_by_policies)
        logs = ("logs", closed_by_policies.pod, "-c", "closed")
        for _ in range(300):
            said = closed_by_policies.space.kubectl(*logs, user="user").out
            if "does not enforce" in said:
                break
            time.sleep(0.5)
        assert "open: the API server" in said
        assert "this cluster's network does not enforce NetworkPolicies" in said
        status = closed_by_policies.space.get("pod", closed_by_policies.pod)["status"]
        assert status["phase"] == "Pending"
        assert not [c for c in status["containerStatuses"] if c.get("started")]
        assert ways_out(closed_by_pod) == set()
        assert stranger_gets(closed_by_pod) == ""
