"""Our documents say what is there."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from desk import ROOT
from packaging.requirements import Requirement

from companion.cli import parser
from companion.cli.parser import COMMANDS
from companion.config import decode, settings
from companion.config.models import AgentConfig, Fleet
from companion.errors import Code, CompanionError
from companion.operations import explanations
from companion.operations.findings import Check
from companion.plugins import FEATURES


@pytest.mark.parametrize("document", ["SECURITY.md", "docs/migrating.md"])
def test_every_claim_names_a_test_that_exists(document: str):
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    whole = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", whole))
    assert len(named) > 15
    assert named <= there, named - there


def test_the_page_of_commands_names_every_command_and_no_other():
    text = (ROOT / "docs/commands.md").read_text()
    table = text[text.index("| command | does |") : text.index("`-C DIR` names")]
    cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:] if "|" in line)
    assert set(re.findall(r"`([a-z]+)", cells)) == {command.name for command in COMMANDS}


def test_the_example_of_agent_yaml_is_valid_and_names_every_key():
    text = (ROOT / "docs/agent-yaml.md").read_text()
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


def test_architecture_says_what_each_operation_is_for():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text[text.index("| to change |") : text.index("The import directions")]
    modules = {f"operations/{path.name}" for path in (ROOT / "companion/operations").glob("[a-z]*")}
    assert not {name for name in modules if f"`{name}`" not in table}


OWN_LOCKS = {"docs": "docs/requirements.lock", "bundle": "installer/bundle/requirements.lock"}


def test_the_locks_pin_every_package_we_name_by_version_and_hash():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    common = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    named = {"requirements.lock": common}
    for name, group in project["dependency-groups"].items():
        lock = OWN_LOCKS.get(name, "requirements.lock")
        named.setdefault(lock, []).extend(entry for entry in group if isinstance(entry, str))
    pin = re.compile(r"^([\w.-]+)==(\S+).*(?:\\\n    --hash=sha256:\w{64}.*)+$", re.MULTILINE)
    for lock, requirements in named.items():
        text = (ROOT / lock).read_text()
        pinned = pin.findall(text)  # by version of Python, a package may have several pins
        pins = dict(pinned)
        for requirement in map(Requirement, requirements):
            assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement
        assert len(pinned) == len(re.findall(r"^\w", text, re.MULTILINE))
        assert "://" not in text


PAGES = sorted((ROOT / "docs").glob("*.md"))
TOP = [ROOT / name for name in ("README.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*TOP, *PAGES], ids=lambda page: page.name)
def test_every_link_of_a_document_leads_somewhere(page: Path):
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_the_index_lists_every_page_once():
    listed = re.findall(
        r"^- \[[^]]+\]\(([\w-]+\.md)\)", (ROOT / "docs/index.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(page.name for page in PAGES if page.name != "index.md")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_command_line_of_a_page_is_one_that_companion_parses(page: Path):
    recorded = {"five-minutes.md", "three-places.md"}
    for line in "".join(blocks(page.read_text(), "")).splitlines():
        if page.name not in recorded and line.startswith("companion "):
            words = shlex.split(line, comments=True)[1:]
            assert parser.parse(parser.split(words)).load, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_yaml_of_a_page_is_valid(page: Path):
    for text in blocks(page.read_text(), "yaml"):
        if text.startswith("# agent-sandbox"):
            continue
        if text.startswith("# settings.yaml"):
            settings.parse(text, "settings.yaml")
        elif text.startswith("agents:"):
            decode.fleet(text)
        else:
            begin = "" if re.search(r"^name:", text, re.MULTILINE) else "name: coder\n"
            begin += "" if re.search(r"^runtime:", text, re.MULTILINE) else "runtime: codex\n"
            config, document = decode.agent(begin + text)
            for index, feature in enumerate(config.features):
                plugin = next(p for p in FEATURES if p.name == feature.plugin)
                decode.decode(plugin.options, dict(feature.options), document, ("features", index))


def test_the_five_minutes_of_readme_are_what_was_recorded():
    section = (ROOT / "README.md").read_text().partition("## Five minutes in your repository")[2]
    lines = blocks(section, "")[0].splitlines()
    typed = re.findall(
        r"^ada@desk:~/code/app\$ (.+)$", (ROOT / "docs/five-minutes.md").read_text(), re.MULTILINE
    )
    commands = [line.partition(" #")[0].strip() for line in lines if line.startswith("companion ")]
    assert len(commands) > 5
    assert [command for command in dict.fromkeys(typed) if command in commands] == commands


def test_every_message_of_troubleshooting_is_one_that_companion_prints():
    text = (ROOT / "docs/troubleshooting.md").read_text()
    messages = re.findall(r"^\([\w-]+\)=\n### (.+)$", text, re.MULTILINE)
    code = "".join(path.read_text() for path in (ROOT / "companion").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)
    printed = re.sub(
        r"\{[^{}\n]*\}", "…", joined.replace("{project_paths.CONFIG_NAME}", "agent.yaml")
    )
    assert len(messages) > 30
    assert not [message for message in messages if message not in printed]


@pytest.mark.parametrize("name", sorted({*Check, *Code}))
def test_every_check_of_doctor_and_code_of_a_problem_is_explained(name: str):
    heading, _, text = explanations.of(name).partition("\n\n")
    assert heading
    assert text
    assert not re.search(r"\]\(|^#|^\(", text, re.MULTILINE)


def test_a_name_that_is_not_explained_is_answered_with_the_closest_one():
    with pytest.raises(CompanionError, match=r"'engine-netwrk'.*did you mean 'engine-network'"):
        explanations.of("engine-netwrk")


def test_the_animations_are_drawn_from_what_was_recorded(tmp_path: Path):
    copy = tmp_path / "scripts/animation.py"
    copy.parent.mkdir()
    copy.write_text((ROOT / "scripts/animation.py").read_text())
    (tmp_path / "docs").mkdir()
    for page in ("five-minutes", "three-places"):
        (tmp_path / f"docs/{page}.md").write_text((ROOT / f"docs/{page}.md").read_text())
    subprocess.run([sys.executable, copy], check=True)
    for page in ("five-minutes", "three-places"):
        kept = (ROOT / f"docs/{page}.svg").read_bytes()
        assert (tmp_path / f"docs/{page}.svg").read_bytes() == kept
        assert len(kept) < 300_000


def test_the_generated_reference_has_every_command_key_and_option():
    script = "import reference, json; print(json.dumps(reference.pages()))"
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, cwd=ROOT / "scripts", capture_output=True, text=True, check=True)
    pages = json.loads(done.stdout)
    assert re.findall(r"^### (\w+)$", pages["commands.md"], re.MULTILINE) == [
        c.name for c in COMMANDS
    ]
    options = {key for plugin in FEATURES for key in plugin.options.model_fields}
    for name, keys in {
        "agent-yaml.md": {*AgentConfig.model_fields, *options},
        "fleet-yaml.md": set(Fleet.model_fields),
        "settings-yaml.md": set(settings.Settings.model_fields),
    }.items():
        assert keys <= set(re.findall(r"^\| `(\w+)` ", pages[name], re.MULTILINE)), name


@pytest.mark.long
def test_the_site_is_built_without_a_warning_and_fetches_nothing():
    done = subprocess.run(
        ["make", "-s", "docs"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "pages" in done.stdout
