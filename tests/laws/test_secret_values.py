"""The value of a secret is in the file that the gateway mounts, and in nothing else we hold."""

import base64
import copy
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from companion.engine.client import Engine
from companion.engine.model import EngineChoice, Observed
from companion.errors import CompanionError
from companion.oauth import grant_store
from companion.oauth.grants import Grant, key_of
from companion.oauth.web import Response
from companion.plugins.contribution import Contribution, EnvVar, OAuthToken, secrets
from companion.project.discovery import project
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import authority, mounted_files, secret_values
from companion.reconcile.comparison import Comparison
from companion.reconcile.desire import desired_of
from companion.reconcile.plan import plan
from companion.reconcile.secret_values import Secret
from companion.reconcile.steps import Plan
from companion.reconcile.validate import Checked, check
from companion.sandbox.allocation import Allocation
from companion.system.paths import Paths

URL = "https://mcp.test/mcp"
CONFIG = f"""\
name: coder
runtime: codex
features:
  - plugin: external-services
    services:
      - url: https://api.test
        headers: {{Authorization: "Bearer ${{KEY}}"}}
  - plugin: github-pat
    token: ${{PAT}}
  - plugin: mcp-oauth
    providers: {{notion: {{mcp_url: '{URL}', client_id: me, client_secret: '${{CLIENT}}'}}}}
"""
KEY, PAT, CLIENT = "sk-proj-9fK2c0ffee7Q4bX1zLw8", "ghp_abcdefghijklmnopqrst", "of-the-client-9d1f"
ACCESS, REFRESH = "access-5b7d0c6f3a", "refresh-e20b4c55d1"
NOTHING = Contribution()
PLAIN = (KEY, PAT, CLIENT, ACCESS, REFRESH)
CHOICE = EngineChoice("podman", "podman")
RECORD = AgentRecord(
    Allocation("coder.sandbox", "10.1.0.0/28", "10.1.0.16/28"), salt="s", engine=CHOICE
)


@dataclass(frozen=True)
class Made:
    home: Paths
    checked: Checked

    def compared(self) -> Comparison:
        desired = desired_of(self.home, self.checked, RECORD)
        engine, todo = Engine(CHOICE), plan(desired.target, Observed(), RECORD)
        return Comparison(self.checked, CHOICE, RECORD, desired, engine, Observed(), todo)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "agent.yaml").write_text(CONFIG)
    (directory / ".env").write_text(f"KEY={KEY}\nPAT={PAT}\nCLIENT={CLIENT}\nUNUSED={KEY}\n")
    checked = check(home, AgentRef(project(directory)))
    (provider,) = checked.contribution.providers
    grant = Grant("notion", URL, URL, "https://as.test", "https://as.test/token", "me", "", "none",
                  ACCESS, REFRESH, 0, 4e9)  # fmt: skip
    grant_store.keep(home, checked.project.id, key_of(provider), grant)
    authority.authority(home)
    return Made(home, check(home, checked.ref))


def shows(text: str | bytes) -> list[str]:
    """Return which secrets a text has, as they are or in base64."""
    raw = text.encode() if isinstance(text, str) else text
    forms = {p: (p.encode(), base64.b64encode(p.encode()).rstrip(b"=")) for p in PLAIN}
    return [plain for plain, both in forms.items() if any(form in raw for form in both)]


@pytest.mark.parametrize("shown", [repr, str, pickle.dumps])
def test_no_value_that_travels_shows_a_secret(made: Made, shown: Callable[[object], str | bytes]):
    seen = made.compared()
    grants = grant_store.read(made.home, made.checked.project.id)
    for value in (seen, seen.checked, seen.desired, seen.desired.sandbox, seen.plan, Plan(())):
        assert not shows(shown(value))
    if shown is not pickle.dumps:
        response = Response(200, f'{{"access_token": "{ACCESS}"}}', is_json=True, challenge="")
        assert not shows(shown((grants, response))), "they are kept, but not shown"
        adds = made.checked.contribution
        values = secret_values.resolve(made.home, made.checked.ref, adds, secrets(adds))
        assert {value.reveal() for value in values.values()} == {KEY, PAT, CLIENT, ACCESS}
        assert not shows(shown(values))


def test_the_gateways_files_and_nothing_else_get_the_values(made: Made):
    seen = made.compared()
    mounted_files.write(seen.desired, made.home, made.checked)
    agent_paths = made.checked.agent_paths(made.home)
    written = {
        p.name: base64.b64decode(p.read_bytes()).decode() for p in agent_paths.secrets.iterdir()
    }
    token = OAuthToken("notion", URL, "me")
    assert written == {"KEY": KEY, "PAT": PAT, token.name: ACCESS}
    others = [
        p for p in agent_paths.root.rglob("*") if p.is_file() and p.parent != agent_paths.secrets
    ]
    assert others
    assert not [p for p in others if shows(p.read_bytes())]


def test_a_seal_tells_that_a_value_changed_and_nothing_of_the_value(made: Made):
    def seals(values: dict[str, str], salt: str = "s") -> dict[EnvVar | OAuthToken, str]:
        return secret_values.seals({EnvVar(n): Secret(v) for n, v in values.items()}, salt)

    assert seals({"A": KEY}) == seals({"A": KEY})
    assert seals({"A": KEY}) != seals({"A": PAT})
    assert seals({"A": KEY}) != seals({"A": KEY}, "another project")
    before = dict(made.compared().desired.target.services[0].reloads)
    (made.checked.ref.env_files[-1]).write_text(f"KEY={KEY}\nPAT=new\nCLIENT={CLIENT}\n")
    after = dict(made.compared().desired.target.services[0].reloads)
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in changed if name.startswith("secret ")} == {"secret PAT"}


def test_the_agents_own_env_counts_more_than_its_fleets_and_that_more_than_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("OURS", "FLEETS", "OWN"):
        monkeypatch.setenv(name, "ours \udcff")
    (tmp_path / "coder").mkdir()
    (tmp_path / ".env").write_text("FLEETS=fleet\nOWN=fleet\n")
    (tmp_path / "coder/.env").write_text("OWN=own\n")
    wanted = [EnvVar(name) for name in ("OURS", "FLEETS", "OWN", "NONE")]
    home = Paths(*(tmp_path / name for name in ("h", "config", "data", "state", "programs")))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.yaml").write_text("environment: [OURS, OWN]\n")
    values = secret_values.resolve(home, AgentRef(project(tmp_path), "coder"), NOTHING, wanted)
    assert [values[one].encoded() for one in wanted] == [b"ours \xff", b"fleet", b"own", b""]
    assert set(secret_values.seals(values, "s")) == set(wanted)


def test_what_goes_wrong_while_secrets_are_written_shows_none(made: Made):
    seen = made.compared()
    agent_paths = made.checked.agent_paths(made.home)
    agent_paths.root.mkdir(parents=True)
    agent_paths.secrets.write_text("no directory")
    with pytest.raises((CompanionError, OSError)) as caught:
        mounted_files.write(seen.desired, made.home, made.checked)
    assert not shows("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize("taken", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_taken_along(taken: Callable[[Secret], object]):
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        taken(Secret(KEY))
    assert not shows(f"{Secret(KEY)} {Secret(KEY)!r} {[Secret(KEY)]}")
    assert Secret(KEY).reveal() == KEY
    assert not Secret("")
