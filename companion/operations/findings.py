"""Findings: what the checks of `doctor` report, and the isolation of one check from another."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from companion.errors import CompanionError

_PAGE = "docs/troubleshooting.md"


class Check(StrEnum):
    """The name of a check, for scripts and for the anchors of the troubleshooting page.

    A name never changes its meaning.
    """

    @property
    def page(self) -> str:
        """The section of the documentation that explains what the check finds."""
        return f"{_PAGE}#{self}"

    INSTALLATION = "installation"
    """How Companion came here; another installation of it; packages that hide ours."""
    HOME = "home"
    """Our directories can be written."""
    ENGINE = "engine"
    """An engine answers."""
    ENGINE_NETWORK = "engine-network"
    """A container starts on a network of its own."""
    ENGINE_STORAGE = "engine-storage"
    """The storage driver shares layers."""
    USER_IDS = "user-ids"
    """User IDs in containers are the desktop's."""
    DESKTOP_SERVICES = "desktop-services"
    """Sandboxes reach services of this machine."""
    COMPOSE = "compose"
    """There is a front end for `companion compose`."""
    DISK = "disk"
    """No image of ours is left that nothing uses."""
    STRAYS = "strays"
    """No sandbox is on an engine that its agent has left."""
    SSH = "ssh"
    """The SSH client, and its configuration."""
    AUTOSTART = "autostart"
    """What starts at login is there, and is this installation."""
    PATH = "path"
    """Programs are not looked up where an agent may write."""
    PRIVATE_FILES = "private-files"
    """Keys and secrets are private."""
    CERTIFICATES = "certificates"
    """The CA and the certificates of gateways are valid."""
    SECRETS = "secrets"
    """The user's secrets are where they can be read."""
    GRANTS = "grants"
    """Tokens of MCP servers and accounts can be renewed."""
    INOTIFY = "inotify"
    """The system watches enough files."""
    KERNEL = "kernel"
    """The kernel lets engines without root make containers."""
    PROJECTS = "projects"
    """Registered projects have their directory and readable records."""
    SANDBOX = "sandbox"
    """A sandbox runs and its files are valid."""
    SANDBOX_SSH = "sandbox-ssh"
    """A running sandbox accepts SSH logins."""
    WAY_OUT = "way-out"
    """What a gateway sends leaves this machine."""
    REPOSITORIES = "repositories"
    """No agent left something that your git would run."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `repair` mends it, if we can."""

    level: Level
    what: str
    hint: str = ""
    repair: Callable[[], None] | None = None
    check: Check | None = None
    """The check that found it."""


def guarded(
    name: Check, check: Callable[[], Iterable[Finding]], about: str = ""
) -> Iterator[Finding]:
    """Yield what a check finds; a check that fails is itself a finding and ends no other.

    Args:
        name: the check's name, which its findings get unless they have one.
        check: yields the findings.
        about: what is checked, for the message of a failure.
    """
    subject = about or name
    try:
        for finding in check():
            yield finding if finding.check else replace(finding, check=name)
    except CompanionError as error:
        for problem in error.problems:
            what = f"{subject}: {problem.located}"
            yield Finding(Level.FAILED, what, problem.hint, check=name)
    except Exception as error:  # noqa: BLE001 - the others are still worth knowing
        what = f"{subject}: the check failed, a bug in companion: {error!r}"
        yield Finding(Level.FAILED, what, check=name)


def repair_all(findings: Iterable[Finding]) -> tuple[int, tuple[Finding, ...]]:
    """Repair what can be; return how many were, and a finding for each repair that failed."""
    failed: list[Finding] = []
    done = 0
    for finding in findings:
        if finding.repair is None:
            continue
        name, about = finding.check or Check.INSTALLATION, f"not repaired: {finding.what}"
        problems = tuple(guarded(name, _repairing(finding.repair), about))
        failed += problems
        done += not problems
    return done, tuple(failed)


def _repairing(repair: Callable[[], None]) -> Callable[[], Iterable[Finding]]:
    def check() -> Iterable[Finding]:
        repair()
        return ()

    return check
