"""companion oauth: the user authorizes an MCP server once, and no token is where it must not be."""

import base64
import json
import os
import pty
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from desk import COMPANION, Desk
from fake_project import Fake
from mcp_server import CANARY, Mcp, give_browser, mcp_server
from sandboxes import trusted_authority, wait_until

from companion.plugins.contribution import OAuthToken
from companion.reconcile import certificates

CONFIG = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: podman
egress: listed
features:
  - plugin: mcp-oauth
    providers:
      notion: {{mcp_url: {url}}}
"""


@pytest.fixture
def mcp(desk: Desk) -> Iterator[Mcp]:
    """A server that the desk trusts, and a browser that says yes."""
    certificate = desk.home / "server.pem"
    authority = trusted_authority(desk)
    certificate.write_text(certificates.issue(authority, "localhost", datetime.now(UTC)))
    give_browser(desk)
    with mcp_server(certificate) as mcp:
        yield mcp


@pytest.fixture
def fake(desk: Desk, mcp: Mcp) -> Fake:
    return Fake(desk, desk.project(CONFIG.format(url=mcp.url)))


def token(fake: Fake, name: str = "notion") -> str:
    """Return what the gateway has mounted as the token of a provider."""
    (file,) = (fake.desk.home / ".local/state/companion/projects").glob(
        f"*/coder/secrets/oauth.{name}.*"
    )
    return base64.b64decode(file.read_text()).decode()


def grants_file(fake: Fake) -> Path:
    (file,) = (fake.desk.home / ".local/share/companion/oauth").glob("*.json")
    return file


def grant(fake: Fake) -> dict[str, Any]:
    (only,) = json.loads(grants_file(fake).read_text())["grants"].values()
    return dict(only)


def change(fake: Fake, **values: object) -> None:
    """Let time pass for a grant."""
    whole = json.loads(grants_file(fake).read_text())
    changed = {key: one | values for key, one in whole["grants"].items()}
    grants_file(fake).write_text(json.dumps(whole | {"grants": changed}))


def ends_in(fake: Fake, seconds: float) -> None:
    change(fake, since=time.time() + seconds - 3600, until=time.time() + seconds)


def test_who_has_not_authorized_has_a_sandbox_all_the_same_and_is_told(fake: Fake):
    done = fake.companion("up").ok()
    told = "agent.yaml:8:7: notion is not authorized yet; run `companion oauth notion`"
    assert told in done.problems
    assert token(fake) == ""
    for command in ("status", "validate", "plan"):
        assert told in fake.companion(command).ok().problems
    egress = (fake.project / ".build/coder/gateway-config/egress.cfg").read_text()
    assert "503" in egress
    assert "no valid token for notion: run `companion oauth notion` on the desktop" in egress


def test_a_user_authorizes_once_and_the_gateway_gets_the_access_token_only(fake: Fake, mcp: Mcp):
    up = fake.companion("up").ok()
    calls = len(fake.world["calls"])
    done = fake.companion("oauth", "notion").ok()
    assert "notion is authorized until" in done.out
    assert "coder can use it now" in done.out
    (access,) = mcp.access
    assert token(fake) == access
    assert not fake.world["calls"][calls:]  # a reload: nothing is created or removed
    after = fake.companion("up").ok()
    assert "not authorized" not in after.err
    assert fake.companion("status", "--json").ok().agent["state"] == "running"
    (form,) = mcp.forms("authorization_code")
    assert form["resource"] == mcp.url
    for said in (up, done, after):
        assert CANARY not in said.out + said.err
    whole = [path for path in fake.desk.home.rglob("*") if path.is_file()]
    assert [path for path in whole if CANARY.encode() in path.read_bytes()] == [grants_file(fake)]
    mounted = [path for path in whole if base64.b64encode(access.encode()) in path.read_bytes()]
    assert {path.parent.name for path in mounted} == {"secrets"}
    (refresh,) = mcp.refresh
    assert grant(fake)["refresh_token"] == refresh
    assert stat.S_IMODE(grants_file(fake).stat().st_mode) == 0o600
    assert stat.S_IMODE(grants_file(fake).parent.stat().st_mode) == 0o700


def test_an_answer_with_another_state_is_refused_and_the_right_one_still_counts(
    fake: Fake, mcp: Mcp
):
    with waiting(fake) as (child, url):
        redirect = url.partition("redirect_uri=")[2].partition("&")[0]
        callback = redirect.replace("%3A", ":").replace("%2F", "/")
        for wrong in ("?code=theirs&state=guessed", "?code=theirs", "?error=access_denied", "/x"):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(callback + wrong)
        subprocess.run([fake.desk.home / "browsers/xdg-open", url], check=True)
        assert child.wait(20) == 0
    assert [form["code"] for form in mcp.forms("authorization_code")] != ["theirs"]
    assert len(mcp.access) == 1


@contextmanager
def waiting(fake: Fake, **options: Any) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run `oauth --print`; yields it and the address that it printed."""
    argv = [COMPANION, "-C", fake.project, "oauth", "notion", "--print"]
    child = subprocess.Popen(
        argv, env=fake.desk.environment, stderr=subprocess.PIPE, text=True, **options
    )
    assert child.stderr
    try:
        line = next(line for line in child.stderr if line.startswith("https://"))
        yield child, line.strip()
    finally:
        child.kill()
        child.communicate()


def test_where_no_browser_runs_the_address_that_came_back_can_be_pasted(fake: Fake, mcp: Mcp):
    ours, theirs = pty.openpty()
    with waiting(fake, stdin=theirs) as (child, url):
        answer = sent_back(fake, url)
        assert answer.startswith("http://127.0.0.1:")
        os.write(ours, b"http://127.0.0.1/callback?code=theirs&state=guessed\n")
        assert child.stderr
        assert any("that is not the address to paste" in line for line in child.stderr)
        os.write(ours, f"{answer}\n".encode())
        assert child.wait(20) == 0
    assert len(mcp.access) == 1


def sent_back(fake: Fake, url: str) -> str:
    """Return where a browser on another machine is sent to."""
    argv = ["curl", "-sS", "--cacert", fake.desk.home / "trusted.pem", "-w", "%{redirect_url}"]
    argv += ["-o", "/dev/null", url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


MISCHIEF: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer answers": (
        {"answer": {"iss": "https://evil.test"}},
        "the response is not from https://localhost:PORT/as",
    ),
    "the metadata is another issuer's": (
        {"metadata": {"issuer": "https://evil.test"}},
        "the metadata of https://localhost:PORT/as belongs to another server, https://evil.test",
    ),
    "tokens without TLS": (
        {"metadata": {"token_endpoint": "http://localhost:80/token"}},
        "the metadata of https://localhost:PORT/as is not valid OAuth: token_endpoint",
    ),
    "no registration": (
        {"metadata": {"registration_endpoint": None}},
        "does not support dynamic client registration; register a client there and set client_id",
    ),
    "the user says no": (
        {"answer": {"code": "", "error": "access_denied", "error_description": "not today"}},
        "did not authorize Companion: access_denied (not today)",
    ),
    "no token, and the answer repeats the code": (
        {"token_answer": (400, {"error": "invalid_request"})},
        "issued no token: invalid_request; try again",
    ),
    "tokens are somewhere else": (
        {"token_answer": (302, {"Location": "/mcp"})},
        "issued no token:",
    ),
    "the server hangs up": ({"drops": True}, "localhost:PORT does not answer"),
    "an endless answer": (
        {"resource": {"more": "x" * (1 << 20)}},
        "localhost:PORT responded with more than 1 MiB",
    ),
}


@pytest.mark.parametrize("what", MISCHIEF)
def test_a_server_that_does_wrong_gets_one_clear_message_and_nothing_is_kept(
    desk: Desk, mcp: Mcp, what: str
):
    project = desk.project(CONFIG.format(url=mcp.url))
    values, message = MISCHIEF[what]
    port = mcp.origin.rpartition(":")[2]
    for name, value in values.items():
        setattr(mcp, name, value)
    done = desk.companion("-C", str(project), "oauth", "notion")
    assert done.code == 1, done
    assert message.replace("PORT", port) in done.problems[0]
    assert CANARY not in done.out + done.err
    assert len(mcp.bearers()) == 1  # to find the metadata; no redirect was followed there
    assert not list((desk.home / ".local/share/companion").glob("oauth/*.json"))


def test_a_server_whose_certificate_nobody_signed_is_told_nothing(fake: Fake, mcp: Mcp):
    (fake.desk.home / ".config/companion/settings.yaml").write_text(
        f"trust: {{always: [{fake.desk.home}]}}\n"
    )
    done = fake.companion("oauth", "notion")
    assert done.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in done.err
    assert not mcp.asked


def test_an_older_server_is_its_own_authority(fake: Fake, mcp: Mcp):
    """Without metadata of its own, an MCP server authorizes at its origin."""
    mcp.resource = {"authorization_servers": []}
    assert "is not valid OAuth: authorization_servers" in fake.companion("oauth", "notion").err
    (fake.project / "agent.yaml").write_text(CONFIG.format(url=f"{mcp.origin}/old"))
    done = fake.companion("oauth", "notion")
    assert f"{mcp.origin} publishes no OAuth metadata" in done.err
    asked = [path for path, _, _ in mcp.asked]
    assert "/.well-known/oauth-authorization-server" in asked
    assert "/.well-known/openid-configuration" in asked


def test_a_token_that_ends_soon_is_renewed_by_up_and_a_rotated_one_is_used_once(
    fake: Fake, mcp: Mcp
):
    fake.companion("up").ok()
    fake.companion("oauth", "notion").ok()
    (first,) = mcp.access
    fake.companion("up").ok()
    assert not mcp.forms("refresh_token")
    ends_in(fake, 200)
    with ThreadPoolExecutor() as both:
        done = [one.result().ok() for one in [both.submit(fake.companion, "up") for _ in range(3)]]
    assert len(mcp.forms("refresh_token")) == 1
    assert sum("renewing the token for notion" in one.err for one in done) == 1
    assert token(fake) != first
    assert token(fake) in mcp.access
    assert grant(fake)["refresh_token"] in mcp.refresh
    assert not mcp.spent
    fake.is_whole()


def test_a_server_that_rotates_nothing_leaves_the_refresh_token_as_it_is(fake: Fake, mcp: Mcp):
    mcp.rotates = False
    fake.companion("oauth", "notion").ok()
    before = grant(fake)["refresh_token"]
    ends_in(fake, 200)
    fake.companion("up").ok()
    assert len(mcp.access) == 2
    assert grant(fake)["refresh_token"] == before


def test_a_refused_renewal_says_authorize_again_and_the_sandbox_goes_on(fake: Fake, mcp: Mcp):
    fake.companion("up").ok()
    fake.companion("oauth", "notion").ok()
    calls, (access,) = len(fake.world["calls"]), mcp.access
    mcp.refresh.clear()
    ends_in(fake, 200)
    told = "authorize again: run `companion oauth notion`"
    done = fake.companion("up").ok()
    assert "no longer renews the token for notion: invalid_grant" in done.err
    assert told in done.err
    assert token(fake) == access  # it counts until its end
    ends_in(fake, -1)
    assert told in fake.companion("up").ok().err
    assert token(fake) == ""
    assert len(mcp.forms("refresh_token")) == 1  # the server was not asked again
    assert not fake.world["calls"][calls:]
    assert any(told in one["hint"] for one in doctor(fake))
    calls = len(fake.world["calls"])
    fake.companion("oauth", "notion").ok()
    assert token(fake) in mcp.access
    assert not fake.world["calls"][calls:]


def test_going_back_brings_no_token_back_that_was_renewed(fake: Fake, mcp: Mcp):
    fake.companion("up").ok()
    fake.companion("oauth", "notion").ok()
    ends_in(fake, 200)
    fake.set(refuse=["build"])
    with (fake.project / "agent.yaml").open("a") as config:
        config.write("  - plugin: custom-runtime\n    commands: [something new]\n")
    done = fake.companion("up")
    assert done.code == 1
    assert "the previous version is still running" in done.err
    assert token(fake) == list(mcp.access)[1]


def test_going_back_gives_no_server_the_token_of_another(fake: Fake, mcp: Mcp):
    fake.companion("oauth", "notion").ok()
    fake.companion("up").ok()
    (access,) = mcp.access
    fake.set(refuse=["build"])
    text = (fake.project / "agent.yaml").read_text().replace("/mcp}", "/other}")
    commands = "  - plugin: custom-runtime\n    commands: [something new]\n"
    (fake.project / "agent.yaml").write_text(text + commands)
    assert "the previous version is still running" in fake.companion("up").err
    assert token(fake) == access


def doctor(fake: Fake) -> list[dict[str, str]]:
    return list(fake.desk.companion("doctor", "--json").data)


@pytest.mark.parametrize("how", ["it hangs up", "it is overloaded"])
def test_a_server_that_cannot_be_asked_is_asked_again_in_a_minute(fake: Fake, mcp: Mcp, how: str):
    fake.companion("oauth", "notion").ok()
    (access,) = mcp.access
    if how == "it hangs up":
        mcp.drops = True
    else:
        mcp.token_answer = (503, {"error": "temporarily_unavailable"})
    ends_in(fake, 200)
    done = fake.companion("up").ok()
    assert "the token for notion could not be renewed: " in done.err
    assert CANARY not in done.err
    assert token(fake) == access
    asked = len(mcp.asked)
    fake.companion("up").ok()
    assert len(mcp.asked) == asked
    mcp.drops, mcp.token_answer = False, None
    change(fake, tried=time.time() - 61)
    fake.companion("up").ok()
    assert token(fake) != access
    assert grant(fake)["failure"] == ""


def test_the_watcher_renews_a_token_and_touches_no_container(fake: Fake, mcp: Mcp):
    mcp.lifetime = 5
    fake.companion("up").ok()
    fake.companion("oauth", "notion").ok()
    (first,) = mcp.access
    calls = len(fake.world["calls"])
    log = fake.desk.home / "watch.log"
    with log.open("w") as out:
        argv = [COMPANION, "watch"]
        child = subprocess.Popen(argv, env=fake.desk.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: len(mcp.access) >= 3, tell=log.read_text)
        mcp.lifetime = 3600
        known = len(mcp.access)
        wait_until(lambda: len(mcp.access) > known, tell=log.read_text)
        wait_until(lambda: token(fake) == list(mcp.access)[-1], tell=log.read_text)
        wait_until(lambda: "renewed the token for notion" in log.read_text(), tell=log.read_text)
    finally:
        child.terminate()
        child.wait(timeout=60)
    assert token(fake) != first
    assert not fake.world["calls"][calls:]
    assert not mcp.spent
    whole = log.read_text() + (fake.desk.home / ".local/state/companion/companion.log").read_text()
    assert CANARY not in whole


def test_the_watcher_takes_an_ended_token_away_and_says_so_once(fake: Fake, mcp: Mcp):
    mcp.lifetime, mcp.renews = 6, False
    fake.companion("up").ok()
    with fake.desk.start("watch") as child:
        try:
            fake.companion("oauth", "notion").ok()
            assert mcp.access, "which may have ended since, on a busy machine"
            wait_until(lambda: token(fake) == "")
            time.sleep(3)
        finally:
            child.terminate()
        said = child.communicate()[1]
    assert said.count("the token for notion expired at") == 1, said


def test_another_project_that_names_the_same_server_gets_nothing(fake: Fake, mcp: Mcp):
    fake.companion("oauth", "notion").ok()
    other = fake.desk.project(CONFIG.format(url=mcp.url).replace("coder", "other"), name="other")
    done = fake.desk.companion("-C", str(other), "up").ok()
    assert "notion is not authorized yet" in done.err
    (file,) = (fake.desk.home / ".local/state/companion/projects").glob("other-*/other/secrets/*")
    assert file.read_text() == ""


def test_another_server_or_client_is_another_grant(fake: Fake, mcp: Mcp):
    fake.companion("oauth", "notion").ok()
    text = (fake.project / "agent.yaml").read_text()
    (fake.project / "agent.yaml").write_text(text.replace("/mcp}", "/other}"))
    assert "notion is not authorized yet" in fake.companion("up").ok().err
    assert token(fake) == ""
    (fake.project / "agent.yaml").write_text(text)
    assert "not authorized" not in fake.companion("up").ok().err
    assert token(fake) in mcp.access


def test_a_client_of_ones_own_shows_its_secret_which_stays_in_env(fake: Fake, mcp: Mcp):
    secret = f"{CANARY}-client: %"
    mcp.clients["mine"] = "".join(f"%{ord(c):02X}" if c in "%:" else c for c in secret)
    mcp.clients["mine"] = mcp.clients["mine"].replace(" ", "+")
    text = CONFIG.format(url=mcp.url).replace(
        "}\n", ", client_id: mine, client_secret: '${SECRET}'}\n"
    )
    (fake.project / "agent.yaml").write_text(
        text.replace(", client_id: mine, client_secret: '${SECRET}'}", "}", 1)
    )
    for command in (("up",), ("oauth", "notion")):
        done = fake.companion(*command)
        assert done.code == 1
        assert "SECRET has no value; it is needed for the client_secret for notion" in done.err
    (fake.project / ".env").write_text(f"SECRET='{secret}'\n")
    fake.companion("oauth", "notion", "--port", "0").ok()
    assert "/register" not in [path for path, _, _ in mcp.asked]
    assert secret not in grants_file(fake).read_text()
    ends_in(fake, 200)
    fake.companion("up").ok()
    assert len(mcp.access) == 2
    (secrets,) = (fake.desk.home / ".local/state/companion/projects").glob("*/coder/secrets")
    assert [path.name for path in secrets.iterdir()] == [OAuthToken("notion", mcp.url, "mine").name]


def test_a_bound_client_secret_goes_to_no_other_host_that_the_server_names(fake: Fake, mcp: Mcp):
    mcp.clients["mine"] = secret = f"{CANARY}-client"
    host = mcp.origin.removeprefix("https://")
    argv = ("secret", "set", "SECRET", "--in-file", "--from-stdin", "--host", host)
    fake.desk.companion(*argv, stdin=secret).ok()
    config = fake.project / "agent.yaml"
    more = ", client_id: mine, client_secret: '${SECRET}'}\n"
    config.write_text(config.read_text().replace("}\n", more).replace(more, "}\n", 1))
    told = "SECRET must not be sent to localhost:1, where the server has its token endpoint: your"
    mcp.metadata["token_endpoint"] = "https://localhost:1/token"
    done = fake.companion("oauth", "notion")
    assert (done.code, len(done.problems)) == (1, 1)
    assert f"{told} secret is bound to {host}" in done.err
    mcp.metadata.clear()
    fake.companion("oauth", "notion").ok()
    change(fake, token_endpoint="https://localhost:1/token")
    ends_in(fake, 200)
    assert told in fake.companion("up").ok().err
    change(fake, token_endpoint=f"{mcp.origin}/token", tried=0, failure="")
    fake.companion("up").ok()
    assert len(mcp.access) == 2


def test_no_variable_can_be_taken_for_a_token(fake: Fake, mcp: Mcp):
    name = OAuthToken("notion", mcp.url, "").name
    fake.desk.environment[name] = "from the environment"
    (fake.project / ".env").write_text(f"'{name}'=from-env\n")
    assert "notion is not authorized yet" in fake.companion("up").ok().err
    assert token(fake) == ""


def test_a_name_that_is_none_and_a_port_that_is_taken_are_said(fake: Fake, mcp: Mcp):
    done = fake.companion("oauth", "notio")
    assert done.code == 1
    assert "no agent here has a provider 'notio'; did you mean 'notion'?" in done.problems
    for port in (mcp.origin.rpartition(":")[2], "99999"):
        done = fake.companion("oauth", "notion", "--port", port)
        assert done.code == 1
        assert f"cannot listen on port {port} of 127.0.0.1: " in done.err


def test_remove_forgets_what_was_granted_and_uninstall_too(fake: Fake):
    fake.companion("oauth", "notion").ok()
    directory = grants_file(fake).parent
    fake.desk.companion("remove", str(fake.project)).ok()
    assert not list(directory.iterdir())
    fake.companion("oauth", "notion").ok()
    assert list(directory.iterdir())
    fake.desk.companion("uninstall", "--yes").ok()
    assert not directory.exists()


def test_all_agents_of_a_fleet_that_name_a_server_share_one_grant(desk: Desk, mcp: Mcp):
    fleet = desk.home / "fleet"
    for name in ("one", "two"):
        (fleet / name).mkdir(parents=True)
        text = f'name: {name}\nruntime: {{base_image: "debian:bookworm-slim"}}\n'
        (fleet / name / "agent.yaml").write_text(text)
    shared = CONFIG.format(url=mcp.url).partition("egress: listed\n")[2].replace("\n", "\n  ")
    (fleet / "fleet.yaml").write_text(f"agents: [one, two]\nshared:\n  {shared.rstrip()}\n")
    fake = Fake(desk, fleet)
    good = (fleet / "two/agent.yaml").read_text()
    (fleet / "two/agent.yaml").write_text("name: [\n")
    done = fake.companion("oauth", "notion", "--json").ok()
    assert [(one["provider"], one["renewable"]) for one in done.data] == [("notion", True)]
    assert "two/agent.yaml:" in fake.companion("oauth", "elsewhere").err
    (fleet / "two/agent.yaml").write_text(good)
    assert len(mcp.access) == 1
    assert "not authorized" not in fake.companion("up").ok().err
    found = (desk.home / ".local/state/companion/projects").glob("*/*/secrets/oauth.notion.*")
    assert len({path.read_text() for path in found}) == 1


def test_a_damaged_file_of_grants_is_named(fake: Fake):
    fake.companion("oauth", "notion").ok()
    grants_file(fake).write_text("{")
    done = fake.companion("up")
    assert done.code == 1
    assert f"{grants_file(fake)} is damaged; remove it, and authorize again" in done.problems[0]


def test_doctor_names_a_grant_that_ends_and_cannot_be_renewed(fake: Fake, mcp: Mcp):
    mcp.renews = False
    fake.companion("oauth", "notion").ok()
    found = {one["what"]: one["level"] for one in doctor(fake)}
    assert any("the token for notion expires at" in w and found[w] == "warning" for w in found)
    mcp.renews = True
    fake.companion("oauth", "notion").ok()
    grants_file(fake).chmod(0o644)
    found = {one["what"]: one["level"] for one in doctor(fake)}
    assert found["1 grant of MCP servers in ~/project can be renewed"] == "ok"
    shown = f"~/{grants_file(fake).relative_to(fake.desk.home)}"
    assert found[f"others may read {shown}"] == "failed"


def test_two_at_once_wait_for_their_own_answer(fake: Fake, mcp: Mcp):
    with waiting(fake) as (first, one), waiting(fake) as (second, two):
        browsers = [
            threading.Thread(
                target=subprocess.run, args=([fake.desk.home / "browsers/xdg-open", u],)
            )
            for u in (two, one)
        ]
        for browser in browsers:
            browser.start()
        assert first.wait(20) == second.wait(20) == 0
        for browser in browsers:
            browser.join()
    assert len(mcp.access) == 2
