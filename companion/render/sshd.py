"""Configuration of the agent's sshd: public keys only, the agent's user only, no privileges."""

from companion.config.ports import SSHD_PORT
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

KEYS = "/companion/sshd"
_TRIES = 128
"""More keys than a client offers: those of the user's ssh-agent may come before ours."""


def render(sandbox: Sandbox) -> File:
    """Return sshd_config; entrypoint.sh adds the environment of its sessions."""
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
    )
    return File("sshd_config", text.encode())
