"""Configuration of the agent's sshd: public keys only, the agent's user only, no privileges."""

from companion.config.models import SSHD_PORT
from companion.render import environment
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

KEYS = "/companion/sshd"
_TRIES = 128
"""More keys than a client offers: those of the user's ssh-agent may come before ours."""


def render(sandbox: Sandbox) -> File:
    """Return sshd_config; sessions get the same environment as the container's processes."""
    text = (
        f"Port {SSHD_PORT}\n"
        f"HostKey {KEYS}/host_key\n"
        f"AllowUsers {sandbox.program.user}\n"
        "PermitRootLogin no\n"
        "UsePAM no\n"
        "PidFile none\n"
        "AuthenticationMethods publickey\n"
        f"MaxAuthTries {_TRIES}\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        # A command reads the mounted file at each login, whoever owns it.
        "AuthorizedKeysFile none\n"
        f"AuthorizedKeysCommand /bin/cat {KEYS}/authorized_keys\n"
        f"AuthorizedKeysCommandUser {sandbox.program.user}\n"
        "AllowAgentForwarding no\n"
        "AllowTcpForwarding local\n"
        "AllowStreamLocalForwarding local\n"
        "GatewayPorts no\n"
        "X11Forwarding no\n"
        "PermitTunnel no\n"
        "PermitUserRC no\n"
        "PrintMotd no\n"
        "Subsystem sftp internal-sftp\n"
        # sshd uses only the first SetEnv line.
        f"{_set_env(sandbox)}"
    )
    return File("sshd_config", text.encode())


def _set_env(sandbox: Sandbox) -> str:
    variables = environment.render(sandbox)
    return f"SetEnv {' '.join(_assignment(*v) for v in variables)}\n" if variables else ""


def _assignment(name: str, value: str) -> str:
    """Quote one assignment for sshd_config (OpenSSH's misc.c, argv_split)."""
    if any(ord(char) < ord(" ") for char in value):
        raise ValueError("a control character in an sshd_config value")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}={escaped}"'
