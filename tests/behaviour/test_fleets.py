"""A fleet.yaml: several agents with what they share, and everything that may be wrong with it."""

from pathlib import Path

import pytest
from desk import AGENT, Desk

SERVICE = """\
  - plugin: external-services
    services:
      - url: https://{host}
        headers: {{X-Key: "${{{key}}}"}}
"""
FLEET = """\
agents: [coder, reviewer]
shared:
  egress: {mode: listed, allow: [shared.test]}
  features:
    - plugin: ssh
      authorized_keys: keys.pub
    - plugin: external-services
      services:
        - url: https://shared.test
          headers: {X-Key: "${SHARED}"}
"""
LONE = 'name: {name}\nruntime: {{base_image: "debian:bookworm-slim"}}\n'
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7QaP2rNhzOGQ1n9xnTqWb4lmbQ4Zf1oDqQZ3x3Lr3j me\n"


@pytest.fixture
def fleet(desk: Desk) -> Path:
    directory = desk.home / "team"
    for name, more in (
        ("coder", ""),
        ("reviewer", "egress: open\nfeatures:\n" + SERVICE.format(host="own.test", key="OWN")),
    ):
        (directory / name / "work").mkdir(parents=True)
        (directory / name / "agent.yaml").write_text(LONE.format(name=name) + more)
    (directory / "fleet.yaml").write_text(FLEET)
    (directory / "keys.pub").write_text(KEY)
    (directory / ".env").write_text("SHARED=one\nOWN=two\n")
    return directory


def said(desk: Desk, fleet: Path, *arguments: str) -> str:
    done = desk.companion("-C", str(fleet), *arguments)
    assert done.code == 1, done.out
    return "\n".join(done.problems)


def test_each_agent_gets_what_is_shared_unless_it_says_otherwise(desk: Desk, fleet: Path):
    done = desk.companion("-C", str(fleet), "validate", "--json").ok()
    assert done.data["agents"] == [
        {"agent": "coder", "variables": ["SHARED"]},
        {"agent": "reviewer", "variables": ["OWN"]},
    ]
    desk.companion("-C", str(fleet), "generate").ok()
    rules = {n: (fleet / f".build/{n}/gateway-config/hosts.map").read_text() for n in ("coder",)}
    assert "shared.test" in rules["coder"]
    for name in ("coder", "reviewer"):
        compose = (fleet / f".build/{name}/docker-compose.yml").read_text()
        assert f"{name}-internal:" in compose
        assert "/sshd" in compose
    example = (fleet / ".env.example").read_text()
    assert "OWN=\n" in example
    assert "SHARED=\n" in example


def test_what_is_no_agent_any_more_leaves_the_build(desk: Desk, fleet: Path):
    desk.companion("-C", str(fleet), "generate").ok()
    (fleet / "fleet.yaml").write_text(FLEET.replace("[coder, reviewer]", "[coder]"))
    desk.companion("-C", str(fleet), "generate").ok()
    assert sorted(p.name for p in (fleet / ".build").iterdir()) == [".gitignore", "coder"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[coder, reviewer]",
            '[".."]',
            "fleet.yaml:1:10: entry 1 of 'agents' must be 1 to 40 of",
        ),
        ("[coder, reviewer]", "[]", "fleet.yaml:1:1: 'agents' is empty; give at least one"),
        (
            "[coder, reviewer]",
            "[coder, coder]",
            (
                "fleet.yaml:1:17: the agent 'coder' is listed twice; remove one of them; the "
                "first is at fleet.yaml:1:10"
            ),
        ),
        (
            "[coder, reviewer]",
            "[coder-net, coder]",
            (
                "fleet.yaml:1:10: the agents 'coder' and 'coder-net' have containers of one name; "
                "rename one of them; the other is at fleet.yaml:1:21"
            ),
        ),
        (
            "[coder, reviewer]",
            "[coder, coder-ingress]",
            "the agents 'coder' and 'coder-ingress' have containers of one name",
        ),
        ("[coder, reviewer]", "[coder, tester]", "there is no agent.yaml in "),
        ("agents:", "agnets:", "fleet.yaml:1:1: unknown key 'agnets'; did you mean 'agents'?"),
        ("keys.pub", "../keys.pub", "fleet.yaml:6:24: '../keys.pub' is outside the project"),
        ("plugin: ssh", "plugin: shh", "fleet.yaml:5:15: there is no plugin 'shh'"),
        ("authorized_keys:", "authorised_keys:", "fleet.yaml:6:7: unknown key 'authorised_keys'"),
        (
            "authorized_keys: keys.pub",
            "port: 3000\n    - plugin: custom-runtime\n      ports: ['3000:80']",
            "fleet.yaml:5:7: shared.features[1].ports[0] (custom-runtime) and shared.features",
        ),
        ("mode: listed", "mode: closed", "fleet.yaml:3:18: 'mode' must be 'open' or 'listed'"),
    ],
)
def test_a_mistake_in_fleet_yaml_has_its_place(
    desk: Desk, fleet: Path, old: str, new: str, message: str
):
    (fleet / "fleet.yaml").write_text(FLEET.replace(old, new))
    assert message in said(desk, fleet, "validate")


def test_a_mistake_in_one_agent_names_its_file(desk: Desk, fleet: Path):
    config = fleet / "reviewer/agent.yaml"
    config.write_text(LONE.format(name="critic"))
    assert said(desk, fleet, "validate") == (
        "reviewer/agent.yaml:1:7: the agent's name is 'critic', but fleet.yaml lists 'reviewer'; "
        "give the agent the name of its directory; it is listed at fleet.yaml:1:17"
    )


def test_no_agent_may_see_what_is_anothers(desk: Desk, fleet: Path):
    mount = "features:\n  - plugin: custom-runtime\n    runtime_volumes: ['{}:/home/agent/x']\n"
    for place, problem in (
        ("../reviewer/work", "lies in reviewer"),
        ("../reviewer", "is reviewer"),
        ("..", "contains"),
        ("../.env", "is .env"),
    ):
        text = LONE.format(name="coder") + mount.format(place)
        (fleet / "coder/agent.yaml").write_text(text)
        message = said(desk, fleet, "validate")
        assert message.startswith("coder/agent.yaml:5:")
        assert problem in message


def test_an_agents_directory_is_no_project_of_its_own(desk: Desk, fleet: Path):
    assert f"belongs to the fleet in {fleet}; use -C {fleet}" in said(
        desk, fleet / "coder", "validate"
    )
    (fleet / "stranger").mkdir()
    (fleet / "stranger/agent.yaml").write_text(AGENT)
    desk.companion("-C", str(fleet / "stranger"), "validate").ok()


def test_an_agent_that_is_not_there_is_named(desk: Desk, fleet: Path):
    assert "there is no agent 'coderr'" in said(desk, fleet, "up", "coderr")
    assert "did you mean 'coder'?" in said(desk, fleet, "up", "coderr")
