"""Our documents say what is there."""

import re
import tomllib

import pytest
from desk import ROOT
from packaging.requirements import Requirement

from companion.cli.parser import COMMANDS
from companion.config import decode
from companion.config.models import AgentConfig
from companion.plugins import FEATURES


@pytest.mark.parametrize("document", ["SECURITY.md", "docs/reference.md"])
def test_every_claim_names_a_test_that_exists(document: str):
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    whole = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", whole))
    assert len(named) > 15
    assert named <= there, named - there


def test_the_readme_names_every_command_and_no_other():
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| command | does |") : text.index("`-C DIR` names")]
    cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:] if "|" in line)
    assert set(re.findall(r"`([a-z]+)", cells)) == {command.name for command in COMMANDS}


def test_the_readmes_agent_yaml_is_valid_and_names_every_key():
    text = (ROOT / "README.md").read_text()
    example = re.search(r"```yaml\n(name: .*?)```", text, re.DOTALL)
    assert example
    config, document = decode.agent(example[1].replace("runtime: codex ", "runtime: codex "))
    assert set(AgentConfig.model_fields) == config.model_fields_set
    assert {f.plugin for f in config.features} == {plugin.name for plugin in FEATURES}
    for index, feature in enumerate(config.features):
        plugin = next(p for p in FEATURES if p.name == feature.plugin)
        decode.decode(plugin.options, dict(feature.options), document, ("features", index))


def test_every_place_that_architecture_names_exists():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text[text.index("| to change |") : text.index("The import directions")]
    for name in re.findall(r"`([\w/.]+\.py|[a-z]+/)`", table):
        assert (ROOT / "companion" / name).exists() or (ROOT / name).exists(), name


def test_the_lock_pins_every_package_we_name_by_version_and_hash():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for group in project["dependency-groups"].values():
        named += [entry for entry in group if isinstance(entry, str)]
    lock = (ROOT / "requirements.lock").read_text()
    pin = re.compile(r"^([\w.-]+)==(\S+).*(?:\\\n    --hash=sha256:\w{64}.*)+$", re.MULTILINE)
    pins = dict(pin.findall(lock))
    for requirement in map(Requirement, named):
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement
    assert len(pins) == len(re.findall(r"^\w", lock, re.MULTILINE))
    assert "://" not in lock
