"""What is mounted is a value, the same on every machine; only a driver makes a path of it."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from test_cases import HERE, generated
from test_plan import held, world

from companion.engine.arguments import create_argv
from companion.engine.dialect import DIALECTS
from companion.engine.model import EngineChoice
from companion.engine.reports import parse_container
from companion.errors import CompanionError
from companion.project.record import ConfigSummary
from companion.reconcile import snapshot
from companion.reconcile.plan import plan
from companion.reconcile.steps import Start
from companion.spec.containers import Bind, Directory, Files, HostPath, Role, Service, Volume
from companion.system.project_paths import AgentPaths

SOURCES = (Files(Directory.SSHD), Files(Directory.SSHD, "sshd"), HostPath("sshd"), Volume("sshd"))


def test_what_is_mounted_is_what_is_written():
    agent_paths = AgentPaths(Path("/state/coder"))
    for name in Directory:
        assert Files(name).on_host(str(agent_paths.root)) == str(getattr(agent_paths, name))


def test_each_kind_of_source_is_a_definition_of_its_own():
    agent = Service("coder", Role.AGENT, "image", "1000", ())
    binds = [(Bind(source, "/x", read_only=True),) for source in SOURCES]
    assert len({replace(agent, binds=one).spec for one in binds}) == len(SOURCES)


def test_a_snapshot_keeps_each_kind_of_source(tmp_path: Path):
    target = generated(HERE / "everything", tmp_path).target
    binds = tuple(Bind(source, "/x", read_only=True) for source in SOURCES)
    target = replace(target, images=(), services=(replace(target.services[0], binds=binds),))
    agent_paths = AgentPaths(tmp_path / "coder")
    version = snapshot.Snapshot(EngineChoice("podman", "podman"), target, ConfigSummary("node"))
    snapshot.keep(agent_paths, version)
    assert snapshot.read(agent_paths) == version


def test_a_snapshot_of_0_1_still_leads_back(tmp_path: Path):
    """There a source was a text, and a volume had a flag."""
    target = generated(HERE / "everything", tmp_path).target
    binds = (
        Bind(HostPath("/srv/x"), "/x", read_only=False),
        Bind(Volume("home"), "/h", read_only=False),
    )
    target = replace(target, images=(), services=(replace(target.services[0], binds=binds),))
    version = snapshot.Snapshot(EngineChoice("podman", "podman"), target)
    agent_paths = AgentPaths(tmp_path / "coder")
    snapshot.keep(agent_paths, version)
    path = agent_paths.good / "good.json"
    old = json.loads(path.read_text())
    del old["version"], old["config"]
    for bind in old["target"]["services"][0]["binds"]:
        source = bind["source"]
        bind |= {"source": source.get("path") or source["name"], "volume": "name" in source}
    path.write_text(json.dumps(old))
    assert snapshot.read(agent_paths) == version


def test_a_snapshot_without_system_calls_of_ours_starts_with_the_engines_own(tmp_path: Path):
    """Versions before there was such a list wrote none, or an absolute path."""
    service = generated(HERE / "everything", tmp_path).target.services[0]
    argv = create_argv(
        DIALECTS["docker"], "p", "coder", replace(service, seccomp=""), "/state", "/p"
    )
    assert "no-new-privileges" in argv
    assert not [word for word in argv if word.startswith("seccomp")]


@pytest.mark.parametrize("text", ['{"engine"', '{"engine": {"name": "podman"}}', "", "[]"])
def test_a_snapshot_that_cannot_be_read_is_reported_and_puts_nothing_back(
    tmp_path: Path, text: str
):
    agent_paths = AgentPaths(tmp_path)
    for directory, rules in ((agent_paths.gateway, "new"), (agent_paths.good / "gateway", "old")):
        directory.mkdir(parents=True)
        (directory / "rules").write_text(rules)
    (agent_paths.good / "good.json").write_text(text)
    with pytest.raises(CompanionError, match="is damaged"):
        snapshot.read(agent_paths)
    assert (agent_paths.gateway / "rules").read_text() == "new"


@pytest.mark.parametrize("now", ["/state/coder", "/elsewhere/coder"])
def test_a_container_whose_files_lie_elsewhere_is_made_anew(tmp_path: Path, now: str):
    desired = generated(HERE / "everything", tmp_path).target
    agent, seen = desired.service(Role.AGENT), world(desired)
    argv = create_argv(
        DIALECTS["podman"], "case", "coder", agent, "/state/coder", "/state/coder/seccomp"
    )
    pairs = pairwise(argv)
    labels = dict(value.split("=", 1) for flag, value in pairs if flag == "--label")
    data = {"Id": "1", "Name": "x", "Config": {"Labels": labels}, "State": {}, "HostConfig": {}}
    spec = parse_container(data, now).spec
    containers = tuple(
        replace(c, spec=spec) if c.role is Role.AGENT else c for c in seen.containers
    )
    steps = plan(desired, replace(seen, containers=containers), held(desired)).steps
    started = [step.service.name for step in steps if isinstance(step, Start)]
    assert started == ([] if now == "/state/coder" else ["coder"])
