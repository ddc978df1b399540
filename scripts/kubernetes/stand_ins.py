"""Stand-ins for what a bare control plane lacks: cluster DNS, and a network that enforces policies.

DNS answers for Services over UDP. Policies are iptables rules: labels, peers by `podSelector`, and
ports are understood, which is what we write. Only for tests.

While the file /run/unenforced is there, policies have no effect.

usage: stand_ins.py ADDRESS PKI    ADDRESS: the node; PKI: certificates
"""

import http.client
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHAIN = "POLICIES"
UNENFORCED = Path("/run/unenforced")
TTL = 1
A, IN, NO_SUCH_NAME = 1, 1, 3
Object = dict[str, Any]
PATHS = (
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/endpoints",
    "/apis/networking.k8s.io/v1/networkpolicies",
)


def listed(address: str, pki: Path) -> tuple[list[Object], ...]:
    """Return pods, services, endpoints and policies of all namespaces."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    connection = http.client.HTTPSConnection(address, 6443, context=context, timeout=5)
    found = []
    for path in PATHS:
        connection.request("GET", path)
        found.append(json.load(connection.getresponse())["items"])
    connection.close()
    return tuple(found)


def names(services: list[Object], endpoints: list[Object]) -> dict[str, list[str]]:
    """Return name → addresses of all Services."""
    pods = {
        key(e): [a["ip"] for s in e.get("subsets") or () for a in s.get("addresses") or ()]
        for e in endpoints
    }
    found = {}
    for service in services:
        fixed = service["spec"].get("clusterIP", "")
        addresses = pods.get(key(service), []) if fixed == "None" else [fixed]
        found["{1}.{0}.svc.cluster.local".format(*key(service))] = addresses
    return found


def key(one: Object) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]


def answer(query: bytes, table: dict[str, list[str]]) -> bytes:
    """Return the answer to a DNS query with one question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    kind, _ = struct.unpack(">HH", query[at + 1 : at + 5])
    known = table.get(".".join(labels))
    addresses = known if known and kind == A else []
    flags = 0x8580 if known is not None else 0x8580 | NO_SUCH_NAME
    head = query[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0)
    records = (
        b"\xc0\x0c" + struct.pack(">HHIH", A, IN, TTL, 4) + socket.inet_aton(a) for a in addresses
    )
    return head + query[12 : at + 5] + b"".join(records)


def serve(address: str, table: dict[str, list[str]]) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        query, client = server.recvfrom(4096)
        server.sendto(answer(query, table), client)


def rules(pods: list[Object], policies: list[Object]) -> Iterator[str]:
    """Yield the rules of all policies; what a Pod's policies do not name is dropped."""
    yield f"-A {CHAIN} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
    drops = []
    for policy in policies:
        spec, space = policy["spec"], policy["metadata"]["namespace"]
        for mine in chosen(pods, space, spec["podSelector"]):
            for kind, own, other, peers in (
                ("Egress", "-s", "-d", "to"),
                ("Ingress", "-d", "-s", "from"),
            ):
                if kind in spec["policyTypes"]:
                    drops.append(f"-A {CHAIN} {own} {mine} -j DROP")
                    for rule in spec.get(kind.lower()) or ():
                        for far in partners(pods, space, rule, peers):
                            where = f"{own} {mine}" + (f" {other} {far}" if far else "")
                            for port in rule.get("ports") or (None,):
                                yield f"-A {CHAIN} {where}{shape(port)} -j RETURN"
    yield from drops


def partners(pods: list[Object], space: str, rule: Object, peers: str) -> list[str]:
    if peers not in rule:
        return [""]
    return [ip for peer in rule[peers] for ip in chosen(pods, space, peer["podSelector"])]


def shape(port: Object | None) -> str:
    return f" -p {port['protocol'].lower()} --dport {port['port']}" if port else ""


def chosen(pods: list[Object], space: str, selector: Object) -> list[str]:
    """Return the addresses of the Pods that a selector means."""
    wanted = selector.get("matchLabels", {}).items()
    return [
        pod["status"]["podIP"]
        for pod in pods
        if pod["metadata"]["namespace"] == space
        and wanted <= pod["metadata"].get("labels", {}).items()
        and pod["status"].get("podIP")
        and not pod["spec"].get("hostNetwork")
    ]


def main() -> None:
    address, pki = sys.argv[1], Path(sys.argv[2])
    table: dict[str, list[str]] = {}
    threading.Thread(target=serve, args=(address, table), daemon=True).start()
    subprocess.run(["iptables", "-N", CHAIN], check=True)
    subprocess.run(["iptables", "-I", "FORWARD", "-j", CHAIN], check=True)
    subprocess.run(["iptables", "-I", "INPUT", "!", "-s", address, "-j", CHAIN], check=True)
    last = ""
    while True:
        try:
            pods, services, endpoints, policies = listed(address, pki)
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            time.sleep(0.5)
            continue
        new = names(services, endpoints)
        table.update(new)
        for gone in table.keys() - new.keys():
            table.pop(gone)
        enforced = () if UNENFORCED.exists() else rules(pods, policies)
        text = "\n".join(("*filter", f":{CHAIN} - [0:0]", *enforced, "COMMIT", ""))
        if text != last:
            subprocess.run(["iptables-restore", "--noflush"], input=text, text=True, check=True)
            last = text
        time.sleep(0.3)


if __name__ == "__main__":
    main()
