"""Services and NetworkPolicies: how the Pods of a sandbox find each other, and nothing else."""

from collections.abc import Iterator
from typing import Any

from companion.config.ports import SSHD_PORT
from companion.kubernetes.cluster import Cluster
from companion.kubernetes.names import Manifest, Names
from companion.spec.containers import Target
from companion.spec.identity import Role

_DNS = 53


def render(target: Target, names: Names, cluster: Cluster) -> Iterator[Manifest]:
    """Yield the Services and NetworkPolicies of a sandbox."""
    ports = (("UDP", _DNS), *(("TCP", port) for port in (_DNS, *target.ports)))
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


def first_service(names: Names) -> Manifest:
    """Return the gateway's Service before its address is known, on which the rest depends."""
    ports = [{"name": f"tcp-{_DNS}", "protocol": "TCP", "port": _DNS}]
    spec = {"selector": names.labels(Role.GATEWAY), "ports": ports}
    return names.manifest("v1", "Service", Role.GATEWAY, spec)


def _pods(names: Names, role: Role) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": names.labels(role)}}


def _policy(
    names: Names, role: Role, ingress: list[dict[str, Any]], egress: list[dict[str, Any]]
) -> Manifest:
    kinds = ["Ingress", "Egress"]
    spec = {**_pods(names, role), "policyTypes": kinds, "ingress": ingress, "egress": egress}
    return names.manifest("networking.k8s.io/v1", "NetworkPolicy", role, spec)
