"""Secrets lie in a real keychain; where there is none, in a file, and everybody is told."""

import json
import os
import pty
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import CANARY, COMPANION, Desk
from fake_project import Fake
from keychains import Keychain, keychain

from companion.operations import secret_checks
from companion.operations.findings import Finding, Level

USES = """\
name: coder
runtime: {base_image: "debian:bookworm-slim"}
egress: listed
features:
  - plugin: external-services
    services:
      - {url: "https://a.test", headers: {K: "${KEY}"}}
      - {url: "https://b.test", headers: {K: "${OTHER}"}}
"""
NO_BUS = "Environment variable DBUS_SESSION_BUS_ADDRESS is unset"


@pytest.fixture
def chain(tmp_path: Path, desk: Desk) -> Iterator[Keychain]:
    with keychain(tmp_path) as found:
        desk.environment |= found.environment
        yield found


@pytest.fixture
def server(desk: Desk) -> Desk:
    """A user who is logged in to a server: no session bus."""
    desk.environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
    return desk


def set_secret(desk: Desk, name: str, *options: str, value: str = CANARY):
    return desk.companion("secret", "set", name, "--from-stdin", *options, stdin=value + "\n")


def written(desk: Desk) -> str:
    """Everything that companion wrote on this desktop."""
    ours = [desk.paths.data, desk.paths.state, desk.paths.config]
    texts = [p.read_text() for d in ours for p in d.rglob("*") if p.is_file()]
    return "\n".join(texts)


def test_a_secret_lies_in_the_keychain_and_in_no_file(desk: Desk, chain: Keychain):
    done = set_secret(desk, "ANTHROPIC_API_KEY").ok()
    assert done.out == (
        "stored ANTHROPIC_API_KEY in the keychain; it is sent only to api.anthropic.com\n"
    )
    assert chain.values() == {"ANTHROPIC_API_KEY": CANARY}
    assert "ANTHROPIC_API_KEY" in written(desk)
    assert CANARY not in written(desk)
    (row,) = desk.companion("secret", "list", "--json").ok().data
    assert row == {"name": "ANTHROPIC_API_KEY", "where": "keychain", "hosts": ["api.anthropic.com"]}
    desk.companion("secret", "remove", "ANTHROPIC_API_KEY").ok()
    assert chain.values() == {}
    assert desk.companion("secret", "list", "--json").ok().data == []


def test_without_a_keychain_the_user_is_told_of_the_file(server: Desk):
    done = set_secret(server, "MY_KEY", "--host", "API.example.com", "--host", "http://box:8000")
    values = server.paths.secret_values
    assert done.ok().err == (
        f"warning: MY_KEY is stored unencrypted in {values}, which only your user can read\n"
        f"  there is no keychain: Unable to initialize SecretService: {NO_BUS}\n"
        "tip: `companion secret set MY_KEY` moves it into a keychain, where there is one\n"
    )
    assert stat.S_IMODE(values.stat().st_mode) == 0o600
    assert json.loads(values.read_text())["about"].startswith("Secrets of Companion, unencrypted")
    listed = server.companion("secret", "list").ok()
    assert listed.out.splitlines()[1].split() == [
        "MY_KEY", "file", "api.example.com,", "http://box:8000",
    ]  # fmt: skip
    assert "unencrypted" in listed.err
    (finding,) = secret_checks.examine(server.paths)
    assert finding.level is Level.WARNING
    assert "unencrypted" in finding.what


def test_a_secret_moves_from_the_file_into_the_keychain(desk: Desk, server: Desk, tmp_path: Path):
    set_secret(server, "KEY", "--host", "api.example.com").ok()
    with keychain(tmp_path) as chain:
        desk.environment |= chain.environment
        set_secret(desk, "KEY").ok()  # it stays bound to the same host
        assert chain.values() == {"KEY": CANARY}
        assert not desk.paths.secret_values.exists()


def test_a_locked_keychain_is_an_error_and_never_a_file(desk: Desk, chain: Keychain):
    set_secret(desk, "KEY", "--host", "one.example.com").ok()
    chain.lock()
    done = set_secret(desk, "KEY", "--host", "two.example.com", value="another")
    assert done.code == 1
    assert "error: the keychain is locked" in done.err
    assert "tip: unlock it, and try again" in done.err
    assert "another" not in written(desk)
    (row,) = desk.companion("secret", "list", "--json").ok().data
    assert row["hosts"] == ["one.example.com"]
    assert desk.companion("secret", "remove", "KEY").code == 1
    assert desk.companion("secret", "list", "--json").ok().data == [row]
    set_secret(desk, "KEY", "--in-file").ok()
    assert CANARY in desk.paths.secret_values.read_text()


@pytest.mark.parametrize("backend", ["null", "fail", "chainer"])
def test_a_backend_that_others_chose_is_never_used(server: Desk, backend: str, tmp_path: Path):
    server.environment["PYTHON_KEYRING_BACKEND"] = f"keyring.backends.{backend}.Keyring"
    settings = server.home / ".config/python_keyring/keyringrc.cfg"
    settings.parent.mkdir()
    settings.write_text(f"[backend]\ndefault-keyring=evil.Keyring\nkeyring-path={tmp_path}\n")
    (tmp_path / "evil.py").write_text(f"open('{tmp_path}/ran', 'w')\n")
    done = set_secret(server, "OPENAI_API_KEY").ok()
    assert "unencrypted" in done.err
    assert CANARY in server.paths.secret_values.read_text()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "address", ["unix:path=/nowhere/bus", "nonsense", "", "tcp:host=127.0.0.1,port=1"]
)
def test_a_bus_that_is_not_there_is_no_keychain(server: Desk, address: str):
    server.environment["DBUS_SESSION_BUS_ADDRESS"] = address
    assert "there is no keychain" in set_secret(server, "OPENAI_API_KEY").ok().err


def test_a_bus_that_does_not_answer_is_an_error_and_never_a_file(server: Desk, tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        bus.listen()
        server.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={tmp_path / 'bus'}"
        done = set_secret(server, "OPENAI_API_KEY")
    assert (done.code, "error: the keychain does not answer" in done.err) == (1, True)
    assert CANARY not in written(server)


@pytest.mark.parametrize(
    ("arguments", "value", "said"),
    [
        (["set", "lower"], "x", "a secret's name has only A-Z, 0-9 and '_'"),
        (["set", "KEY"], "x", "KEY is not bound to a host yet"),
        (["set", "KEY", "--host", "a b"], "x", "--host must be a host such as"),
        (["set", "KEY", "--host", "ftp://x.org"], "x", "--host must be a host such as"),
        (["set", "KEY", "--host", "x.org/path"], "x", "--host must be a host such as"),
        (["set", "KEY", "--host", "https://me:pw@x.org"], "x", "--host must be a host such as"),
        (["set", "OPENAI_API_KEY"], "\n", "the value of OPENAI_API_KEY is empty"),
        (["set", "OPENAI_API_KEY"], "two\nlines", "cannot be sent in a header"),
        (["set", "OPENAI_API_KEY"], "\u20ac", "cannot be sent in a header"),
        (["set", "OPENAI_API_KEY"], "x" * 20000, "has more than 16384 characters"),
        (["set"], "x", "`secret set` needs a NAME"),
        (["remove", "KEY"], "", "there is no stored secret KEY"),
        (["list", "KEY"], "", "`secret list` takes no NAME"),
    ],
)
def test_bad_input_is_one_message_and_stores_nothing(
    server: Desk, arguments: list[str], value: str, said: str
):
    given = ["--from-stdin"] if arguments[0] == "set" else []
    done = server.companion("secret", *arguments, *given, stdin=value)
    assert done.code in {1, 2}
    assert len(done.problems) == 1
    assert said in done.problems[0]
    assert not server.paths.secret_names.exists()
    assert not server.paths.secret_values.exists()


def test_the_value_is_typed_without_being_shown(server: Desk):
    ours, theirs = pty.openpty()
    argv = [COMPANION, "secret", "set", "OPENAI_API_KEY"]
    with subprocess.Popen(
        argv,
        env=server.environment,
        cwd=server.home,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as child:
        os.close(theirs)
        seen = os.read(ours, 1000)
        os.write(ours, f"{CANARY}\n".encode())
        try:
            while part := os.read(ours, 1000):
                seen += part
        except OSError:
            pass
        assert child.wait() == 0
    os.close(ours)
    assert b"it is not shown" in seen
    assert CANARY.encode() not in seen
    assert CANARY in server.paths.secret_values.read_text()


def test_bytes_that_are_no_text_are_refused(server: Desk):
    done = subprocess.run(
        [COMPANION, "secret", "set", "OPENAI_API_KEY", "--from-stdin"],
        env=server.environment,
        input=b"\xff\xfe\x00",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"cannot be sent in a header" in done.stderr


def test_who_binds_a_secret_to_less_is_told_what_keeps_it(server: Desk):
    set_secret(server, "KEY", "--host", "a.test", "--host", "b.test").ok()
    done = set_secret(server, "KEY", "--host", "a.test").ok()
    assert "a sandbox that sends it to b.test keeps the value that it has until" in done.out


def test_without_a_terminal_nothing_is_asked(server: Desk):
    done = server.companion("secret", "set", "OPENAI_API_KEY", stdin=CANARY)
    assert done.code == 2
    assert "tip: add --from-stdin to pipe it in" in done.err


def test_an_apply_reads_the_keychain_and_what_runs_outlives_its_lock(desk: Desk, chain: Keychain):
    fake = Fake(desk, desk.project(USES))
    settings = desk.paths.settings
    settings.write_text(
        f"trust: {{always: [{desk.home}]}}\nsecrets: {{KEY: {{keyring: true, hosts: [a.test]}}}}\n"
    )
    set_secret(desk, "OTHER", "--host", "b.test").ok()
    done = fake.companion("up")
    assert done.problems == ["KEY: the keychain has no KEY; run `companion secret set KEY`"]
    chain.put("KEY", CANARY)  # as `keyring set companion KEY` does
    fake.companion("up").ok()
    set_secret(desk, "KEY", value=f"{CANARY}-2").ok()
    assert fake.companion("plan", "--json").ok().agent["change"] == "reload"
    chain.lock()
    done = fake.companion("up", "--json")
    (problem,) = json.loads(done.out)["problems"]  # one, though it has two of the secrets
    assert problem["code"] == "keychain-locked"
    assert problem["what"].startswith("KEY: the keychain is locked")
    fake.is_whole()
    assert desk.companion("-C", str(fake.project), "validate").code == 0


def test_uninstall_takes_our_secrets_out_of_the_keychain(
    desk: Desk, chain: Keychain, monkeypatch: pytest.MonkeyPatch
):
    set_secret(desk, "ONE", "--host", "one.example.com").ok()
    set_secret(desk, "TWO", "--host", "two.example.com").ok()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", chain.bus)
    (finding,) = secret_checks.examine(desk.paths)
    assert finding == Finding(Level.OK, "in the keychain: ONE, TWO")
    desk.companion("uninstall", "--yes").ok()
    assert chain.values() == {}


def test_uninstall_names_what_a_locked_keychain_keeps(desk: Desk, chain: Keychain):
    set_secret(desk, "KEY", "--host", "one.example.com").ok()
    chain.lock()
    done = desk.companion("uninstall", "--yes")
    assert done.code == 1
    assert "not removed: the keychain's entries companion/KEY: the keychain is locked" in done.out
