"""`--json`: the envelope and its codes, as scripts may rely on them."""

import json
import re
from pathlib import Path

import pytest
from desk import AGENT, ROOT, Desk
from fake_project import fresh

from companion.cli.catalogue import COMMANDS
from companion.errors import Code
from companion.reconcile.reasons import Reason

PROBLEMS = """
failed usage bug config-invalid config-missing no-credential credential-rejected secret-missing
secret-unbound secret-failed no-keychain keychain-locked not-authorized token-expired
no-engine engine-silent engine-elsewhere engine-denied engine-failed world-changed
subnet-taken address-held name-taken port-taken port-local git-unprotected git-changed image-gone
network-missing no-way-out
pull-failed build-failed login-failed
agent-ended rolled-back superseded stopped already-running not-registered not-started agent-unknown
no-logins editor-missing exists no-watcher no-repository work-unsaved confirmation-required
restart-needed trust-required damaged file-access
"""
REASONS = """
missing image-missing spec-changed network-changed namespace-replaced stopped coming
restarted-elsewhere restart-requested not-loaded not-wanted engine-changed files-unknown
files-lost unreachable
"""


def test_codes_are_documented_and_none_disappears():
    text = (ROOT / "docs/json.md").read_text()
    problems, steps = text.partition("## Codes of problems")[2].split("## Codes of a plan")
    row = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)
    assert row.findall(problems) == PROBLEMS.split() == list(Code)
    assert row.findall(steps) == REASONS.split() == list(Reason)


def test_the_envelope_is_as_documented(desk: Desk):
    text = (ROOT / "docs/json.md").read_text()
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example
    done = desk.companion("-C", str(desk.project("name: coder\n")), "validate", "--json")
    assert json.loads(done.out) == json.loads(example[1])
    assert done.err == ""


ENDLESS = {"watch", "tray", "top"}
WORDS = {
    "allow": "x.org", "deny": "x.org", "exec": "coder -- true", "cp": "a coder:", "port": "3000",
    "editors": "list", "keys": "list", "oauth": "notion", "secret": "list", "autostart": "status",
    "completions": "bash", "run": "codex", "compose": "ps",
}  # fmt: skip


def test_the_answer_of_every_command_is_one_json_value(desk: Desk):
    fake = fresh(desk)
    for command in (c.name for c in COMMANDS if c.name not in ENDLESS):
        words = WORDS.get(command, "").split()
        done = desk.companion("-C", str(fake.project), "--json", command, *words)
        assert done.out.startswith("{"), (command, done)
        answer = json.loads(done.out)
        assert (answer["command"], answer["exit_code"]) == (command, done.code), command
        assert answer["ok"] is (done.code == 0)
        assert answer["ok"] or answer["problems"] or command == "doctor", command
        assert "this is a bug" not in done.out


SERVICE = """\
  - plugin: external-services
    services:
      - url: https://x.test
        headers: {X-Key: "${SOME_KEY}"}
"""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("statsu", "usage"),
        ("-C nowhere validate", "config-missing"),
        ("-C lacking up", "secret-missing"),
        ("-C lacking validate", "secret-missing"),
        ("-C project pause", "not-registered"),
        ("remove project", "not-registered"),
        ("-C project logs other", "agent-unknown"),
        ("init project", "exists"),
        ("uninstall", "confirmation-required"),
        ("-C project open coder --in vi", "editor-missing"),
    ],
)
def test_a_problem_has_the_code_that_a_script_would_act_on(desk: Desk, line: str, code: str):
    desk.project()
    desk.project(AGENT + SERVICE, "lacking")
    answer = json.loads(desk.companion(*line.split(), "--json").out)
    assert [problem["code"] for problem in answer["problems"]] == [code]


def test_editor_settings_that_cannot_be_read_are_a_matter_of_file_access(desk: Desk):
    (desk.home / ".config/Code/User/settings.json").mkdir(parents=True)
    answer = desk.companion("editors", "sync", "--json")
    assert (answer.code, problem(answer.out)) == (1, "file-access")


def test_what_an_engine_does_has_codes_too(desk: Desk):
    fake = fresh(desk)
    assert codes(fake.companion("plan", "--json").out) == {"missing", "image-missing"}
    fake.companion("up").ok()
    fake.set(refuse=["start"])
    with (fake.project / "agent.yaml").open("a") as config:
        config.write("workdir: /srv\n")
    assert codes(fake.companion("plan", "--json").out) == {"spec-changed"}
    fake.set(refuse=["version", "ps"])
    assert problem(fake.companion("up", "--json").out) == "engine-failed"
    fake.set(refuse=[])
    (record,) = Path(desk.home).rglob("agent.json")
    record.write_text("{")
    assert problem(fake.companion("up", "--json").out) == "damaged"


def codes(out: str) -> set[str]:
    (agent,) = json.loads(out)["data"]["agents"]
    return {step["code"] for step in agent["steps"]}


def problem(out: str) -> str:
    (only,) = json.loads(out)["problems"]
    return str(only["code"])
