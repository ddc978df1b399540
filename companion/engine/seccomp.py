"""Seccomp: podman's own profile, without the system calls that create namespaces.

Without capabilities, docker's profile forbids creating namespaces, mounts and kernel keys. Podman's
allows it, so that any program can be root in a user namespace, which exposes more of the kernel.
The format is that of containers/common (pkg/seccomp).
"""

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from companion.engine.model import EngineChoice
from companion.errors import CompanionError
from companion.spec.identity import digest
from companion.system import files
from companion.system.paths import Paths

Profile = dict[str, Any]
_FORBIDDEN = frozenset((
    "add_key", "clone", "clone3", "fsconfig", "fsmount", "fsopen", "fspick", "keyctl", "mount",
    "mount_setattr", "move_mount", "open_tree", "pivot_root", "request_key", "setns", "umount",
    "umount2", "unshare",
))  # fmt: skip
_NAMESPACES = 0x7E020000
"""The flags of clone(2) that create namespaces."""
_ALLOW, _REFUSE, _ENOSYS = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", 38
_S390 = ["s390", "s390x"]


@cache
def system_calls(home: Paths, engine: EngineChoice | None) -> str:
    """Return the path of the seccomp profile for an engine's containers; "" for its default."""
    if engine is None or not engine.seccomp:
        return ""
    with suppress(CompanionError):
        text = tightened(files.read_text(Path(engine.seccomp)) or "")
        if text:
            path = home.seccomp / f"{digest(text)}.json"
            files.write(path, text, files.READABLE)
            return str(path)
    return ""


def tightened(text: str) -> str:
    """Return a podman profile without the calls that create namespaces; "" if it is invalid.

    Threads and processes still work: clone() is allowed without such a flag. clone3(), whose flags
    no filter can read, fails with ENOSYS, so that libraries fall back to clone().
    """
    try:
        profile: Profile = json.loads(text)
        kept = [_without(rule) for rule in profile["syscalls"]]
    except (ValueError, KeyError, TypeError):
        return ""
    own = (
        _clone(flags_at=0) | {"excludes": {"arches": _S390}},
        _clone(flags_at=1) | {"includes": {"arches": _S390}},
        {"names": ["clone3"], "action": _REFUSE, "errnoRet": _ENOSYS},
    )
    return json.dumps(profile | {"syscalls": [*(r for r in kept if r["names"]), *own]}) + "\n"


def _without(rule: Profile) -> Profile:
    """Remove the forbidden calls from an allowing rule; keep rules that require a capability."""
    if rule["action"] != _ALLOW or (rule.get("includes") or {}).get("caps"):
        return rule
    return rule | {"names": [name for name in rule["names"] if name not in _FORBIDDEN]}


def _clone(flags_at: int) -> Profile:
    no_flag = {"index": flags_at, "value": _NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": ["clone"], "action": _ALLOW, "args": [no_flag]}
