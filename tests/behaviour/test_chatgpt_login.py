"""Codex with a ChatGPT plan: one login for all sandboxes, renewed once, and no stray token."""

import base64
import json
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chatgpt_server import CANARY, OpenAI, accounts_file, openai_servers
from desk import COMPANION, Desk
from fake_project import Fake
from mcp_server import give_browser
from sandboxes import wait_until

from companion.oauth import grant_store

CONFIG = """\
name: {name}
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: podman
egress: listed
features:
  - {{plugin: codex, login: chatgpt}}
"""
WAITS = "another process renews tokens: waiting"
TOLD = "agent.yaml:6:28: ChatGPT is not authorized yet; run `companion login coder`"


@pytest.fixture
def openai(desk: Desk) -> Iterator[OpenAI]:
    """OpenAI's servers, and a browser that says yes."""
    with openai_servers(desk) as openai:
        give_browser(desk)
        yield openai


@pytest.fixture
def fake(desk: Desk, openai: OpenAI) -> Fake:
    return Fake(desk, desk.project(CONFIG.format(name="coder")))


@pytest.fixture
def other(fake: Fake) -> Fake:
    """Another project of the same user, whose sandbox uses the same login."""
    return Fake(fake.desk, fake.desk.project(CONFIG.format(name="other"), name="other"))


def token(desk: Desk, agent: str = "coder") -> str:
    """Return what the gateway of an agent has mounted as the account's token."""
    (file,) = desk.paths.projects.glob(f"*/{agent}/secrets/account.ChatGPT")
    return base64.b64decode(file.read_text()).decode()


def grant(desk: Desk) -> dict[str, Any]:
    (only,) = json.loads(accounts_file(desk).read_text())["grants"].values()
    return dict(only)


def ends_in(desk: Desk, seconds: float) -> None:
    """Let time pass for the grant."""
    whole = json.loads(accounts_file(desk).read_text())
    times = {"since": time.time() + seconds - 3600, "until": time.time() + seconds}
    changed = {key: one | times for key, one in whole["grants"].items()}
    accounts_file(desk).write_text(json.dumps(whole | {"grants": changed}))


def test_who_has_not_logged_in_is_told_the_command_everywhere(fake: Fake):
    assert TOLD in fake.companion("up").ok().problems
    for command in ("status", "validate", "plan"):
        assert fake.companion(command).ok().problems.count(TOLD) == 1
    assert token(fake.desk) == ""
    egress = (fake.project / ".build/coder/gateway-config/egress.cfg").read_text()
    assert "no valid token for ChatGPT: run `companion login` on the desktop" in egress


def test_one_login_serves_the_sandboxes_of_all_projects_and_only_their_gateways_get_a_token(
    fake: Fake, other: Fake, openai: OpenAI
):
    for one in (fake, other):
        one.companion("up").ok()
    calls = len(fake.world["calls"])
    done = fake.companion("login", "coder").ok()
    assert "logged in to ChatGPT as me@example.com until" in done.out
    assert "manage its usage at https://chatgpt.com/settings/usage" in done.out
    assert "coder can use it now" in done.out
    assert "other can use it now" in done.out
    (access,) = openai.access
    assert token(fake.desk) == token(fake.desk, "other") == access
    assert not fake.world["calls"][calls:]  # a reload: nothing is created or removed
    for one in (fake, other):
        assert "not authorized" not in one.companion("up").ok().err
    whole = [path for path in fake.desk.home.rglob("*") if path.is_file()]
    holding = [path for path in whole if CANARY.encode() in path.read_bytes()]
    assert holding == [accounts_file(fake.desk)]
    mounted = [path for path in whole if base64.b64encode(access.encode()) in path.read_bytes()]
    assert {path.parent.name for path in mounted} == {"secrets"}
    assert stat.S_IMODE(accounts_file(fake.desk).stat().st_mode) == 0o600
    assert CANARY not in done.out + done.err


def test_a_token_is_renewed_once_though_two_agents_ask_at_once(
    fake: Fake, other: Fake, openai: OpenAI
):
    for one in (fake, other):
        one.companion("up").ok()
    fake.companion("login", "coder").ok()
    (first,) = openai.access
    ends_in(fake.desk, 200)
    with grant_store.held(fake.desk.paths, grant_store.ACCOUNTS):
        ups = [fake.desk.start("-C", str(one.project), "up") for one in (fake, other)]
        assert all(any(WAITS in line for line in up.stderr) for up in ups)
    said = [up.communicate()[1] for up in ups]
    assert [up.returncode for up in ups] == [0, 0]
    assert len(openai.forms("refresh_token")) == 1
    assert sum("renewing the token for ChatGPT" in one for one in said) == 1
    assert first != token(fake.desk) == token(fake.desk, "other") == list(openai.access)[-1]
    assert grant(fake.desk)["refresh_token"] in openai.refresh


def test_the_watcher_renews_in_time_and_reloads_each_gateway(
    fake: Fake, other: Fake, openai: OpenAI
):
    openai.lifetime = 5
    for one in (fake, other):
        one.companion("up").ok()
    fake.companion("login", "coder").ok()
    calls, log = len(fake.world["calls"]), fake.desk.home / "watch.log"
    with log.open("w") as out:
        argv = [COMPANION, "watch"]
        child = subprocess.Popen(argv, env=fake.desk.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: len(openai.access) >= 3, tell=log.read_text)
        openai.lifetime = 3600
        known = len(openai.access)
        wait_until(lambda: len(openai.access) > known, tell=log.read_text)
        for name in ("coder", "other"):
            wait_until(lambda n=name: token(fake.desk, n) == list(openai.access)[-1],
                       tell=log.read_text)  # fmt: skip
    finally:
        child.terminate()
        child.wait(timeout=60)
    assert len(openai.used) == len(openai.forms("refresh_token"))  # none was shown twice
    changing = [call for call in fake.world["calls"][calls:] if call[0] in {"create", "rm"}]
    assert not changing


def test_a_revoked_login_gives_one_message_and_a_new_login_repairs_it(fake: Fake, openai: OpenAI):
    fake.companion("up").ok()
    fake.companion("login", "coder").ok()
    openai.refresh.clear()
    ends_in(fake.desk, 200)
    said = "https://auth.openai.com no longer renews the token for ChatGPT:"
    told = f"{said} refresh_token_invalidated (no); authorize again: run `companion login coder`"
    for command in ("up", "up", "status"):
        (problem,) = fake.companion(command).ok().problems
        assert problem.endswith(told)
    assert len(openai.forms("refresh_token")) == 1  # the server was not asked again
    ends_in(fake.desk, -1)
    fake.companion("up").ok()
    assert token(fake.desk) == ""
    found = fake.desk.companion("doctor", "--json").data
    assert any("run `companion login`" in one["hint"] for one in found)
    fake.companion("login", "coder").ok()
    assert token(fake.desk) == list(openai.access)[-1]
    assert not fake.companion("up").ok().problems


def test_a_client_that_was_removed_at_openai_says_log_in_again_and_new_repairs_it(
    fake: Fake, openai: OpenAI
):
    fake.companion("login", "coder").ok()
    openai.clients.clear()
    ends_in(fake.desk, 200)
    (problem,) = fake.companion("login", "coder", "--check").problems
    assert problem.endswith("invalid_client (no); authorize again: run `companion login coder`")
    fake.companion("login", "coder", "--new").ok()
    done = fake.companion("login", "coder", "--check").ok()
    assert done.out == "OpenAI accepts the login to ChatGPT as me@example.com\n"
    openai.is_eligible = False
    assert "user_not_eligible" in fake.companion("login", "coder", "--check").err


def test_a_later_login_is_the_same_client_and_another_account_needs_new(fake: Fake, openai: OpenAI):
    for _ in range(2):
        fake.companion("login", "coder").ok()
    first, second = openai.logins()
    assert second["client_id"] in openai.clients
    assert "agent_name_hint" not in second
    assert first["ext_agent_host_id"] == second["ext_agent_host_id"]
    assert first["ext_agent_host_id"].startswith("urn:uuid:")
    openai.subject = "user-2"
    before = accounts_file(fake.desk).read_text()
    done = fake.companion("login", "coder")
    assert done.problems == [
        "this is another account than me@example.com; to change accounts, log in with --new"
    ]
    assert accounts_file(fake.desk).read_text() == before
    fake.companion("login", "coder", "--new").ok()
    assert len(openai.clients) == 2
    assert grant(fake.desk)["subject"] == "user-2"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"claims": {"nonce": "theirs"}}, "the ID token of https://auth.openai.com belongs to"),
        ({"claims": {"aud": "them"}}, "is for another client or from another issuer"),
        ({"scope": "openid offline_access"}, "does not permit the use of your ChatGPT plan"),
        (
            {"is_eligible": False},
            "does not let this login use a plan: subscription_sharing_user_not_eligible",
        ),
    ],
)
def test_a_login_that_is_not_ours_or_permits_nothing_is_not_stored(
    fake: Fake, openai: OpenAI, changed: dict[str, Any], message: str
):
    for name, value in changed.items():
        setattr(openai, name, value)
    done = fake.companion("login", "coder")
    assert done.code == 1
    (problem,) = done.problems
    assert message in problem
    assert json.loads(accounts_file(fake.desk).read_text())["grants"] == {}
    assert CANARY not in done.out + done.err


def test_a_config_that_names_the_same_server_for_mcp_gets_no_token(fake: Fake):
    fake.companion("login", "coder").ok()
    text = (
        (fake.project / "agent.yaml")
        .read_text()
        .replace(
            "{plugin: codex, login: chatgpt}",
            "{plugin: mcp-oauth, providers: {ChatGPT: {mcp_url: 'https://api.openai.com/v1'}}}",
        )
    )
    (fake.project / "agent.yaml").write_text(text)
    (problem,) = fake.companion("up").ok().problems
    assert problem.endswith("ChatGPT is not authorized yet; run `companion oauth ChatGPT`")
    held = fake.desk.paths.projects.glob("*/coder/secrets/*")
    assert [path.read_text() for path in held] == [""]


@pytest.mark.parametrize("options", ["", ', api_key: "${KEY}", login: chatgpt'])
def test_codex_needs_one_credential(fake: Fake, options: str):
    text = CONFIG.format(name="coder").replace(", login: chatgpt", options)
    (fake.project / "agent.yaml").write_text(text)
    (problem,) = fake.companion("validate").problems
    assert "needs either api_key or `login: chatgpt`" in problem


def test_a_checkout_may_use_the_plan_only_after_its_user_agreed(desk: Desk, openai: OpenAI):
    project = desk.project(CONFIG.format(name="coder"))
    (desk.home / ".config/companion/settings.yaml").write_text(
        f'trusted_certificates: ["{desk.home / "trusted.pem"}"]\n'
    )
    done = desk.companion("-C", str(project), "login", "coder")
    assert done.code == 1
    assert "uses your ChatGPT plan" in done.err
    assert "sends your ChatGPT token to api.openai.com:443 (header Authorization)" in done.err
    assert not openai.asked


def test_an_agent_without_a_login_gets_one_in_its_agent_yaml(fake: Fake):
    config = fake.project / "agent.yaml"
    config.write_text("name: coder  # mine\nruntime: codex\negress: listed\n")
    done = fake.companion("login", "coder", "--mode", "chatgpt").ok()
    added = "features:\n  - plugin: codex\n    login: chatgpt\n"
    assert config.read_text() == f"name: coder  # mine\nruntime: codex\negress: listed\n{added}"
    assert "logged in to ChatGPT as me@example.com until" in done.out


def test_a_login_that_fails_leaves_agent_yaml_as_it_was(fake: Fake, openai: OpenAI):
    config = fake.project / "agent.yaml"
    config.write_text("name: coder\nruntime: codex\negress: listed\n")
    openai.is_eligible = False
    assert fake.companion("login", "coder", "--mode", "chatgpt").code == 1
    assert config.read_text() == "name: coder\nruntime: codex\negress: listed\n"
    assert "can log in in several ways" in fake.companion("login").problems[0]


def test_a_login_restarts_no_agent_unasked(fake: Fake, other: Fake, openai: OpenAI):
    other.companion("up").ok()
    theirs = other.project / "agent.yaml"
    theirs.write_text(theirs.read_text() + "limits: {pids: 777}\n")
    (fake.project / "agent.yaml").write_text("name: coder\nruntime: codex\negress: listed\n")
    fake.companion("up").ok()
    began = fake.world["containers"]
    argv = ("login", "coder", "--mode", "chatgpt")
    assert "its first credential restarts it" in fake.companion(*argv).problems[0]
    assert not openai.asked
    done = fake.companion(*argv, "--restart").ok()
    assert "coder can use it now" in done.out
    assert "other can use it after `companion up`: other would have to restart" in done.out
    agents = {name for name, now in fake.world["containers"].items() if began.get(name) != now}
    assert {name.partition("-coder")[0] for name in agents} == {
        name.partition("-coder")[0] for name in began if name.endswith("-coder")
    }


def test_a_way_that_an_agent_does_not_use_is_named_with_what_to_remove(fake: Fake):
    (problem,) = fake.companion("login", "coder", "--mode", "api-key").problems
    step = "for another way, remove the plugin codex from agent.yaml, and run this again"
    assert problem == f"coder logs in with your ChatGPT plan already; {step}"


def test_uninstall_forgets_the_login(fake: Fake):
    fake.companion("login", "coder").ok()
    fake.desk.companion("remove", str(fake.project))
    assert grant(fake.desk)["provider"] == "ChatGPT"  # other projects may use it
    fake.desk.companion("uninstall", "--yes").ok()
    assert not Path(accounts_file(fake.desk)).exists()
