"""The judges: OpenSSH's own programs, and a real sshd on a free loopback port."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ports
import pytest

from ssh import authorized_keys, keys

USER = pwd.getpwuid(os.getuid()).pw_name


@dataclass(frozen=True)
class Server:
    """An sshd, running or not, and what its one user needs to log in."""

    port: int
    user: str
    host_key: str
    client_key: Path
    authorized_keys: Path


@pytest.fixture(scope="session")
def ssh() -> Callable[..., subprocess.CompletedProcess[str]]:
    return _runner("ssh", "openssh-client")


@pytest.fixture(scope="session")
def ssh_keygen() -> Callable[..., subprocess.CompletedProcess[str]]:
    return _runner("ssh-keygen", "openssh-client")


@pytest.fixture(scope="session")
def effective(ssh, tmp_path_factory) -> Callable[[str, str], dict[str, list[str]]]:
    """What `ssh -G` makes of a config text for a host: directive → values."""
    file = tmp_path_factory.mktemp("effective") / "config"

    def judge(text: str, host: str) -> dict[str, list[str]]:
        file.write_text(text, encoding="utf-8", newline="")
        answer = ssh("-G", "-F", file, "--", host)
        assert answer.returncode == 0, answer.stderr
        directives: dict[str, list[str]] = {}
        for line in answer.stdout.splitlines():
            name, _, value = line.partition(" ")
            directives.setdefault(name, []).append(value)
        return directives

    return judge


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """A server that is not running: its port is free, its keys exist."""
    host, client = keys.generate("host"), keys.generate("client")
    host_key, client_key = tmp_path / "host_key", tmp_path / "client key"
    for path, text in ((host_key, host.private), (client_key, client.private)):
        path.touch(0o600)
        path.write_text(text)
    allowed = tmp_path / "authorized keys"
    allowed.write_text(authorized_keys.merge(authorized_keys.parse(client.public).keys))
    with ports.reserved() as port:
        yield Server(port, USER, host.public, client_key, allowed)


@pytest.fixture
def start_sshd(server, tmp_path) -> Iterator[Callable[..., Server]]:
    """Run the server and wait until it answers; lines for its sshd_config win over ours."""
    daemon = _find("sshd", "openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd chroots into it and does not make it
    started = []

    def start(*lines: str) -> Server:
        config = tmp_path / "sshd_config"
        config.write_text("\n".join([*lines, *_settings(server, tmp_path)]) + "\n")
        penalties = ["-o", "PerSourcePenalties=no"]  # OpenSSH 9.8 and later, as in sandboxes
        tried = [daemon, "-t", "-f", config, *penalties]
        if subprocess.run(tried, capture_output=True, check=False).returncode:
            penalties = []
        argv = [daemon, "-D", "-f", config, "-E", tmp_path / "log", *penalties]
        started.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
        _wait_for_banner(server.port)
        return server

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def sshd(start_sshd) -> Server:
    """A server that is running."""
    return start_sshd()


def _settings(server: Server, directory: Path) -> tuple[str, ...]:
    return (
        f"ListenAddress 127.0.0.1:{server.port}",
        f"HostKey {directory / 'host_key'}",
        f'AuthorizedKeysFile "{server.authorized_keys}"',
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
    )


def _wait_for_banner(port: int) -> None:
    late = time.monotonic() + 60
    while time.monotonic() < late:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as connection:
                assert connection.recv(7) == b"SSH-2.0"
                return
        except ConnectionRefusedError:
            time.sleep(0.02)
    pytest.fail("sshd did not start")


def _runner(program: str, package: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    executable = _find(program, package)

    def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        argv = [executable, *map(str, arguments)]
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def _find(program: str, package: str) -> str:
    """Return the path of a program; Debian keeps sshd out of a user's PATH."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"needs {package}: apt-get install {package}")
    return found
