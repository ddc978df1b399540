"""Names of containers on the engine's networks that the gateway joins.

They are asked of the network's own DNS server, because others answer that they do not exist: Podman
lists the desktop's among those of all networks, in any order. Either engine may answer with a
container of another network that the gateway joins. Docker does not if the network's name follows
the container's; on Podman, such an address is refused. gateway.sh sets the variables used here.
"""

from collections.abc import Iterator

from companion.config.values import is_address
from companion.sandbox.model import Sandbox
from companion.spec.containers import File

FILE = "networks.lst"
_HINT = "use a name that only the container has, such as its own"


def render(sandbox: Sandbox) -> File:
    """Return the list of joined networks, in the order of joining, for gateway.sh."""
    return File(FILE, "".join(f"{name}\n" for name in sandbox.joined_networks).encode())


def resolvers(sandbox: Sandbox, settings: str) -> Iterator[str]:
    """Yield a `resolvers` section for each joined network."""
    for index in range(len(sandbox.joined_networks)):
        yield f'\nresolvers network{index}\n  nameserver own "${{NETWORK_{index}_SERVER}}"\n'
        yield settings


def rules(sandbox: Sandbox) -> Iterator[str]:
    """Yield the rules that resolve the names of joined networks, and only there."""
    numbers = {name: index for index, name in enumerate(sandbox.joined_networks)}
    named = (u for u in sandbox.upstreams_by("http") if u.network and not is_address(u.host))
    for host, index in sorted({(u.host, numbers[u.network]) for u in named}):
        is_host = f"{{ var(txn.host) -m str {host} }}"
        name = f'"str({host}${{NETWORK_{index}_SUFFIX}})"'
        yield f"  http-request set-var(txn.joined) bool(true) if {is_host}\n"
        yield f"  http-request do-resolve(txn.ip,network{index},ipv4) {name} if {is_host}\n"
        is_there = f'{{ var(txn.ip) -m ip "${{NETWORK_{index}_SUBNET}}" }}'
        yield f"  http-request set-var(txn.reason) str(elsewhere) if {is_host}\n"
        yield (
            "  http-request return status 502 content-type text/plain string"
            f' "gateway: another network has this name, too: {_HINT}\\n"'
            f" if {is_host} {{ var(txn.ip) -m found }} !{is_there}\n"
        )
