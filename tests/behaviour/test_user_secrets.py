"""The user's own secrets: where a value comes from, and the hosts that it never leaves for."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import CANARY, COMPANION, Desk
from fake_project import Fake
from sandboxes import wait_until

from companion.keychain import cache, commands
from companion.keychain.commands import SecretFailedError
from companion.keychain.sources import Source

CONFIG = """\
name: coder
runtime: {base_image: "debian:bookworm-slim"}
egress: listed
features:
  - plugin: external-services
    services:
"""
STORED, ASKED, OUTSIDE = f"{CANARY}-stored", f"{CANARY}-asked", f"{CANARY}-outside"


def sends(*pairs: tuple[str, str]) -> str:
    """Return a config that sends each variable to a URL."""
    rows = (f'      - {{url: "{url}", headers: {{X-K: "${{{n}}}"}}}}\n' for n, url in pairs)
    return CONFIG + "".join(rows)


@pytest.fixture
def fake(desk: Desk) -> Fake:
    desk.environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
    return Fake(desk, desk.project(sends(("KEY", "https://api.test"))))


def settings(fake: Fake, text: str) -> Path:
    path = fake.desk.paths.settings
    path.write_text(f"trust: {{always: [{fake.desk.home}]}}\n{text}")
    return path


def store(fake: Fake, name: str, value: str, *hosts: str) -> None:
    options = (word for host in hosts for word in ("--host", host))
    argv = ("secret", "set", name, "--in-file", "--from-stdin", *options)
    fake.desk.companion(*argv, stdin=value).ok()


def program(fake: Fake, text: str, name: str = "vault") -> Path:
    """Put a program of the user's where programs are."""
    path = fake.desk.home / "programs" / name
    path.write_text(f"#!/bin/bash\necho asked >>{fake.desk.home}/asked\n{text}\n")
    path.chmod(0o755)
    return path


def times_asked(fake: Fake) -> int:
    asked = fake.desk.home / "asked"
    return len(asked.read_text().splitlines()) if asked.exists() else 0


def mounted(fake: Fake, name: str = "KEY") -> str:
    """Return what the gateway has of a secret."""
    (file,) = fake.desk.paths.projects.glob(f"*/coder/secrets/{name}")
    return base64.b64decode(file.read_text()).decode()


def test_the_first_place_that_has_a_value_counts(fake: Fake):
    fake.desk.environment["KEY"] = OUTSIDE
    settings(fake, "environment: [KEY]\n")
    fake.companion("up").ok()
    assert mounted(fake) == OUTSIDE
    program(fake, f"echo {ASKED}")
    settings(fake, "environment: [KEY]\nsecrets: {KEY: {command: [vault], hosts: [api.test]}}\n")
    fake.companion("up").ok()
    assert mounted(fake) == ASKED
    store(fake, "KEY", STORED)  # bound to what the settings say
    fake.companion("up").ok()
    assert mounted(fake) == STORED
    (fake.project / ".env").write_text("KEY=\n")
    fake.companion("up").ok()
    assert mounted(fake) == STORED
    (fake.project / ".env").write_text(f"KEY={CANARY}-own\n")
    fake.companion("up").ok()
    assert mounted(fake) == f"{CANARY}-own"
    assert times_asked(fake) == 1


@pytest.mark.parametrize(
    "url",
    [
        *("https://evil.test", "http://api.github.com", "https://api.github.com:8443"),
        "docker://github.com",
    ],
)
def test_a_clone_that_names_a_secret_for_its_own_host_gets_nothing(fake: Fake, url: str):
    more = ", network: some" if url.startswith("docker") else ""
    (fake.project / "agent.yaml").write_text(
        sends(("GITHUB_TOKEN", "https://api.github.com"), ("GITHUB_TOKEN", url)).replace(
            f'"{url}",', f'"{url}"{more},'
        )
    )
    program(fake, f"echo {ASKED}")
    path = settings(fake, "secrets: {GITHUB_TOKEN: {command: [vault, get]}}\n")
    done = fake.companion("up")
    there = url.removeprefix("https://")
    assert done.code == 1
    assert done.problems == [
        (
            f"agent.yaml:8:9: GITHUB_TOKEN must not be sent to {there}: your secret is bound to"
            " api.github.com, github.com; to allow it, add the host to `secrets.GITHUB_TOKEN.hosts`"
            f" in {path}; or give the project another value in .env"
        )
    ]
    store(fake, "GITHUB_TOKEN", STORED)
    (problem,) = json.loads(fake.companion("validate", "--json").out)["problems"]
    assert problem["code"] == "secret-unbound"
    options = f"--host api.github.com --host github.com --host {there}"
    assert f"`companion secret set GITHUB_TOKEN {options}`" in problem["hint"]
    fake.desk.companion("-C", str(fake.project), "generate")
    assert times_asked(fake) == 0
    assert not list(fake.desk.paths.projects.glob("*/coder/secrets/*"))


def test_what_a_project_opens_says_where_a_value_comes_from(fake: Fake):
    settings(fake, "secrets: {KEY: {command: [/usr/bin/vault, get, me], hosts: [api.test]}}\n")
    shown = fake.companion("trust", "show").out
    assert "sends KEY from the command vault to api.test:443 (header X-K)" in shown
    store(fake, "KEY", STORED)
    assert "sends KEY from your secrets to api.test:443" in fake.companion("trust", "show").out


def test_only_a_change_that_is_applied_asks_a_command(fake: Fake):
    program(fake, f"cat {fake.desk.home}/value")
    (fake.desk.home / "value").write_text(ASKED)
    settings(fake, "secrets: {KEY: {command: [vault], hosts: [api.test]}}\n")
    for command in ("validate", "generate", "plan", "status", "trust"):
        fake.companion(command)
    assert times_asked(fake) == 0
    fake.companion("up").ok()
    assert (mounted(fake), times_asked(fake)) == (ASKED, 1)
    (fake.desk.home / "value").write_text(f"{ASKED}-2")
    assert fake.companion("plan", "--json").ok().agent["change"] == "none"
    done = fake.companion("up", "--json").ok()
    assert done.agent["change"] == "reload"
    assert mounted(fake) == f"{ASKED}-2"


def test_a_stored_secret_that_changed_is_planned_and_reloaded(fake: Fake):
    store(fake, "KEY", STORED, "api.test")
    fake.companion("up").ok()
    assert fake.companion("plan", "--json").ok().agent["change"] == "none"
    store(fake, "KEY", ASKED)
    assert fake.companion("plan", "--json").ok().agent["change"] == "reload"
    fake.companion("up").ok()
    assert mounted(fake) == ASKED


FAILURES = {
    "fails": ("echo one >&2; echo 'not signed in' >&2; echo x; exit 3",
              "vault failed with exit code 3: 'not signed in'"),
    "says its token": (f"echo 'bad token {CANARY}' >&2; exit 1", "vault failed with exit code 1"),
    "says nothing": ("exit 1", "vault failed with exit code 1: 'no message'"),
    "is empty": ("echo", "what vault printed is empty"),
    "two lines": ("printf 'a\\nb\\n'", "what vault printed cannot be sent in a header"),
    "control characters": ("printf 'a\\033[1m'", "what vault printed cannot be sent in a header"),
    "too big": ("head -c 20000 /dev/zero | tr '\\0' x", "what vault printed has more than 16384"),
    "waits for input": ("read -r line; echo $line", "what vault printed is empty"),
    "killed": ("kill -9 $$", "vault failed with exit code -9"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), FAILURES.values(), ids=FAILURES)
def test_a_command_that_fails_is_one_message_and_what_runs_goes_on(
    fake: Fake, text: str, said: str
):
    program(fake, f"echo {ASKED}")
    settings(fake, "secrets: {KEY: {command: [vault, a, 'b c'], hosts: [api.test]}}\n")
    fake.companion("up").ok()
    calls = len(fake.world["calls"])
    program(fake, text)
    done = fake.companion("up")
    assert done.code == 1
    (problem,) = done.problems
    assert problem.startswith(f"KEY: {said}")
    assert "b c" not in done.err
    assert mounted(fake) == ASKED
    assert not fake.world["calls"][calls:]


def test_a_command_is_given_a_home_and_nothing_that_leads_it_astray(fake: Fake):
    place = fake.desk.home / "seen"
    program(fake, f'pwd >{place}; env >>{place}; echo "$1$2" >>{place}; echo {ASKED}')
    fake.desk.environment |= {"BASH_ENV": "/evil", "NODE_OPTIONS": "--require=/evil", "OP": "mine"}
    settings(fake, "secrets: {KEY: {command: [vault, '$(id)', '; id'], hosts: [api.test]}}\n")
    fake.companion("up").ok()
    seen = place.read_text().splitlines()
    assert seen[0] == str(fake.desk.home)
    assert "OP=mine" in seen
    assert not [line for line in seen if "/evil" in line]
    assert seen[-1] == "$(id); id"


def test_a_program_that_an_agent_may_write_is_never_asked(fake: Fake):
    evil = fake.project / "work/vault"
    evil.write_text(f"#!/bin/bash\ntouch {fake.desk.home}/ran; echo {CANARY}\n")
    evil.chmod(0o755)
    fake.desk.environment["PATH"] = f"{evil.parent}:{fake.desk.environment['PATH']}"
    for command in ("vault", str(evil)):
        settings(fake, f"secrets: {{KEY: {{command: ['{command}'], hosts: [api.test]}}}}\n")
        done = fake.companion("up")
        assert done.code == 1
        assert "could not be started" in done.err
    assert not (fake.desk.home / "ran").exists()


def test_a_failed_source_is_asked_once_for_all_sandboxes(fake: Fake):
    asks = program(fake, "exit 1")
    paths, told = fake.desk.paths, []
    source = Source("KEY", ("api.test",), 60.0, (str(asks),))
    program(fake, f"echo {ASKED}", "other")
    other = Source("OTHER", ("api.test",), 60.0, (str(asks.with_name("other")),))
    failures = []
    for _ in range(3):
        cache.fetch(paths, other, list)
        with pytest.raises(SecretFailedError) as caught:
            cache.fetch(paths, source, told.append)
        failures.append(str(caught.value))
    assert times_asked(fake) == 2  # each of the two once
    assert len(set(failures)) == 1
    assert told == ["reading KEY from the command vault"]
    assert cache.value(source) is None


def test_a_command_that_takes_too_long_or_never_stops_talking_ends():
    with pytest.raises(SecretFailedError, match="no answer within"):
        commands.ask(("sleep", "100"), patience=0.3)
    with pytest.raises(SecretFailedError, match="its output has no end"):
        commands.ask(("yes",))


WRONG = {
    "KEY: {hosts: [a.test]}": "'KEY' needs either `command` or `keyring: true`",
    "KEY: {keyring: true, command: [x], hosts: [a.test]}": "needs either",
    "KEY: {keyring: true}": "secrets.KEY needs `hosts`",
    "KEY: {command: [], hosts: [a.test]}": "must be a program and its arguments",
    "KEY: {command: [''], hosts: [a.test]}": "must be a program and its arguments",
    "KEY: {command: [bin/x], hosts: [a.test]}": "must begin with the name of a program",
    'KEY: {command: [x, "a\\0b"], hosts: [a.test]}': "without U+0000",
    "KEY: {command: x y, hosts: [a.test]}": "must be a list",
    "KEY: {command: [x], hosts: ['*']}": "must be a host",
    "KEY: {command: [x], hosts: [a.test], renew: 0s}": "must be a time such as 15m",
    "key: {command: [x], hosts: [a.test]}": "must be A-Z, 0-9 and '_'",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=WRONG)
def test_a_mistake_in_the_settings_is_named_with_its_place(fake: Fake, text: str, said: str):
    path = settings(fake, f"secrets:\n  {text}\n")
    done = fake.companion("validate")
    assert done.code == 1
    (problem,) = done.problems
    assert f"{path}:" in problem
    assert said in problem


def test_the_list_names_each_source_and_no_argument(fake: Fake):
    settings(
        fake,
        "secrets:\n  GITHUB_TOKEN: {command: [/usr/bin/gh, auth, token]}\n"
        "  KEY: {keyring: true, hosts: [api.test]}\n",
    )
    store(fake, "OTHER", STORED, "b.test")
    assert fake.desk.companion("secret", "list", "--json").ok().data == [
        {"name": "GITHUB_TOKEN", "where": "command gh", "hosts": ["api.github.com", "github.com"]},
        {"name": "KEY", "where": "keychain", "hosts": ["api.test"]},
        {"name": "OTHER", "where": "file", "hosts": ["b.test"]},
    ]
    done = fake.desk.companion("secret", "remove", "KEY")
    assert f"it is named in {fake.desk.paths.settings}: remove it there" in done.err


def watching(fake: Fake, then: Callable[[Callable[[], str]], None]) -> str:
    log = fake.desk.home / "watch.log"
    with log.open("w") as out:
        argv = [COMPANION, "watch"]
        child = subprocess.Popen(argv, env=fake.desk.environment, stdout=out, stderr=out)
    try:
        then(log.read_text)
    finally:
        child.terminate()
        child.wait(timeout=60)
    return log.read_text()


def test_a_value_that_a_command_renews_is_loaded_without_a_restart(fake: Fake):
    value = fake.desk.home / "value"
    value.write_text(ASKED)
    program(fake, f"cat {value}")
    settings(fake, "secrets: {KEY: {command: [vault], hosts: [api.test], renew: 1s}}\n")
    fake.companion("up").ok()
    calls = len(fake.world["calls"])

    def rotate(log: Callable[[], str]) -> None:
        wait_until(lambda: times_asked(fake) >= 3, tell=log)
        value.write_text(f"{ASKED}-2")
        wait_until(lambda: mounted(fake) == f"{ASKED}-2", tell=log)
        wait_until(lambda: "renewed KEY" in log(), tell=log)
        known = times_asked(fake)
        program(fake, "exit 1")
        wait_until(lambda: times_asked(fake) > known, tell=log)
        wait_until(lambda: "not changed: KEY: vault failed" in log(), tell=log)
        assert mounted(fake) == f"{ASKED}-2"
        value.write_text(f"{ASKED}-3")
        program(fake, f"cat {value}")
        wait_until(lambda: mounted(fake) == f"{ASKED}-3", tell=log)

    said = watching(fake, rotate)
    assert not fake.world["calls"][calls:]
    assert CANARY not in said


def test_a_secret_that_is_set_is_loaded_while_the_watcher_runs(fake: Fake):
    store(fake, "KEY", STORED, "api.test")
    fake.companion("up").ok()

    def change(log: Callable[[], str]) -> None:
        wait_until(lambda: "watching" in log() or "nothing to do" in log(), tell=log)
        store(fake, "KEY", ASKED)
        wait_until(lambda: mounted(fake) == ASKED, tell=log)

    watching(fake, change)
