"""The judge of generated compose files notices each way in which one could be open."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from companion.reconcile.closed_check import violations
from companion.spec.containers import Publish, Role, Service

TEXT = (Path(__file__).parent.parent / "cases/everything/expected/docker-compose.yml").read_text()
SERVICES = (
    Service("coder-gateway", Role.GATEWAY, "", "", ()),
    Service("coder-ingress", Role.INGRESS, "", "", (), publish=(Publish(2222, 2222),)),
    Service("coder-net", Role.NET, "", "", ()),
    Service("coder", Role.AGENT, "", "", ()),
)

ROOT, NAMESPACES = "runs as root", "shares the host's namespaces"
CAPABILITY, HOLDER = (
    "has a capability that it does not need",
    "does not live in the net holder's namespace",
)
SOCKET, VARIABLE, SECRETS = (
    "reaches an engine's socket",
    "takes a variable from the environment of the engine's client",
    "sees the gateway's secrets",
)
CALLS, LIST = "may make system calls that our list refuses", "seccomp=/state/seccomp/1.json"
UNSEEN = "its secrets are not mounted at /companion/secrets"
MISSING = object()
"""Instead of a value: the key is not there."""


def mounting(source: str) -> dict[str, object]:
    return {"volumes": [{"source": "/fine", "target": "/y"}, {"source": source, "target": "/x"}]}


OPENINGS: dict[str, tuple[str, dict[str, object], list[str]]] = {
    "a capability": ("coder", {"cap_add": ["SYS_ADMIN"]}, [CAPABILITY]),
    "any capability for the agent": ("coder", {"cap_add": ["NET_ADMIN"]}, [CAPABILITY]),
    "one that becomes another user": ("coder", {"cap_add": ["SETUID"]}, [CAPABILITY]),
    "one too many for the holder": (
        "coder-net",
        {"cap_add": ["NET_ADMIN", "SETUID", "CHOWN"]},
        [CAPABILITY],
    ),
    "nothing dropped": ("coder-gateway", {"cap_drop": []}, ["does not drop all capabilities"]),
    "no word of dropping": ("coder", {"cap_drop": MISSING}, ["does not drop all capabilities"]),
    "one dropped": ("coder", {"cap_drop": ["NET_RAW"]}, ["does not drop all capabilities"]),
    "new privileges": ("coder", {"security_opt": [LIST]}, ["may gain privileges"]),
    "no word of security": ("coder", {"security_opt": MISSING}, ["may gain privileges", CALLS]),
    "every system call": (
        "coder",
        {"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
        [CALLS],
    ),
    "the engine's own list": ("coder", {"security_opt": ["no-new-privileges"]}, [CALLS]),
    "no profile besides": (
        "coder-gateway",
        {"security_opt": ["no-new-privileges", LIST, "apparmor=unconfined"]},
        [CALLS],
    ),
    "privileged": ("coder-net", {"privileged": True}, [NAMESPACES]),
    "the host's processes": ("coder", {"pid": "host"}, [NAMESPACES]),
    "the host's memory": ("coder", {"ipc": "host"}, [NAMESPACES]),
    "the host's users": ("coder", {"userns_mode": "host"}, [NAMESPACES]),
    "a writable root": ("coder-gateway", {"read_only": False}, ["has a writable root"]),
    "a root of which nothing is said": ("coder", {"read_only": MISSING}, ["has a writable root"]),
    "a network of its own": (
        "coder",
        {"networks": ["coder-default"], "network_mode": MISSING},
        [HOLDER],
    ),
    "a network besides": ("coder", {"networks": ["coder-default"]}, [HOLDER]),
    "the gateway's namespace": ("coder", {"network_mode": "service:coder-gateway"}, [HOLDER]),
    "somebody's namespace": ("coder", {"network_mode": "service:other"}, [HOLDER]),
    "a namespace of no service": ("coder", {"network_mode": "coder-net"}, [HOLDER]),
    "the host's namespace": (
        "coder",
        {"network_mode": "host"},
        [HOLDER, "shares the host's network"],
    ),
    "the holder on the way out": (
        "coder-net",
        {"networks": {"coder-default": {}}},
        ["the agent's namespace is on a network that is not internal"],
    ),
    "root": ("coder", {"user": "0:0"}, [ROOT]),
    "root by name": ("coder", {"user": "root"}, [ROOT]),
    "root by default": ("coder", {"user": ""}, [ROOT]),
    "a user of whom nothing is said": ("coder-gateway", {"user": MISSING}, [ROOT]),
    "a port for everybody": (
        "coder-ingress",
        {"ports": ["127.0.0.1:2222:2222", "2222:2222"]},
        ["publishes a port beyond this machine"],
    ),
    "a port where nobody asked for one": (
        "coder-net",
        {"ports": ["127.0.0.1:2222:2222"]},
        ["publishes a port beyond this machine"],
    ),
    "a secret from the environment": ("coder", {"environment": {"X": "$SECRET"}}, [VARIABLE]),
    "a secret with a default": ("coder", {"environment": {"X": "${SECRET:-d}"}}, [VARIABLE]),
    "one behind a dollar sign": ("coder", {"environment": {"X": "$$a $SECRET"}}, [VARIABLE]),
    "the secrets' directory": ("coder", mounting("/state/coder/secrets"), [SECRETS]),
    "one secret": ("coder", mounting("/state/coder/secrets/KEY"), [SECRETS]),
    "what lies above them": ("coder", mounting("/state/coder"), [SECRETS]),
    "secrets in another place": ("coder-gateway", mounting("/state/coder/secrets"), [UNSEEN]),
    "docker's socket": ("coder", mounting("/var/run/docker.sock"), [SOCKET]),
    "podman's socket": ("coder-gateway", mounting("/run/podman/podman.sock"), [SOCKET, UNSEEN]),
    "containerd's socket": ("coder-net", mounting("/run/containerd/containerd.sock"), [SOCKET]),
}
HOOKED = {
    "more for the hooks than the config may give": (
        "coder",
        {"cap_add": ["NET_ADMIN"]},
        CAPABILITY,
    ),
    "root elsewhere": ("coder-gateway", {"user": "0:0"}, ROOT),
}


def opened(document: dict, service: str, change: dict[str, object]) -> str:
    """Return the text of a compose file in which one service is changed."""
    changed = {
        k: v for k, v in (document["services"][service] | change).items() if v is not MISSING
    }
    return yaml.safe_dump(document | {"services": document["services"] | {service: changed}})


def test_root_begins_only_where_hooks_are_and_may_not_do_more():
    rooted = {"cap_add": ["CHOWN", "SETUID"], "read_only": False, "user": "0:0"}
    services = (*SERVICES[:-1], replace(SERVICES[-1], writable=True))
    text = opened(yaml.safe_load(TEXT), "coder", rooted)
    assert list(violations(text, services)) == []
    found = list(violations(text, SERVICES))
    assert found == [f"coder: {what}" for what in (CAPABILITY, "has a writable root", ROOT)]
    for service, change, sentence in HOOKED.values():
        text = opened(yaml.safe_load(text), service, change)
        assert list(violations(text, services)) == [f"{service}: {sentence}"]
        text = opened(yaml.safe_load(TEXT), "coder", rooted)


def test_what_we_generate_is_closed():
    assert list(violations(TEXT, SERVICES)) == []


def test_a_directory_that_is_only_called_as_the_secrets_are_may_be_mounted():
    for source in ("/home/ada/secrets", "/home/ada/secrets/app", "/state/secrets/work"):
        assert (
            list(violations(opened(yaml.safe_load(TEXT), "coder", mounting(source)), SERVICES))
            == []
        )


def test_without_a_gateway_nobody_lives_in_a_holder():
    document = yaml.safe_load(TEXT)
    alone = {"networks": {"coder-default": {}}, "network_mode": MISSING, "volumes": MISSING}
    text = opened(document | {"services": {"coder": document["services"]["coder"]}}, "coder", alone)
    assert list(violations(text, SERVICES[-1:])) == []


@pytest.mark.parametrize("opening", OPENINGS)
def test_an_open_compose_file_is_noticed(opening: str):
    service, change, sentences = OPENINGS[opening]
    found = list(violations(opened(yaml.safe_load(TEXT), service, change), SERVICES))
    assert found == [f"{service}: {sentence}" for sentence in sentences]
