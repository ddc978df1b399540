"""Services and NetworkPolicies: how the Pods of a sandbox find each other, and nothing else."""

from collections.abc import Iterator
from typing import Any

from companion.config.ports import SSHD_PORT
from companion.kubernetes.cluster import Cluster
from companion.kubernetes.names import Manifest, Names
from companion.render import haproxy
from companion.sandbox.model import Sandbox
from companion.spec.identity import Role

_DNS = 53


def render(sandbox: Sandbox, names: Names, cluster: Cluster) -> Iterator[Manifest]:
    """Yield the Services and NetworkPolicies of a sandbox."""
    ports = (("UDP", _DNS), *(("TCP", port) for port in (_DNS, *gateway_ports(sandbox))))
    entries = [{"protocol": protocol, "port": port} for protocol, port in ports]
    named = [{"name": f"{e['protocol']}-{e['port']}".lower(), **e} for e in entries]
    # There is one gateway: where it is not ready, nobody else answers either.
    yield names.manifest(
        "v1", "Service", Role.GATEWAY,
        {"clusterIP": cluster.gateway, "publishNotReadyAddresses": True,
         "selector": names.labels(Role.GATEWAY), "ports": named},
    )  # fmt: skip
    # Without an address of its own, its name resolves to the agent's Pod, also before it is ready.
    login = [{"name": "ssh", "protocol": "TCP", "port": SSHD_PORT}]
    yield names.manifest(
        "v1", "Service", Role.AGENT,
        {"clusterIP": "None", "publishNotReadyAddresses": True,
         "selector": names.labels(Role.AGENT), "ports": login},
    )  # fmt: skip
    agent, gateway = ([_pods(names, role)] for role in (Role.AGENT, Role.GATEWAY))
    yield _policy(names, Role.AGENT, [], [{"to": gateway, "ports": entries}])
    yield _policy(names, Role.GATEWAY, [{"from": agent, "ports": entries}], [{}])


def gateway_ports(sandbox: Sandbox) -> list[int]:
    """Return the TCP ports on which the gateway serves the agent, besides DNS."""
    return haproxy.ports(sandbox.upstreams, *haproxy.OWN_PORTS)


def _pods(names: Names, role: Role) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": names.labels(role)}}


def _policy(
    names: Names, role: Role, ingress: list[dict[str, Any]], egress: list[dict[str, Any]]
) -> Manifest:
    kinds = ["Ingress", "Egress"]
    spec = {**_pods(names, role), "policyTypes": kinds, "ingress": ingress, "egress": egress}
    return names.manifest("networking.k8s.io/v1", "NetworkPolicy", role, spec)
