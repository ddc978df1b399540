"""The schema that editors get says what companion says."""

import json
from pathlib import Path

import jsonschema
import pytest
from desk import AGENT, ROOT, Desk

from companion.config import strict_yaml
from companion.operations import json_schema
from companion.operations.descriptions import KEYS

EXAMPLES = ROOT.glob("assets/examples/**/agent.yaml")
VALID = sorted([*ROOT.glob("tests/cases/*/agent.yaml"), *EXAMPLES])
FLEETS = sorted(ROOT.glob("assets/examples/*/fleet.yaml"))


def judged(text: str, found: json_schema.Schema) -> list[str]:
    """Return what the schema has against a text."""
    data = json.loads(json.dumps(strict_yaml.parse(text, "x").data))
    judge = jsonschema.Draft202012Validator(found)
    judge.check_schema(found)
    return [error.json_path for error in judge.iter_errors(data)]


@pytest.mark.parametrize("file", VALID, ids=lambda f: f.parent.name)
def test_every_config_of_ours_fits(file: Path):
    assert judged(file.read_text(), json_schema.agent()) == []


def test_every_key_of_the_files_has_a_description_that_editors_show():
    models = list(json_schema.described())
    assert {name for _, name in models} == set(KEYS)
    for model, name in models:
        assert set(KEYS[name]) == set(model.model_fields), name
    assert all(text[-1] == "." for keys in KEYS.values() for text in keys.values())
    schema = json_schema.agent()
    (ssh,) = (
        one
        for one in schema["$defs"]["Feature"]["anyOf"]
        if one["properties"]["plugin"] == {"const": "ssh"}
    )
    assert ssh["properties"]["host_key"]["description"] == KEYS["ssh"]["host_key"]
    assert "description" in schema["properties"]["egress"]


@pytest.mark.parametrize("file", FLEETS, ids=lambda f: f.parent.name)
def test_every_fleet_of_ours_fits(file: Path):
    assert judged(file.read_text(), json_schema.fleet()) == []


@pytest.mark.parametrize(
    "text",
    [
        AGENT.replace("egress:", "egres:"),
        AGENT.replace("listed", "closed"),
        AGENT.replace("plugin: ssh", "plugin: shh"),
        AGENT + "    port: 70000\n",
        AGENT + "    prot: 2222\n",
        AGENT.replace("{base_image:", "{cmd: [x], image:"),
        AGENT.replace("runtime:", "limits: {pids: many}\nruntime:"),
        "runtime: codex\n",
        "name: coder\nruntime: codecs\n",
    ],
)
def test_what_companion_refuses_by_its_types_the_schema_refuses(desk: Desk, text: str):
    assert desk.companion("-C", str(desk.project(text)), "validate").code == 1
    assert judged(text, json_schema.agent())


def test_init_and_schema_write_the_comment_and_up_and_generate_do_not(desk: Desk):
    made = desk.home / "made"
    desk.companion("init", str(made)).ok()
    first = (made / "agent.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=.build/agent.schema.json"
    assert json.loads((made / ".build/agent.schema.json").read_text()) == json_schema.agent()
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    assert (project / "agent.yaml").read_text() == AGENT
    desk.companion("-C", str(project), "schema", "--write").ok()
    assert (project / "agent.yaml").read_text() == f"{first}\n{AGENT}"
    desk.companion("-C", str(project), "generate").ok()
    again = desk.companion("-C", str(project), "schema", "--write").ok()
    assert "up to date" in again.out
    old = f"# yaml-language-server: $schema=.build/schema.json\n{AGENT}"
    (project / "agent.yaml").write_text(old)
    desk.companion("-C", str(project), "schema", "--write").ok()
    assert (project / "agent.yaml").read_text() == f"{first}\n{AGENT}"
    assert desk.companion("schema", "--json").ok().data == json_schema.agent()


def test_the_agents_of_a_fleet_point_up(desk: Desk):
    made = desk.home / "team"
    desk.companion("init", str(made), "--example", "multi-agent").ok()
    lines = {
        name: (made / name).read_text().splitlines()[0].partition("=")[2]
        for name in ("fleet.yaml", "coder/agent.yaml")
    }
    assert lines == {
        "fleet.yaml": ".build/fleet.schema.json",
        "coder/agent.yaml": "../.build/agent.schema.json",
    }
    assert (made / "coder" / lines["coder/agent.yaml"]).exists()
    assert not list(made.rglob("*.before-companion"))
