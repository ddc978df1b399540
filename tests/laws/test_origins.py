"""Whatever is wrong with what a plugin asks for, the message names file and line."""

from pathlib import Path

import pytest

from companion.errors import ConfigError
from companion.project.discovery import project
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile.desire import sandbox_of
from companion.reconcile.validate import check
from companion.sandbox.allocation import Allocation
from companion.system.paths import Paths

FLEET = """\
agents: [coder]
shared:
  features:
    - plugin: ssh
      authorized_keys: {keys}
    - plugin: external-services
      services: [{{url: "https://gives-way.test:8443"}}]
"""
AGENT = """\
name: coder
runtime: codex
features:
  - plugin: external-services
    services:
      - url: https://a.test
      - url: {second}
  - plugin: custom-runtime
    env: ["A=1", "A={value}"]
    entrypoint_hooks: [start.sh]
"""
GOOD = {"keys": "keys.pub", "second": "http://gives-way.test:8443", "value": "1"}


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / "coder").mkdir()
    (tmp_path / "coder/start.sh").write_text("true\n")
    (tmp_path / "keys.pub").write_text("")
    return tmp_path


def checked(team: Path, **changed: str):
    given = {**GOOD, **changed}
    (team / "fleet.yaml").write_text(FLEET.format(**given))
    (team / "coder/agent.yaml").write_text(AGENT.format(**given))
    home = Paths(team, *(team / "home" / name for name in ("config", "data", "state", "programs")))
    return check(home, AgentRef(project(team), "coder"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"keys": "none.pub"}, "fleet.yaml:5:24: there is no file 'none.pub'"),
        ({"second": "http://b.test:443"}, "coder/agent.yaml:7:9: http://b.test:443 is on a port"),
        (
            {"value": "2"},
            "coder/agent.yaml:9:18: features[1].env[0] (custom-runtime) and features[1].env[1] (",
        ),
    ],
)
def test_a_problem_stands_where_it_was_written(team: Path, changed: dict[str, str], message: str):
    with pytest.raises(ConfigError) as caught:
        checked(team, **changed)
    (problem,) = caught.value.problems
    assert str(problem).startswith(message)


def test_a_missing_hook_of_the_agents_own_stands_in_its_file(team: Path):
    (team / "coder/start.sh").rename(team / "start.sh")
    with pytest.raises(ConfigError, match=r"^coder/agent.yaml:10:24: there is no file 'start.sh'"):
        checked(team)


def test_what_is_asked_for_twice_in_the_same_words_is_there_once(team: Path):
    record = AgentRecord(Allocation("coder.sandbox", "10.1.0.0/28", "10.1.0.16/28"))
    sandbox = sandbox_of(checked(team), record)
    assert [(v.name, v.value) for v in sandbox.variables] == [("A", "1")]
    assert [u.endpoint for u in sandbox.upstreams] == ["a.test:443", "gives-way.test:8443"]
