"""What does an audit find in the Pods of a sandbox?"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test_kubernetes_objects import PLACES, desired, pods, rendered

from companion.operations import audit_pods
from companion.spec.identity import Role

Change = Callable[[Any], object]


def main(spec: Any) -> Any:
    return spec["containers"][0]


def security(spec: Any) -> Any:
    return main(spec)["securityContext"]


FOUND: dict[str, tuple[str, Change]] = {
    "a token": ("privileges", lambda s: s.pop("automountServiceAccountToken")),
    "the node's network": ("privileges", lambda s: s.update(hostNetwork=True)),
    "a capability": (
        "privileges", lambda s: security(s)["capabilities"].update(add=["NET_RAW"]),
    ),
    "privileges": ("privileges", lambda s: security(s).update(privileged=True)),
    "new privileges": ("privileges", lambda s: security(s).pop("allowPrivilegeEscalation")),
    "a writable system": ("privileges", lambda s: security(s).pop("readOnlyRootFilesystem")),
    "all system calls": ("privileges", lambda s: s["securityContext"].pop("seccompProfile")),
    "a sidecar": (
        "privileges", lambda s: s["containers"].append(main(s) | {"name": "sidecar"}),
    ),
    "a container for debugging": (
        "privileges", lambda s: s.update(ephemeralContainers=[main(s) | {"name": "debug"}]),
    ),
    "no limit": ("limits", lambda s: main(s)["resources"].pop("limits")),
    "the node's files": (
        "mounts", lambda s: s["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    ),
    "the gateway's secrets": (
        "mounts",
        lambda s: s["volumes"].append({"name": "x", "secret": {"secretName": "coder-1-secrets"}}),
    ),
    "another mount": (
        "mounts",
        lambda s: main(s)["volumeMounts"].append({"name": "scratch-tmp", "mountPath": "/x"}),
    ),
    "a port of the node": (
        "ports", lambda s: main(s).update(ports=[{"containerPort": 1, "hostPort": 1}]),
    ),
}  # fmt: skip


def test_what_was_applied_is_no_finding_and_whatever_is_added_to_it_is_one(tmp_path: Path):
    one = desired(tmp_path)
    for place in PLACES.values():
        made = pods(rendered(one, place))
        specs = {Role.GATEWAY: made["Deployment"], Role.AGENT: made["StatefulSet"]}
        for role, spec in specs.items():
            service = one.target.service(role)
            for judge in audit_pods.judges().values():
                assert judge(service, {"spec": spec}) == ""
        agent = one.target.service(Role.AGENT)
        for what, (judge_name, change) in FOUND.items():
            other = copy.deepcopy(made["StatefulSet"])
            change(other)
            assert getattr(audit_pods, judge_name)(agent, {"spec": other}), what
