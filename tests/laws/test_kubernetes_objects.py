"""A sandbox as objects of a cluster: valid, closed, without secrets, and the same each time."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from desk import ROOT
from test_cases import HERE, generated, without_digests

from companion.config import strict_yaml
from companion.kubernetes import network, objects, system_calls
from companion.kubernetes.cluster import Cluster, Fence
from companion.kubernetes.limitations import limitations
from companion.kubernetes.names import Names
from companion.kubernetes.objects import Objects
from companion.reconcile import host_facts
from companion.reconcile.desired import Desired, desire
from companion.sandbox.addressing import GATEWAY
from companion.spec.containers import Directory, File
from companion.spec.identity import Role

OLDEST, NEWEST = 25, 37
RELEASES = [
    pytest.param(f"1.{minor}", marks=[] if minor in {OLDEST, NEWEST} else [pytest.mark.long])
    for minor in range(OLDEST, NEWEST + 1)
]
SECRET = b"the-value-of-a-secret"
PRIVATE = (
    Directory.SECRETS,
    Directory.CERTIFICATES,
    Directory.SSHD,
    Directory.SIGNING,
    Directory.BROUGHT,
)
CONFIG = """\
name: coder
runtime: {base_image: docker.io/library/debian:bookworm-slim, cmd: [sleep, infinity]}
egress: {mode: listed, allow: [docs.example.com]}
limits: {memory: 2g, cpus: "1.5"}
features:
  - {plugin: ssh}
  - plugin: external-services
    services:
      - url: http://model.agents.svc.cluster.local:8000
        headers: {Authorization: "Bearer ${A_KEY}"}
      - url: https://api.example.com
        headers: {X-Api-Key: "${A_KEY}"}
  - plugin: custom-runtime
    runtime_volumes: ["cache:/srv/cache"]
"""
AS_ROOT = CONFIG + "    root_hooks: [hook.sh]\n"
PLACES = {
    "closed by the Pod": Cluster("agents", "registry.example.com/team", "10.96.0.7"),
    "closed by policies": Cluster("agents", "registry.example.com", "10.96.0.7", Fence.POLICY),
}


def desired(directory: Path, config: str = CONFIG) -> Desired:
    (directory / "agent.yaml").write_text(config)
    (directory / "hook.sh").write_text("true\n")
    return generated(directory, directory)


def rendered(one: Desired, cluster: Cluster) -> Objects:
    host = replace(one.sandbox.host, shares_files=False, addressing=cluster.addressing)
    one = desire(replace(one.sandbox, host=host), host_facts.assets(), {}, (), ())
    names = Names(cluster.namespace, one.sandbox.project, one.sandbox.agent)
    contents = {
        Directory.GATEWAY: one.gateway_files,
        Directory.REACH: (File("network.txt", b"reach\n"),),
        **{directory: (File("file", SECRET, 0o600),) for directory in PRIVATE},
    }
    return objects.render(one.target, names, contents, cluster)


def pods(found: Objects) -> dict[str, Any]:
    made = (o for o in found.public if o["kind"] in {"Deployment", "StatefulSet"})
    return {o["kind"]: o["spec"]["template"]["spec"] for o in made}


def containers(pod: Mapping[str, Any]) -> dict[str, Any]:
    return {c["name"]: c for c in (*pod.get("initContainers", ()), *pod["containers"])}


@pytest.fixture(params=PLACES)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return PLACES[request.param]


def test_a_sandbox_becomes_exactly_these_objects(tmp_path: Path, request: pytest.FixtureRequest):
    """Those that a policy closes have the same files."""
    for name, cluster in PLACES.items():
        found = rendered(desired(tmp_path), cluster)
        known = {"ConfigMap", "Secret"} if cluster.fence is Fence.POLICY else set()
        shown = [o for o in (*found.public, *found.secrets) if o["kind"] not in known]
        shown += [network.first_service(Names(cluster.namespace, "case", "coder", "owner"))]
        text = without_digests("---\n".join(map(strict_yaml.dump, shown)))
        file = HERE / "cluster" / f"{name.lower().replace(' ', '-')}.yaml"
        if request.config.getoption("--update"):
            file.write_text(text)
        assert file.read_text() == text


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_takes_the_objects_and_the_role(release: str, tmp_path: Path):
    role = strict_yaml.parse((ROOT / "assets/kubernetes/role.yaml").read_text(), "role.yaml").data
    begun_by_root, ordinary = (desired(tmp_path, config) for config in (AS_ROOT, CONFIG))
    closed_by_pod, closed_by_policies = PLACES.values()
    found = rendered(begun_by_root, closed_by_policies), rendered(ordinary, closed_by_pod)
    given = (o for each in found for o in (*each.public, *each.secrets))
    for one in (*given, json.loads(json.dumps(role))):
        kubernetes_validate.validate(one, release, strict=True)


def test_agents_of_a_project_share_equal_images_on_a_cluster_only(tmp_path: Path, cluster: Cluster):
    one = desired(tmp_path)
    other = replace(one.sandbox, agent="tester")
    found = (rendered(replace(one, sandbox=each), cluster) for each in (one.sandbox, other))
    (shared,) = {pods(each)["StatefulSet"]["containers"][0]["image"] for each in found}
    assert f"/{one.sandbox.project}:" in shared
    here = desire(other, host_facts.assets(), {}, (), ()).target.service(Role.AGENT).image
    assert here != one.target.service(Role.AGENT).image


def test_a_secret_is_in_no_other_object_and_the_agent_mounts_its_own_only(
    cluster: Cluster, tmp_path: Path
):
    found = rendered(desired(tmp_path), cluster)
    assert {o["kind"] for o in found.secrets} == {"Secret"}
    assert "Secret" not in {o["kind"] for o in found.public}
    text = json.dumps(found.public)
    assert SECRET.decode() not in text
    assert base64.b64encode(SECRET).decode() not in text
    assert repr(found).count("Secret") == repr(found.public).count("Secret")
    mounted = {
        kind: {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        for kind, pod in pods(found).items()
    }
    assert mounted == {
        "Deployment": {"coder-case-secrets", "coder-case-certificates"},
        "StatefulSet": {"coder-case-sshd"},
    }


def test_the_agent_has_no_right_and_waits_until_its_network_is_closed(
    cluster: Cluster, tmp_path: Path
):
    for pod in pods(rendered(desired(tmp_path), cluster)).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
        for name, one in containers(pod).items():
            may = one["securityContext"]
            assert may["allowPrivilegeEscalation"] is False
            assert may["readOnlyRootFilesystem"] is True
            added = ["NET_ADMIN"] if name == "net" else None
            assert (may["capabilities"]["drop"], may["capabilities"].get("add")) == (["ALL"], added)
    assert pod["dnsPolicy"] == "None"
    assert pod["dnsConfig"]["nameservers"] == [cluster.gateway]
    closing = ["net", "closed"] if cluster.fence is Fence.POD else ["closed"]
    assert list(containers(pod)) == [*closing, "seed", "agent"]


def test_where_nodes_have_our_list_of_system_calls_it_is_the_pods_profile(
    cluster: Cluster, tmp_path: Path
):
    one = desired(tmp_path)
    (engines,) = one.seccomp_files
    where = {"type": "Localhost", "localhostProfile": f"companion/{engines.path}"}
    for pod in pods(rendered(one, replace(cluster, node_seccomp=True))).values():
        assert pod["securityContext"]["seccompProfile"] == where
    given, made = (json.loads(f.content) for f in (engines, system_calls.profile(engines)))
    assert made.keys() == given.keys() - {"archMap"}
    assert [r["names"] for r in made["syscalls"]] == [r["names"] for r in given["syscalls"]]


def test_policies_let_the_two_pods_of_a_sandbox_reach_each_other_alone(
    cluster: Cluster, tmp_path: Path
):
    found = rendered(desired(tmp_path), cluster).public
    agent, gateway = (
        next(o["spec"] for o in found if (o["kind"], o["metadata"]["name"]) == wanted)
        for wanted in (
            ("NetworkPolicy", "coder-case-agent"),
            ("NetworkPolicy", "coder-case-gateway"),
        )
    )
    assert agent["policyTypes"] == gateway["policyTypes"] == ["Ingress", "Egress"]
    assert agent["ingress"] == []
    (out,), (into,) = agent["egress"], gateway["ingress"]
    assert out["to"] == [{"podSelector": gateway["podSelector"]}]
    assert into["from"] == [{"podSelector": agent["podSelector"]}]
    assert into["ports"] == out["ports"]
    served = {(p["protocol"], p["port"]) for p in out["ports"]}
    assert served == {("UDP", 53), *(("TCP", port) for port in (1, 53, 80, 443, 8000))}
    (service,) = (
        o["spec"]
        for o in found
        if o["metadata"]["name"] == "coder-case-gateway" and o["kind"] == "Service"
    )
    assert {(p["protocol"], p["port"]) for p in service["ports"]} == served
    assert service["publishNotReadyAddresses"] is True


def test_no_probe_connects_to_what_hangs_up_on_everybody_but_the_agent(
    cluster: Cluster, tmp_path: Path
):
    for pod in pods(rendered(desired(tmp_path), cluster)).values():
        (main,) = pod["containers"]
        assert {name for name in main if name.endswith("Probe")} == {"startupProbe"}
        assert "exec" in main["startupProbe"]


def test_where_nobody_redirects_every_name_is_the_gateway(tmp_path: Path):
    one = desired(tmp_path)
    for cluster, answers in zip(PLACES.values(), ("192.0.2.1", "10.96.0.7"), strict=True):
        (rules,) = (
            o["data"]
            for o in rendered(one, cluster).public
            if o["metadata"]["name"] == "coder-case-gateway" and o["kind"] == "ConfigMap"
        )
        assert f"address=/#/{answers}\n" in rules["sinkhole.conf"]
        assert bool(rules["direct.hosts"]) is (cluster.fence is Fence.POD)
        assert rules["egress.cfg"].count("reject if !{ src -f /tmp/agents.lst }") == 2
        assert "10.231." not in json.dumps(rules)


def test_equal_sandboxes_are_equal_objects_whatever_a_desktop_allocated(
    cluster: Cluster, tmp_path: Path
):
    one = desired(tmp_path)
    moved = replace(one.sandbox.allocation, internal_subnet="10.9.9.0/28", ssh_port=2999)
    other = replace(one, sandbox=replace(one.sandbox, allocation=moved))
    first, second = (json.dumps(rendered(d, cluster).public) for d in (one, other))
    assert first == second


def test_no_two_agents_share_an_object_in_one_project_or_two(cluster: Cluster, tmp_path: Path):
    one = desired(tmp_path)
    config = CONFIG.replace("cache:", "gateway-home:")  # another agent's name and volume
    named: list[tuple[str, str]] = []
    for agent in ("coder", "coder-gateway", "coder-home", "coder-agent", "coder-0a1b2c3d"):
        (tmp_path / agent).mkdir()
        made = desired(tmp_path / agent, config.replace("coder", agent))
        for project in ("work-0a1b2c3d", "work-4e5f6a7b"):
            placed = replace(made, sandbox=replace(made.sandbox, project=project))
            found = rendered(placed, cluster)
            named += ((o["kind"], o["metadata"]["name"]) for o in (*found.public, *found.secrets))
    assert len(named) == len(set(named))
    assert len(rendered(one, cluster).public) == 10


def test_the_longest_names_fit(cluster: Cluster, tmp_path: Path):
    made = desired(tmp_path, CONFIG.replace("coder", "a" * 40))
    placed = replace(made, sandbox=replace(made.sandbox, project=f"{'9' * 24}-0a1b2c3d"))
    found = rendered(placed, cluster)
    named = {(o["kind"], o["metadata"]["name"]) for o in found.public}
    assert all(len(name) <= 63 and name[0].isalpha() for _, name in named)
    (stateful,) = (name for kind, name in named if kind == "StatefulSet")
    assert len(f"{stateful}-0123456789") <= 63  # a label of its Pods: the name and a digest


REFUSED: dict[str, tuple[Callable[[str], str], str]] = {
    "a container network": (
        lambda c: c.replace(
            "http://model.agents.svc.cluster.local:8000", "docker://db:8000\n        network: back"
        ),
        "container network 'back'",
    ),
    "the desktop": (
        lambda c: c.replace("model.agents.svc.cluster.local", "host.containers.internal"),
        "does not reach your desktop",
    ),
    "a mount": (lambda c: c.replace("cache:/srv/cache", "./work:/work"), "cannot mount './work'"),
    "a volume's name": (lambda c: c.replace("cache:", "My_Cache:"), "cannot name a volume"),
    "a public port": (
        lambda c: c + '    ports: ["0.0.0.0:8080:80"]\n',
        "does not publish 0.0.0.0:8080",
    ),
    "no gateway": (
        lambda c: c.partition("egress:")[0] + "gateway: false\n",
        "without a gateway",
    ),
    "a digit": (lambda c: c.replace("name: coder", "name: 1coder"), "'1coder'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_cluster_cannot_do_is_one_problem_with_a_hint(what: str, tmp_path: Path):
    change, words = REFUSED[what]
    (tmp_path / "work").mkdir()
    sandbox = desired(tmp_path, change(CONFIG)).sandbox
    ((problem, origin),) = limitations(sandbox.agent, sandbox.contribution, gateway=sandbox.gateway)
    assert words in problem.what
    assert problem.hint
    assert origin.location


def test_nothing_of_the_ordinary_sandbox_is_refused(tmp_path: Path):
    sandbox = desired(tmp_path).sandbox
    assert not list(limitations(sandbox.agent, sandbox.contribution, gateway=True))


def test_desktops_with_one_project_path_share_no_name_and_no_selector():
    first, second, written = (
        Names("agents", "app-0123456789ab", "coder", owner) for owner in ("a" * 16, "b" * 16, "")
    )
    assert len({one.sandbox for one in (first, second, written)}) == 3
    assert len(first.sandbox) == len(written.sandbox)
    for role in (Role.AGENT, Role.GATEWAY):
        assert not first.labels(role).items() <= second.labels(role).items()
    assert written.sandbox == "coder-0123456789ab"


def test_secrets_are_stored_as_they_are_and_rules_with_the_gateways_address():
    place, file = PLACES["closed by the Pod"], File("file", GATEWAY.encode())
    held = objects.stored(dict.fromkeys(Directory, (file,)), place)
    assert held[Directory.GATEWAY] == (File("file", b"10.96.0.7"),)
    assert {held[one] for one in PRIVATE} == {(file,)}
