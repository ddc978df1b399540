"""Whatever the user's own ssh config says of all hosts: `ssh NAME.sandbox` logs in."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Server
from desk import ROOT

from ssh import keys, known_hosts
from ssh.config import Host, add_include, render

GENERATED = ROOT / "tests/cases/everything/expected/sshd/sshd_config"
ALIAS = "coder.sandbox"
CONFIGS = {
    "address-family": "Host *\n  AddressFamily inet6\n",
    "bastion": "Host *\n  ProxyJump bastion.example.com\n",
    "bastion-for-all-but": "Match host !*.example.com all\n  ProxyCommand false %h %p\n",
    "no-keys": "Host *\n  PubkeyAuthentication no\n  PreferredAuthentications password\n",
    "rsa-only": "Host *\n  PubkeyAcceptedKeyTypes rsa-sha2-256,rsa-sha2-512\n"
    "  HostKeyAlgorithms rsa-sha2-512\n",
    "tmux": "Host *\n  RequestTTY yes\n  RemoteCommand tmux new -A -s main\n",
    "rmate": "Host *\n  ExitOnForwardFailure yes\n  RemoteForward 52698 localhost:52698\n",
    "vpn": "Host *\n  BindAddress 203.0.113.7\n",
    "canonical": "CanonicalizeHostname always\nCanonicalDomains example.com\n"
    "CanonicalizeFallbackLocal no\nHost *\n",
    "one-password": "Host *\n  IdentityAgent ~/.1password/agent.sock\n",
    "keychain": "Host *\n  IgnoreUnknown UseKeychain\n  UseKeychain yes\n  AddKeysToAgent yes\n",
    "smartcard": "Host *\n  PKCS11Provider /usr/lib/missing-pkcs11.so\n  IdentitiesOnly no\n",
    "certificate": "Host *\n  CertificateFile ~/.ssh/id-cert.pub\n  IdentityFile ~/.ssh/id\n",
    "vagrant": "Host *\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n"
    "  NoHostAuthenticationForLocalhost yes\n",
    "revoked": "Host *\n  RevokedHostKeys /etc/ssh/there-is-none\n",
    "local-command": "Host *\n  PermitLocalCommand yes\n  LocalCommand false\n",
    "x11": "Host *\n  ForwardX11 yes\n  ForwardAgent yes\n  Tunnel yes\n  GatewayPorts yes\n",
    "hardened": "Host *\n  Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com\n"
    "  KexAlgorithms curve25519-sha256\n  MACs hmac-sha2-512-etm@openssh.com\n",
    "user": "Host *\n  User root\n  Port 2200\n  HostName example.com\n  HostKeyAlias x\n",
    "latin-1": "# B\udcfcro\nHost x\n  User y\n",
}
Login = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def login(server: Server, tmp_path: Path) -> Login:
    """Log in by a user's config that includes ours, and run `echo in`."""
    ours = tmp_path / "our config"
    known = tmp_path / "known hosts"
    known.write_text(known_hosts.render({ALIAS: server.host_key}))
    host = Host(ALIAS, "127.0.0.1", server.port, server.user, str(server.client_key), str(known))
    ours.write_text(render([host]))

    def run(text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        own = tmp_path / "own"
        own.write_text(add_include(text, str(ours)), errors="surrogateescape")
        for file in (ours, own):
            file.chmod(0o600)
        argv = ["ssh", "-F", own, "-o", "BatchMode=yes", ALIAS, "echo in"]
        return subprocess.run(
            argv,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """An empty ssh-agent of the user's; the path of its socket."""
    socket = str(tmp_path / "agent.sock")
    said = subprocess.run(["ssh-agent", "-a", socket], capture_output=True, text=True, check=True)
    yield socket
    number = re.search(r"SSH_AGENT_PID=(\d+)", said.stdout)
    assert number
    os.kill(int(number[1]), 15)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_users_config_for_all_hosts_keeps_nobody_out(
    login: Login, start_sshd: Callable[..., Server], name: str
):
    start_sshd(*re.findall(r"(?:AllowTcpForwarding|AllowAgent\w+) .*", GENERATED.read_text()))
    done = login(CONFIGS[name])
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr


@pytest.mark.usefixtures("sshd")
def test_the_sandboxs_key_does_not_land_in_the_users_agent(login: Login, agent: str):
    assert login("Host *\n  AddKeysToAgent yes\n", SSH_AUTH_SOCK=agent).returncode == 0
    held = subprocess.run(
        ["ssh-add", "-L"], env={"SSH_AUTH_SOCK": agent}, capture_output=True, text=True, check=False
    )
    assert held.stdout == "The agent has no identities.\n"


def test_many_keys_in_the_users_agent_do_not_use_up_the_tries(
    login: Login, agent: str, start_sshd: Callable[..., Server], tmp_path: Path
):
    start_sshd(*re.findall(r"MaxAuthTries .*", GENERATED.read_text()))
    text = "Host *\n"
    for number in range(20):
        key = tmp_path / f"id_{number}"
        key.touch(0o600)
        key.write_text((made := keys.generate("x")).private)
        key.with_suffix(".pub").write_text(made.public)
        text += f'  IdentityFile "{key}"\n'
        subprocess.run(
            ["ssh-add", "-q", key], env={"SSH_AUTH_SOCK": agent}, check=True, capture_output=True
        )
    assert login(text, SSH_AUTH_SOCK=agent).stdout == "in\n"
