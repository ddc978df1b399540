"""SSH config of one agent on a cluster: a file of its own, which `ssh -F` reads."""

from collections.abc import Sequence
from pathlib import Path

from companion.spec.containers import Login
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from ssh import config, known_hosts


def write(home: Paths, agent_paths: AgentPaths, login: Login, server: Sequence[str]) -> Path:
    """Write how to log in to an agent, with its stored host key pinned; return the file.

    Args:
        home: the user's paths.
        agent_paths: the agent's.
        login: the alias and the user.
        server: the command whose input and output are its SSH server.

    Raises:
        CompanionError: a file cannot be written.
    """
    host = config.Host(
        alias=login.alias,
        hostname="127.0.0.1",
        port=login.port,
        user=login.user,
        identity_file=home.client_key(login.alias).as_posix(),
        known_hosts_file=agent_paths.kubernetes_known_hosts.as_posix(),
        proxy=config.proxy(server),
    )
    pin = files.read_text(agent_paths.host_key.with_suffix(".pub")) or ""
    files.write(agent_paths.kubernetes_known_hosts, known_hosts.render({login.alias: pin.strip()}))
    files.write(agent_paths.kubernetes_ssh, config.render((host,)))
    return agent_paths.kubernetes_ssh
