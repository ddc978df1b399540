"""Login: how an SSH client reaches an agent on a cluster, which publishes no port."""

from companion.kubernetes.names import Names
from companion.spec.containers import Service
from companion.spec.identity import LIB, Role, as_agent

_ROOT = "0"


def ssh_server(names: Names, service: Service, user: str) -> tuple[str, ...]:
    """Return the command whose input and output are an SSH server of the agent's user.

    Args:
        names: the names of the agent's objects.
        service: the agent's; its container may begin as root.
        user: the agent's user.
    """
    begins_as_root = service.user.partition(":")[0] == _ROOT
    # Without -e, sshd closes its standard error, and with it kubectl the connection.
    serve = (f"{LIB}/entrypoint.sh", "--sshd", "-i", "-e", "-o", "LogLevel=ERROR")
    return (
        "kubectl", "--namespace", names.namespace, "exec", "--stdin", names.pod,
        "--container", str(Role.AGENT), "--",
        *(as_agent(user) if begins_as_root else ()), "/bin/bash", *serve,
    )  # fmt: skip
