"""companion login: a credential is tested, stored and named in agent.yaml, or one message."""

import json
import os
import pty
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from desk import COMPANION, Desk
from fake_project import Fake
from sandboxes import trusted_authority

from companion.reconcile import certificates

HOSTS = ("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com")
KEY, TOKEN = "sk-ant-api03-9f21c0", "sk-ant-oat01-77e1d3"
MINE = """\
# my coder
name: coder
runtime: claude-code   # the newest
container_runtime: podman
egress: listed
features:
  - plugin: ssh  # in
"""
LOGIN = "  - plugin: claude-code\n    api_key: ${ANTHROPIC_API_KEY}\n"
UNKNOWN = {"error": {"type": "authentication_error", "message": "invalid x-api-key"}}


@dataclass
class Vendor:
    """All vendors' hosts, behind a proxy as companies have one; and what they answer."""

    status: int = 200
    body: object = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Host, request line and headers of each request."""


@pytest.fixture
def vendor(desk: Desk) -> Iterator[Vendor]:
    authority = trusted_authority(desk)
    contexts = {}
    for host in HOSTS:
        pem = desk.home / f"{host}.pem"
        pem.write_text(certificates.issue(authority, host, datetime.now(UTC)))
        contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[host].load_cert_chain(pem)
    vendor = Vendor()

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            host = self.path.partition(":")[0]
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            with contexts[host].wrap_socket(self.connection, server_side=True) as secure:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += secure.recv(4096)
                line, *lines = head.decode().strip().split("\r\n")
                headers = {n.lower(): v for n, _, v in (x.partition(": ") for x in lines)}
                vendor.asked.append((host, line, headers))
                body = json.dumps(vendor.body)
                said = f"HTTP/1.1 {vendor.status} X\r\nContent-Type: application/json\r\n"
                secure.sendall(f"{said}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    desk.environment["https_proxy"] = f"http://127.0.0.1:{server.server_port}"
    yield vendor
    server.shutdown()
    server.server_close()


def log_in(desk: Desk, *arguments: str, typed: str = KEY):
    done = desk.companion("-C", str(desk.home / "project"), "login", *arguments, stdin=typed)
    assert KEY not in done.out + done.err
    assert TOKEN not in done.out + done.err
    return done


def on_terminal(desk: Desk, answers: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Log in on a terminal; each answer is typed once its question is there.

    A question without an answer ends the terminal.
    """
    ours, theirs = pty.openpty()
    argv = [COMPANION, "-C", str(desk.home / "project"), "login", *arguments]
    with subprocess.Popen(
        argv, env=desk.environment | {"NO_COLOR": "1"}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as child:  # fmt: skip
        os.close(theirs)
        shown, left = "", dict(answers)
        with suppress(OSError):
            while part := os.read(ours, 1000):
                shown += part.decode()
                if not shown.endswith(("] ", ": ")):
                    continue
                question = next((one for one in left if shown.endswith(f"{one} ")), "")
                if not question:
                    break
                os.write(ours, f"{left.pop(question)}\n".encode())
        os.close(ours)
    assert not left, shown
    assert KEY not in shown
    return child.returncode, " ".join(shown.split())


def stored(desk: Desk) -> str:
    """Return everything that companion keeps for the user."""
    data = desk.home / ".local/share/companion/secrets"
    return "".join(path.read_text() for path in sorted(data.glob("*.json")))


def test_a_credential_is_tested_and_stored_and_agent_yaml_names_it(desk: Desk, vendor: Vendor):
    config = desk.project(MINE) / "agent.yaml"
    done = log_in(desk, "--mode", "subscription", typed=f"{TOKEN}\n").ok()
    ((host, line, headers),) = vendor.asked
    assert (host, line) == (HOSTS[0], "GET /v1/models?limit=1 HTTP/1.1")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-api-key" not in headers
    assert "it is sent only to api.anthropic.com" in done.out
    assert TOKEN in stored(desk)
    added = "  - plugin: claude-code\n    oauth_token: ${CLAUDE_CODE_OAUTH_TOKEN}\n"
    assert config.read_text() == MINE + added
    assert "no credential" not in desk.companion("-C", "project", "validate").ok().err
    assert desk.companion("-C", "project", "trust").ok().out.endswith("is trusted as it is\n")


@pytest.mark.parametrize(
    ("runtime", "mode", "header", "value"),
    [
        ("claude-code", "api-key", "x-api-key", KEY),
        ("codex", "api-key", "authorization", f"Bearer {KEY}"),
        ("pi", "openai", "authorization", f"Bearer {KEY}"),
        ("pi", "google", "x-goog-api-key", KEY),
    ],
)
def test_every_runtime_can_log_in(
    desk: Desk, vendor: Vendor, runtime: str, mode: str, header: str, value: str
):
    desk.project(MINE.replace("claude-code", runtime))
    log_in(desk, "--mode", mode).ok()
    ((_, _, headers),) = vendor.asked
    assert headers[header] == value
    assert "has no credential" not in desk.companion("-C", "project", "validate").ok().err


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, UNKNOWN, "api.anthropic.com does not accept it (401 invalid x-api-key)"),
        (
            401,
            {"error": {"message": f"{KEY}!"}},
            "api.anthropic.com does not accept it (401)",
        ),
        (401, [], "api.anthropic.com does not accept it (401)"),
        (
            400,
            {"error": {"message": "no", "a": ["API_KEY_INVALID"]}},
            "not accept it (400 no)",
        ),
    ],
)
def test_a_credential_that_is_rejected_is_not_stored(
    desk: Desk, vendor: Vendor, status: int, body: object, told: str
):
    vendor.status, vendor.body = status, body
    config = desk.project(MINE) / "agent.yaml"
    done = log_in(desk, "--mode", "api-key")
    assert done.code == 1
    (problem,) = done.problems
    assert told in problem
    assert "it is wrong, expired or revoked" in problem
    assert not stored(desk)
    assert config.read_text() == MINE


def test_a_vendor_that_answers_something_else_leaves_a_doubt(desk: Desk, vendor: Vendor):
    vendor.status, vendor.body = 403, {"error": {"message": "the key may not list models"}}
    desk.project(MINE)
    done = log_in(desk, "--mode", "api-key").ok()
    told = "did not say whether it is valid (403 the key may not list models)"
    assert told in done.err
    assert KEY in stored(desk)


def test_a_vendor_that_is_not_reached_gets_one_message(desk: Desk):
    desk.environment["https_proxy"] = "http://127.0.0.1:9"
    desk.project(MINE)
    done = log_in(desk, "--mode", "api-key")
    (problem,) = done.problems
    assert "nothing was stored: 127.0.0.1:9 does not answer" in problem
    assert "--untested" in problem
    assert not stored(desk)
    log_in(desk, "--mode", "api-key", "--untested").ok()
    assert KEY in stored(desk)


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        ((), KEY, "choose one with --mode: api-key, subscription"),
        (("--mode", "sub"), KEY, "use api-key, subscription"),
        (("--mode", "subscription"), KEY, "begins with sk-ant-oat"),
        (("--mode", "api-key"), "", "no credential was given"),
        (("--mode", "api-key"), "two words", "one word of printable ASCII"),
        (("--check",), "", "coder has no credential for a model"),
    ],
)
def test_what_cannot_be_a_credential_is_told_before_anybody_is_asked(
    desk: Desk, vendor: Vendor, arguments: tuple[str, ...], typed: str, told: str
):
    desk.project(MINE)
    done = log_in(desk, *arguments, typed=typed)
    assert done.code in {1, 2}
    assert told in done.problems[0]
    assert len(done.problems) == 1
    assert not vendor.asked


def test_an_agent_yaml_of_a_checkout_is_not_changed(desk: Desk, vendor: Vendor):
    project = desk.project(MINE)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
        subprocess.run(["git", *who, *command], cwd=project, check=True, env=desk.environment)
    done = log_in(desk, "--mode", "api-key").ok()
    assert (project / "agent.yaml").read_text() == MINE
    assert "came with a checkout and was not changed" in done.out
    assert "  - plugin: claude-code\n    api_key: ${ANTHROPIC_API_KEY}" in done.out


def test_a_value_in_env_is_not_hidden_behind_a_stored_one(desk: Desk, vendor: Vendor):
    desk.project(MINE + LOGIN, __env="ANTHROPIC_API_KEY=old\n")
    done = log_in(desk)
    assert ".env sets ANTHROPIC_API_KEY, which takes precedence" in done.problems[0]
    assert not stored(desk)
    assert "api.anthropic.com accepts ANTHROPIC_API_KEY" in log_in(desk, "--check").ok().out
    vendor.status, vendor.body = 401, UNKNOWN
    done = log_in(desk, "--check", "--json")
    assert done.code == 1
    (problem,) = json.loads(done.out)["problems"]
    assert problem["code"] == "credential-rejected"
    assert "it is wrong, expired or revoked" in problem["hint"]


@pytest.mark.parametrize("hosts", [(), ("github.com",), ("api.anthropic.com", "github.com")])
@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "MY_KEY"])
def test_a_secret_that_is_for_other_hosts_is_not_replaced_and_gets_no_further_host(
    desk: Desk, vendor: Vendor, name: str, hosts: tuple[str, ...]
):
    if hosts:
        options = (word for host in hosts for word in ("--host", host))
        argv = ("secret", "set", name, "--in-file", "--from-stdin", *options)
        desk.companion(*argv, stdin="ghp_mine").ok()
    before = stored(desk)
    desk.project(MINE + LOGIN.replace("ANTHROPIC_API_KEY", name))
    done = log_in(desk)
    if not hosts and name == "MY_KEY":
        assert "sent only to api.anthropic.com" in done.ok().out
        assert "sent only to api.anthropic.com" in log_in(desk).ok().out
        return
    (problem,) = done.problems
    assert done.code == 1
    assert f"nothing was stored: {name} is your secret for " in problem
    assert "and this login is for api.anthropic.com" in problem
    assert stored(desk) == before
    assert not vendor.asked


def test_a_secret_that_a_command_of_the_users_prints_is_not_shadowed_for_another_host(
    desk: Desk, vendor: Vendor
):
    settings = desk.paths.settings
    secrets = "secrets: {MY_KEY: {command: [cat, /x], hosts: [intern.test]}}\n"
    settings.write_text((settings.read_text() if settings.exists() else "") + secrets)
    desk.project(MINE + LOGIN.replace("ANTHROPIC_API_KEY", "MY_KEY"))
    assert "MY_KEY is your secret for intern.test" in log_in(desk).err
    assert not stored(desk)


def test_who_lacks_a_credential_has_a_sandbox_and_is_told_what_to_run(desk: Desk, vendor: Vendor):
    without, features = MINE.partition("features:")[0], "features:\n"
    fake = Fake(desk, desk.project(without))
    step = "run `companion login coder`"
    told = f"agent.yaml:3:10: claude-code has no credential for its model; {step}"
    for command in ("up", "plan", "status", "validate"):
        assert told in fake.companion(command).ok().problems
    for command in ("up", "plan", "status"):
        (problem,) = json.loads(fake.companion(command, "--json").ok().out)["problems"]
        assert problem["code"] == "no-credential"
    (fake.project / "agent.yaml").write_text(without + features + LOGIN)
    (problem,) = fake.companion("up").ok().problems
    told = "agent.yaml:7:5: ANTHROPIC_API_KEY has no value; it is needed to log in to"
    assert problem == f"{told} api.anthropic.com; {step}"


def test_a_running_agent_can_use_its_credential_without_a_restart(desk: Desk, vendor: Vendor):
    fake = Fake(desk, desk.project(MINE.partition("features:")[0] + "features:\n" + LOGIN))
    fake.companion("up").ok()
    calls = len(fake.world["calls"])
    assert "coder can use it now" in log_in(desk).ok().out
    assert not fake.world["calls"][calls:], "more than a reload"
    assert not fake.companion("status").ok().problems


RESTART = "Restart coder once you are logged in? [y/N]"
TYPED = "ANTHROPIC_API_KEY (it is not shown):"


def test_a_first_credential_restarts_a_running_agent_only_if_its_user_says_so(
    desk: Desk, vendor: Vendor
):
    fake = Fake(desk, desk.project(MINE.partition("features:")[0]))
    fake.companion("up").ok()
    config, began = (fake.project / "agent.yaml").read_text(), fake.world["containers"]
    piped = log_in(desk, "--mode", "api-key")
    code, shown = on_terminal(desk, {RESTART: ""}, "--mode", "api-key")
    assert (piped.code, code) == (1, 1)
    (problem,) = piped.problems
    why = "coder is running; its first credential restarts it, and ends its terminal"
    step = "`companion login coder --restart` permits that"
    assert problem == f"nothing was changed: {why}; {step}"
    assert (why in shown, "error: nothing was changed" in shown) == (True, True)
    assert not stored(desk)
    assert not vendor.asked
    assert (fake.project / "agent.yaml").read_text() == config
    assert fake.world["containers"] == began
    code, shown = on_terminal(desk, {RESTART: "y", TYPED: KEY}, "--mode", "api-key")
    assert (code, "coder can use it now" in shown) == (0, True)
    assert fake.world["containers"] != began
    assert fake.companion("plan", "--json").ok().agent["change"] == "none"


def test_a_script_permits_the_restart(desk: Desk, vendor: Vendor):
    fake = Fake(desk, desk.project(MINE.partition("features:")[0]))
    fake.companion("up").ok()
    assert "coder can use it now" in log_in(desk, "--mode", "api-key", "--restart").ok().out
    assert fake.companion("plan", "--json").ok().agent["change"] == "none"


def test_a_new_credential_applies_no_edit_that_restarts_the_agent(desk: Desk, vendor: Vendor):
    fake = Fake(desk, desk.project(MINE.partition("features:")[0] + "features:\n" + LOGIN))
    fake.companion("up").ok()
    began, config = fake.world["containers"], fake.project / "agent.yaml"
    config.write_text(config.read_text() + "limits: {pids: 777}\n")
    done = log_in(desk).ok()
    assert "coder can use it after `companion up`, which ends its terminal:" in done.out
    assert KEY in stored(desk)
    assert fake.world["containers"] == began


def test_a_key_that_another_sandbox_uses_is_offered_not_asked_for_again(desk: Desk, vendor: Vendor):
    first = MINE.partition("features:")[0].replace("coder", "first") + "features:\n" + LOGIN
    Fake(desk, desk.project(first, name="first")).companion("up").ok()
    desk.project(MINE)
    log_in(desk, "--mode", "api-key").ok()
    before = stored(desk)
    config = desk.project(MINE) / "agent.yaml"
    code, shown = on_terminal(desk, {"Use it? [Y/n]": ""}, "--mode", "api-key")
    assert (code, "ANTHROPIC_API_KEY is stored already, and first uses it." in shown) == (0, True)
    assert (stored(desk), config.read_text()) == (before, MINE + LOGIN)
    assert [headers["x-api-key"] for _, _, headers in vendor.asked] == [KEY, KEY]
    new = f"{KEY}-new"
    code, shown = on_terminal(desk, {TYPED: new}, "--untested")
    assert (code, "What you type replaces it." in shown) == (0, True)
    assert "sent only to api.anthropic.com; first uses it, too" in shown
    assert new in stored(desk)
