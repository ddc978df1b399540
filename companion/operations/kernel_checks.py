"""Kernel checks: what `doctor` examines in the kernel, and in what restricts it."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from companion.operations.findings import Finding, Level
from companion.system import files
from companion.system.paths import Paths

_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
_DEBIAN = "kernel/unprivileged_userns_clone"
_MOST = "user/max_user_namespaces"
_PROFILE = Path("/etc/apparmor.d/podman")
_PACKAGED = "/usr/bin/podman"
"""The program for which AppArmor's profile of podman is."""


def examine(_: Paths) -> Iterator[Finding]:
    """Yield what this machine's kernel is, and what it refuses, if that matters."""
    yield from environment(files.read_text(Path("/proc/version")) or "")
    podman = shutil.which("podman")
    if podman and files.user_id():
        switches = {
            name: (files.read_text(Path("/proc/sys") / name) or "").strip()
            for name in (_APPARMOR, _DEBIAN, _MOST)
        }
        allowed = os.path.realpath(podman) == _PACKAGED and _PROFILE.exists()
        yield from user_namespaces(switches, podman, profile=allowed)


def environment(version: str) -> Iterator[Finding]:
    """Yield a finding for Windows' kernel, from /proc/version."""
    if re.search("microsoft", version, re.IGNORECASE):
        is_2 = "WSL2" in version
        what = f"this is {'WSL2' if is_2 else 'WSL'}, where Companion is untested"
        hint = "keep projects below your Linux home, not in /mnt/c, and start editors inside WSL"
        yield Finding(Level.WARNING, what, hint if is_2 else "move to WSL2: `wsl --set-version`")


def user_namespaces(
    switches: Mapping[str, str], podman: str, *, profile: bool
) -> Iterator[Finding]:
    """Yield what keeps a podman without root from making user namespaces.

    Args:
        switches: the kernel's switches below /proc/sys, by name; "" for those it does not have.
        podman: the program.
        profile: AppArmor has a profile that allows this program.
    """
    what = "podman without root cannot start containers"
    if switches.get(_APPARMOR) == "1" and not profile:
        why = f"AppArmor has no profile that lets {podman} create user namespaces"
        hint = f"use the package's {_PACKAGED}, or run `sudo sysctl -w {_dotted(_APPARMOR)}=0`"
        yield Finding(Level.WARNING, f"{what}: {why}", hint)
    if switches.get(_DEBIAN) == "0":
        hint = f"run `sudo sysctl -w {_dotted(_DEBIAN)}=1`"
        yield Finding(Level.WARNING, f"{what}: the kernel keeps user namespaces for root", hint)
    if switches.get(_MOST) == "0":
        hint = f"run `sudo sysctl -w {_dotted(_MOST)}=15000`"
        yield Finding(Level.WARNING, f"{what}: the kernel allows no user namespaces", hint)


def _dotted(switch: str) -> str:
    return switch.replace("/", ".")
