"""What is remembered of an agent survives a restart of Companion, and an older version's shape."""

import json
from pathlib import Path

from companion.engine.model import EngineChoice
from companion.project import kept_volumes, store
from companion.project.record import AgentRecord, Applied, ConfigSummary, Written
from companion.sandbox.allocation import Allocation
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

RECORD = AgentRecord(
    Allocation("coder.sandbox", "10.1.0.0/28", "10.1.0.16/28", 2222),
    wanted="up",
    engine=EngineChoice("docker", "/usr/bin/docker", (("DOCKER_HOST", "unix:///x"),)),
    applied=Applied({"coder": {"image": "1"}}, {"gateway": {"rules": "2"}}, complete=True),
    config=ConfigSummary(user="node", steered_by=("/p/agent.yaml",), writes=("/p/work",)),
)


def test_a_record_reads_back_as_it_was_written(tmp_path: Path):
    store.write(AgentPaths(tmp_path), RECORD)
    assert store.read(AgentPaths(tmp_path)) == RECORD


OTHER = {"version", "applied", "config"}
"""What a file of 0.1 does not have."""


def test_a_record_of_0_1_keeps_what_it_knew(tmp_path: Path):
    store.write(AgentPaths(tmp_path), RECORD)
    path = AgentPaths(tmp_path).record
    nested = json.loads(path.read_text())
    flat = nested | nested.pop("applied") | nested.pop("config")
    path.write_text(json.dumps({k: v for k, v in flat.items() if k not in OTHER}))
    assert store.read(AgentPaths(tmp_path)) == RECORD


def test_volumes_of_an_agent_that_is_gone_are_remembered_until_its_own_are_removed(tmp_path: Path):
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    for name in ("first", "second"):
        kept_volumes.keep(home, "p-1", Written("/p", {name: RECORD}))
    kept_volumes.forget(home, "p-1", ("second", "third"))
    ((_, kept),) = kept_volumes.all_of_user(home)
    assert kept.agents == ("first",)
    kept_volumes.forget(home, "p-1", ("first",))
    assert not [*kept_volumes.all_of_user(home)]


def test_a_save_that_waits_with_an_update_takes_no_reach_from_what_runs():
    runs = ConfigSummary(user="node", writes=("/p/old",), ports=(80,), egress="no gateway")
    saved = ConfigSummary(user="dev", writes=("/p/new",), ports=(81,), egress="listed")
    now = saved.waiting(runs)
    assert (now.user, now.ports, now.egress) == ("node", (80,), "no gateway")
    assert set(now.writes) == {"/p/old", "/p/new"}
    assert saved.waiting(ConfigSummary(egress="open")).egress == "listed"
