"""Places on clusters: what a wrong one says, and that none is asked before its user agreed.

Here, kubectl answers as a cluster without any Pod would; tests/reach has a real one.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from desk import make_desk
from fake_project import Fake, agree, config
from test_named_places import choose, define, problem

from companion.spec.identity import digest

FREE = config().replace("container_runtime: podman\n", "")
TEAM = "{team: {kubernetes: {context: work, namespace: agents, registry: registry.test/team}}}"
HERE, ELSEWHERE = "https://cluster.test:6443", "https://other.test:6443"
KUBECTL = """\
#!/bin/bash
echo "$*" >>"$HOME/kubectl.calls"
echo "$KUBERC $KUBECONFIG" >>"$HOME/kubectl.variables"
case "$*" in
  "--context work config view"*) cat "$HOME/server" ;;
  *" config view"*) echo "error: context was not found for specified context: gone" >&2; exit 1 ;;
  *"owner!="*) cat "$HOME/others" 2>/dev/null || true ;;
  *"--label-columns"*) cat "$HOME/labels" 2>/dev/null || true ;;
  *"--output=jsonpath={range"*) cat "$HOME/pods" 2>/dev/null || true ;;
  *"--output=json "*) echo '{"items": []}' ;;
  *" delete pods "*) rm -f "$HOME/bare" ;;
  *) [ ! -e "$HOME/refusal" ] || { cat "$HOME/refusal" >&2; exit 1; } ;;
esac
case "$*" in *" get pods"*"=name"*) cat "$HOME/bare" 2>/dev/null || true ;; esac
"""


class Clustered(Fake):
    """A desk with podman, and a kubectl that answers."""

    def __init__(self, directory: Path, *, trusting: bool = True) -> None:
        desk = make_desk(directory, trusting=trusting)
        super().__init__(desk, desk.project(FREE), "podman")
        kubectl = desk.home / "programs" / "kubectl"
        kubectl.write_text(KUBECTL)
        kubectl.chmod(0o755)
        self.mean(HERE)
        define(desk, TEAM)

    def mean(self, server: str) -> None:
        """Let the context mean a server."""
        (self.desk.home / "server").write_text(server)

    @property
    def asked(self) -> list[str]:
        """What was asked of a server."""
        calls = self.desk.home / "kubectl.calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if "config view" not in line]


@pytest.fixture
def clustered(tmp_path: Path) -> Clustered:
    return Clustered(tmp_path)


def test_a_clone_that_names_a_cluster_has_nothing_asked_there_before_its_user_agreed(
    tmp_path: Path,
):
    clone = Clustered(tmp_path, trusting=False)
    choose(clone, "team")
    assert clone.companion("plan", "--json").ok().agent["asked"] is False
    where = "the namespace agents of kubectl's context work, images in registry.test/team"
    assert f"runs on your place team ({where}), not here" in " ".join(
        clone.companion("plan").ok().out.split()
    )
    assert clone.companion("status", "--json").agent["fence"] is None
    for command in ("up", "audit", "doctor", "exec", "down", "list", "status", "logs", "ssh"):
        clone.companion(command, *(["coder", "true"] if command == "exec" else ()))
    assert not (clone.desk.home / "kubectl.calls").exists(), "kubectl was called"
    agree(clone).ok()
    clone.companion("up")
    assert clone.asked


def recorded(fake: Clustered) -> Any:
    """Record that the agent is at the cluster, as an `up` does that a build then ends."""
    fake.companion("up", "--on", "team")
    (file,) = fake.desk.home.glob("**/agent.json")
    choice = {
        "name": "kubernetes", "binary": str(fake.desk.home / "programs/kubectl"), "context": "work",
        "namespace": "agents", "registry": "registry.test/team", "server": HERE,
        "seal": digest(HERE), "place": "team",
        "defined": "the namespace agents of kubectl's context work, images in registry.test/team",
    }  # fmt: skip
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | {"engine": choice, "wanted": "up"}))
    (fake.desk.home / "kubectl.calls").unlink(missing_ok=True)
    return data


@pytest.mark.parametrize("command", ["up", "plan", "status", "down", "exec", "logs", "ssh"])
def test_a_context_that_means_another_server_now_is_refused_before_that_is_asked(
    clustered: Clustered, command: str
):
    recorded(clustered)
    clustered.mean(ELSEWHERE)
    words = ("coder", "--", "true") if command == "exec" else ()
    said = problem(clustered, command, *words)
    assert f"kubectl's context work means {ELSEWHERE} now, not {HERE}" in said
    assert not clustered.asked


def test_a_context_with_another_authority_at_the_same_address_is_refused(clustered: Clustered):
    recorded(clustered)
    clustered.companion("status").ok()
    assert clustered.asked
    (clustered.desk.home / "kubectl.calls").unlink()
    clustered.mean(f"{HERE}\nb3RoZXI=\n")
    by = "another certificate authority or proxy"
    assert f"kubectl's context work reaches {HERE} by {by} now" in problem(clustered, "down")
    assert not clustered.asked


def test_no_preference_of_kubectl_counts_and_a_relative_kubeconfig_is_the_one_of_then(
    clustered: Clustered,
):
    clustered.desk.environment["KUBECONFIG"] = "one.conf:sub/two.conf"
    clustered.companion("up", "--on", "team")
    seen = (clustered.desk.home / "kubectl.variables").read_text().splitlines()
    assert clustered.asked
    (variables,) = set(seen)
    kuberc, _, configs = variables.partition(" ")
    assert kuberc == "off"
    one, two = map(Path, configs.split(":"))
    assert one.is_absolute()
    assert two == one.parent / "sub/two.conf"


def project_id(fake: Clustered) -> str:
    (name,) = {file.parents[1].name for file in fake.desk.home.glob("**/agent.json")}
    return name


def pod(
    fake: Clustered, agent: str = "coder", role: str = "agent", image: str = "registry.test/x:1"
) -> str:
    """Return an agent's Pod, which runs, as `kubectl get` prints it for us."""
    labels = {"dev.companion.project": project_id(fake), "dev.companion.agent": agent}
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    statuses = [{"name": role, "state": state}]
    labeled = json.dumps(labels | {"dev.companion.role": role})
    words = ("Pod", "1", f"{agent}-0", "", "", "Running", labeled, "", json.dumps(statuses))
    return "\t".join((*words, "", f"{role}={image} ", " ")) + "\n"


def test_logs_that_a_cluster_refuses_are_one_message(clustered: Clustered):
    recorded(clustered)
    (clustered.desk.home / "pods").write_text(pod(clustered))
    refused = 'pods "coder-0" is forbidden: User "me" cannot get resource "pods/log"'
    said = f"the agent's own line\nError from server (Forbidden): {refused}"
    (clustered.desk.home / "refusal").write_text(said)
    assert f"refuses: {refused}" in problem(clustered, "logs")


def test_builds_for_a_cluster_hold_the_lock_of_the_engine_that_builds(clustered: Clustered):
    clustered.companion("up", "--on", "team")
    locks = [path.name for path in clustered.desk.paths.builds.glob("*.lock")]
    assert locks
    assert all(name.startswith("podman-") for name in locks)


def test_a_push_is_shown_apart_from_the_build_before_it(clustered: Clustered):
    said = clustered.companion("up", "--on", "team", "--verbose").err
    assert "\npushing registry.test/team/" in said


def test_down_with_a_record_that_cannot_be_read_clears_the_places_of_the_settings(
    clustered: Clustered,
):
    recorded(clustered)
    (file,) = clustered.desk.home.glob("**/agent.json")
    file.write_text("{")
    clustered.companion("down")
    assert any(" delete " in line for line in clustered.asked)
    (clustered.desk.home / "refusal").write_text("Unable to connect to the server: dial tcp")
    said = clustered.companion("down").err
    assert "does not answer: dial tcp; any containers remain" in said


def test_down_with_a_record_that_cannot_be_read_reports_the_places_that_it_cannot_clear(
    clustered: Clustered,
):
    recorded(clustered)
    (file,) = clustered.desk.home.glob("**/agent.json")
    file.write_text("{")
    clustered.desk.paths.owner_id.unlink()
    for _ in range(2):  # no ID is made, by which nothing would be found
        said = " ".join(clustered.companion("down").ok().err.split())
        assert "owner_id, by which objects on the place team are found; any containers" in said
    clustered.desk.paths.settings.write_text("places: 7\n")
    said = " ".join(clustered.companion("down").ok().err.split())
    assert "settings.yaml are unknown" in said
    assert not clustered.asked


def test_down_removes_a_pod_with_our_labels_that_nothing_owns(clustered: Clustered):
    recorded(clustered)
    (clustered.desk.home / "bare").write_text("pod/bare\n")
    clustered.companion("down").ok()
    deletions = (line.partition(" delete ")[2] for line in clustered.asked)
    kinds = [words.split()[0] for words in deletions if words]
    assert kinds.index("deployments,statefulsets") < kinds.index("pods")
    assert kinds.index("pods") < kinds.index("services,networkpolicies")


def test_doctor_names_secrets_that_a_stopped_sandbox_left_on_a_cluster(clustered: Clustered):
    recorded(clustered)
    (file,) = clustered.desk.home.glob("**/agent.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"wanted": "down"}))
    row = (
        f"secret/coder-1-secrets  Opaque  1  3d  0123456789abcdef  {project_id(clustered)}  coder\n"
    )
    (clustered.desk.home / "labels").write_text(f"\n{row}")
    said = " ".join(clustered.companion("doctor").out.split())
    assert "holds secrets of coder in ~/project, which is stopped" in said
    clustered.companion("doctor", "--fix")
    assert any(" delete " in line for line in clustered.asked)


def test_doctor_names_what_this_desktop_or_another_one_made_by_another_id(clustered: Clustered):
    recorded(clustered)
    assert "owner ID" not in clustered.companion("doctor").out
    rows = (f"secret/x  Opaque  1  3d  fedcba9876543210  {one}  coder\n"
            for one in (project_id(clustered), "somebody-else-12345678"))  # fmt: skip
    (clustered.desk.home / "others").write_text("".join(rows))
    said = " ".join(clustered.companion("doctor").out.split())
    assert said.count("with the owner ID fedcba9876543210") == 1
    assert "holds secrets of coder in ~/project with the owner ID" in said


def test_a_project_on_a_cluster_is_removed_while_no_engine_of_the_desktop_answers(
    clustered: Clustered,
):
    recorded(clustered)
    clustered.program.write_text("#!/bin/sh\necho it is broken >&2; exit 125\n")
    said = " ".join(clustered.companion("remove", str(clustered.project)).ok().err.split())
    assert "images of coder may remain: images for a cluster are built by an engine of" in said
    assert "it is broken" in said
    assert "no registered projects" in clustered.companion("list").ok().out


def test_a_silent_cluster_that_an_agent_is_on_can_be_abandoned(clustered: Clustered):
    recorded(clustered)
    (clustered.desk.home / "refusal").write_text("Unable to connect to the server: dial tcp")
    said = problem(clustered, "down")
    assert "does not answer: dial tcp" in said
    assert "if it is gone for good, run `companion down --abandon` first" in said
    clustered.companion("down", "--abandon").ok()
    clustered.companion("up").ok()
    clustered.is_whole()


WRONG = {
    "an unknown context": (
        TEAM.replace("work", "gone"), "", "kubectl does not know the context gone",
    ),
    "a silent cluster": (
        TEAM, "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout",
        "does not answer: dial tcp 10.0.0.1:6443: i/o timeout",
    ),
    "no credentials": (
        TEAM, "error: You must be logged in to the server (Unauthorized)",
        "does not accept your credentials: You must be logged in",
    ),
    "no rights": (
        TEAM,
        'Error from server (Forbidden): pods is forbidden: User "me" cannot list resource "pods"',
        'refuses: pods is forbidden: User "me" cannot list resource "pods"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_cluster_that_cannot_be_used_is_one_message_and_changes_nothing(
    clustered: Clustered, what: str
):
    places, refusal, words = WRONG[what]
    clustered.companion("up").ok()
    define(clustered.desk, places)
    if refusal:
        (clustered.desk.home / "refusal").write_text(refusal)
    said = problem(clustered, "up", "--on", "team")
    assert words in said
    assert "tip: " in said
    clustered.is_whole()


def test_a_place_without_kubectl_says_so(clustered: Clustered):
    (clustered.desk.home / "programs/kubectl").unlink()
    clustered.desk.environment["PATH"] = str(clustered.desk.home / "programs")
    assert "but kubectl is not installed" in problem(clustered, "up", "--on", "team")


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("{kubernetes: {context: work, namespace: agents}}", "registry"),
        (TEAM[7:-1].replace("work", "'--server=x'"), "must be a context of your kubeconfig"),
        (TEAM[7:-1].replace("agents", "Agents"), "must be a namespace"),
        (TEAM[7:-1].replace("registry.test/team", "'a b'"), "must begin the names of images"),
        (f"{TEAM[7:-2]}, docker: a}}", "must have one key: docker, podman or kubernetes"),
        (f"{TEAM[7:-2]}, seed: true}}", "a cluster gets no copies of directories"),
    ],
)
def test_a_place_that_cannot_be_is_one_message(clustered: Clustered, place: str, what: str):
    define(clustered.desk, f"{{team: {place}}}")
    assert what in problem(clustered, "validate")


def test_what_a_cluster_cannot_do_names_its_line(clustered: Clustered):
    text = f'{FREE}    runtime_volumes: ["./work:/work"]\n'
    (clustered.project / "agent.yaml").write_text(text)
    (clustered.project / "work").mkdir(exist_ok=True)
    said = problem(clustered, "up", "--on", "team")
    assert f"agent.yaml:{text.count(chr(10))}:" in said
    assert "a cluster cannot mount './work' of your desktop" in said


def fleet(clustered: Clustered, *names: str) -> None:
    for name in names:
        (clustered.project / name).mkdir()
        text = FREE.replace("name: coder", f"name: {name}") + "container_runtime: team\n"
        (clustered.project / name / "agent.yaml").write_text(text)
    (clustered.project / "agent.yaml").unlink()
    (clustered.project / "fleet.yaml").write_text(f"agents: {json.dumps(names)}\n")


def test_an_image_that_only_a_sibling_runs_is_looked_for_in_the_registry(clustered: Clustered):
    fleet(clustered, "a", "b")
    said = clustered.companion("up", "--verbose").err
    (image,) = set(re.findall(r"pushing (registry.test/team/\S+)", said))
    (clustered.desk.home / "pods").write_text(pod(clustered, "a", "gateway", image))
    planned = clustered.companion("plan", "--json").ok().data["agents"]
    builds = [any(s["step"] == "build the gateway image" for s in p["steps"]) for p in planned]
    assert builds == [False, True]


def test_a_fleet_is_planned_by_one_list_of_each_kind(clustered: Clustered):
    names = ("a", "b", "c")
    fleet(clustered, *names)
    planned = clustered.companion("plan", "--json").ok().data["agents"]
    assert [one["agent"] for one in planned] == list(names)
    lists = [words for words in clustered.asked if " get " in words and "=none" not in words]
    assert len(lists) == 2, lists
    assert len({words.partition(" get ")[2].split()[0] for words in lists}) == 2
