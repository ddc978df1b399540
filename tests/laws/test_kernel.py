"""doctor names what in a kernel keeps sandboxes from starting, with the next step."""

import pytest

from companion.engine import user_ids
from companion.operations import kernel_checks

WSL = "Linux version 5.15.167.4-microsoft-standard-WSL2 (root@f9c826d3017f) #1 SMP"
WSL1 = "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com) #1237-Microsoft"
APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"


@pytest.mark.parametrize(
    ("version", "what", "step"),
    [
        (WSL, "this is WSL2", "below your Linux home"),
        (WSL1, "this is WSL,", "wsl --set-version"),
        ("Linux version 6.1.0-41-amd64 (debian-kernel@lists.debian.org)", "", ""),
    ],
)
def test_windows_subsystem_is_named(version: str, what: str, step: str):
    found = list(kernel_checks.environment(version))
    assert [finding.what.startswith(what) for finding in found] == ([True] if what else [])
    assert all(step in finding.hint for finding in found)


@pytest.mark.parametrize(
    ("switches", "profile", "steps"),
    [
        ({APPARMOR: "1"}, False, ["sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"]),
        ({APPARMOR: "1"}, True, []),
        ({APPARMOR: "0"}, False, []),
        ({"kernel/unprivileged_userns_clone": "0"}, True, ["kernel.unprivileged_userns_clone=1"]),
        ({"user/max_user_namespaces": "0"}, True, ["user.max_user_namespaces="]),
        ({"user/max_user_namespaces": "63000", APPARMOR: ""}, False, []),
    ],
    ids=str,
)
def test_what_keeps_podman_from_user_namespaces_is_named(
    switches: dict[str, str], profile: bool, steps: list[str]
):
    found = list(kernel_checks.user_namespaces(switches, "/opt/bin/podman", profile=profile))
    assert len(found) == len(steps)
    assert all(step in finding.hint for step, finding in zip(steps, found, strict=True))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("[name=seccomp,profile=builtin name=userns name=cgroupns]", "userns-remap"),
        ("[name=seccomp,profile=builtin name=rootless name=cgroupns]", "without root"),
        ("[name=apparmor name=seccomp,profile=builtin name=cgroupns]", ""),
    ],
)
def test_a_docker_that_maps_user_ids_is_refused(options: str, reason: str):
    error = user_ids.refusal(options)
    assert reason in str(error) if reason else error is None
