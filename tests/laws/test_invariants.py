"""The judge of generated compose files notices each way in which one could be open."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from companion.reconcile.closed_check import violations
from companion.spec.containers import Publish, Role, Service

TEXT = (Path(__file__).parent.parent / "cases/everything/expected/docker-compose.yml").read_text()
SERVICES = (
    Service("coder-gateway", Role.GATEWAY, "", "", (), publish=(Publish(2222, 2222),)),
    Service("coder-net", Role.NET, "", "", ()),
    Service("coder", Role.AGENT, "", "", ()),
)

OPENINGS = {
    "a capability": ("coder", {"cap_add": ["SYS_ADMIN"]}),
    "any capability for the agent": ("coder", {"cap_add": ["NET_ADMIN"]}),
    "nothing dropped": ("coder-gateway", {"cap_drop": []}),
    "new privileges": ("coder", {"security_opt": []}),
    "every system call": (
        "coder",
        {"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
    ),
    "privileged": ("coder-net", {"privileged": True}),
    "the host's processes": ("coder", {"pid": "host"}),
    "a writable root": ("coder-gateway", {"read_only": False}),
    "a network of its own": ("coder", {"networks": ["default"], "network_mode": ""}),
    "the gateway's namespace": ("coder", {"network_mode": "service:coder-gateway"}),
    "the host's namespace": ("coder", {"network_mode": "host"}),
    "the holder on the way out": ("coder-net", {"networks": {"default": {}}}),
    "root": ("coder", {"user": "0:0"}),
    "root by default": ("coder", {"user": ""}),
    "a port for everybody": ("coder-gateway", {"ports": ["2222:2222"]}),
    "a secret from the environment": ("coder", {"environment": {"X": "$SECRET"}}),
    "a secret with a default": ("coder", {"environment": {"X": "${SECRET:-d}"}}),
    "the secrets' directory": (
        "coder",
        {"volumes": [{"source": "/state/coder/secrets", "target": "/x"}]},
    ),
    "the engine's socket": (
        "coder",
        {"volumes": [{"source": "/var/run/docker.sock", "target": "/x"}]},
    ),
}


HOOKED = {
    "more for the hooks than the config may give": ("coder", {"cap_add": ["NET_ADMIN"]}),
    "root elsewhere": ("coder-gateway", {"user": "0:0"}),
}


def test_root_begins_only_where_hooks_are_and_may_not_do_more():
    rooted = {"cap_add": ["CHOWN", "SETUID"], "read_only": False, "user": "0:0"}
    services = (*SERVICES[:2], replace(SERVICES[2], writable=True))
    document = yaml.safe_load(TEXT)
    document["services"]["coder"] |= rooted
    assert list(violations(yaml.safe_dump(document), services)) == []
    assert len(list(violations(yaml.safe_dump(document), SERVICES))) == len(rooted)
    for service, change in HOOKED.values():
        opened = {name: dict(s) for name, s in document["services"].items()}
        opened[service] |= change
        (found,) = violations(yaml.safe_dump(document | {"services": opened}), services)
        assert found.startswith(f"{service}: ")


def test_what_we_generate_is_closed():
    assert list(violations(TEXT, SERVICES)) == []


@pytest.mark.parametrize("opening", OPENINGS)
def test_an_open_compose_file_is_noticed(opening: str):
    service, change = OPENINGS[opening]
    document = yaml.safe_load(TEXT)
    document["services"][service] |= change
    found = list(violations(yaml.safe_dump(document), SERVICES))
    assert found
    assert all(sentence.startswith(f"{service}: ") for sentence in found)
