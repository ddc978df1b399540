"""The list of system calls allows all that the engine's own does, but no new namespaces."""

import json

import pytest

from companion.engine import seccomp

ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
PROFILE = {
    "defaultAction": REFUSE,
    "syscalls": [
        {"names": ["read", "clone", "clone3", "unshare"], "action": ALLOW, "includes": {}},
        {"names": ["mount"], "action": ALLOW, "includes": {"arches": ["amd64"]}},
        {"names": ["setns"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["setns"], "action": REFUSE, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    ],
}


def test_only_threads_and_processes_without_namespaces_are_made():
    made = json.loads(seccomp.tightened(json.dumps(PROFILE)))
    assert made["defaultAction"] == REFUSE
    allowed = [r for r in made["syscalls"] if r["action"] == ALLOW]
    free = {name for rule in allowed if not rule.get("args") for name in rule["names"]
            if not (rule.get("includes") or {}).get("caps")}  # fmt: skip
    assert free == {"read"}
    (usual,) = (r for r in allowed if r["names"] == ["clone"] and r.get("excludes"))
    (condition,) = usual["args"]
    flags = {"CLONE_NEWUSER": 0x10000000, "CLONE_NEWNET": 0x40000000, "CLONE_THREAD": 0x10000}
    held = {n: f & condition["value"] == condition["valueTwo"] for n, f in flags.items()}
    assert held == {"CLONE_NEWUSER": False, "CLONE_NEWNET": False, "CLONE_THREAD": True}


@pytest.mark.parametrize("text", ["", "no JSON", "{}", "[]", '{"syscalls": 1}'])
def test_what_is_no_profile_leaves_the_engines_own(text: str):
    assert not seccomp.tightened(text)
