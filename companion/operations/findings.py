"""Findings: what the checks of `doctor` report, and the isolation of one check from another."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from companion.errors import CompanionError


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


def guarded(about: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; a check that fails is itself a finding and ends no other.

    `about` names what is checked.
    """
    try:
        yield from check()
    except CompanionError as error:
        for problem in error.problems:
            yield Finding(Level.FAILED, f"{about}: {problem.located}", problem.hint)
    except Exception as error:  # noqa: BLE001 - the others are still worth knowing
        yield Finding(Level.FAILED, f"{about}: the check failed, a bug in companion: {error!r}")


def repair_all(findings: Iterable[Finding]) -> tuple[int, tuple[Finding, ...]]:
    """Repair what can be; return how many were, and a finding for each repair that failed."""
    failed: list[Finding] = []
    done = 0
    for finding in findings:
        if finding.repair is None:
            continue
        problems = tuple(guarded(f"not repaired: {finding.what}", _repairing(finding.repair)))
        failed += problems
        done += not problems
    return done, tuple(failed)


def _repairing(repair: Callable[[], None]) -> Callable[[], Iterable[Finding]]:
    def check() -> Iterable[Finding]:
        repair()
        return ()

    return check
