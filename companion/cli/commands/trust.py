"""The trust command, and the question that precedes the start of somebody else's project."""

import shutil
import sys
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shlex import quote

from companion.cli.output import Result, ask, comment, table
from companion.cli.targets import project_of
from companion.errors import CompanionError, UntrustedError, UsageError
from companion.project import discovery, trust_store
from companion.project.model import Project
from companion.reconcile import trust as judging
from companion.reconcile.trust import Review, Verdict, agree
from companion.sandbox.powers import ALWAYS_ASKED, Kind, Power
from companion.system.paths import Paths

_SCREEN = (80, 60)
"""Columns and lines of a terminal that does not tell its size."""
_FIRST = 5
"""Powers of a kind that are shown once more."""
_ACTIONS = ("list", "show", "revoke")


def trust(arguments: Namespace) -> Result:
    """Show what a project opens, and agree to it; list, show or revoke agreements."""
    action, directory = _words(arguments)
    home = Paths.of_user()
    if action == "list":
        return _listing(home)
    project = discovery.project(directory) if directory else project_of(arguments)[1]
    if action == "revoke":
        had = judging.revoke(home, project)
        text = f"{project.directory} is not trusted any more; what runs keeps running"
        return Result(text=text if had else "it was not trusted", data={"revoked": had})
    reviewed = judging.review(home, project)
    if action == "show":
        return Result(text="\n".join(page(reviewed)), data=facts(reviewed),
                      problems=reviewed.problems)  # fmt: skip
    if arguments.digest:
        _require_digest(reviewed, arguments.digest)
    elif reviewed.is_trusted:
        text = f"{project.directory} is trusted as it is"
        return Result(text=text, data=facts(reviewed), problems=reviewed.problems)
    else:
        _ask(reviewed, "Trust it", is_json=arguments.as_json)
    agree(home, reviewed)
    text = f"trusted: {project.directory}"
    return Result(text=text, data=facts(reviewed), problems=reviewed.problems)


def offer(home: Paths, project: Project, question: str, arguments: Namespace) -> None:
    """Ask for trust in a project if there is something to agree to.

    Raises:
        UntrustedError: the user does not agree, or cannot be asked.
    """
    try:
        reviewed = judging.review(home, project)
    except CompanionError:  # reported by what is about to be done
        return
    if not reviewed.is_trusted:
        _ask(reviewed, question, is_json=arguments.as_json)
        agree(home, reviewed)


def page(reviewed: Review) -> tuple[str, ...]:
    """Return everything that a user reads before agreeing, as lines."""
    directory = reviewed.project.directory
    title: tuple[str, ...] = (f"{directory} is trusted. What its agents do:",)
    if not reviewed.is_known:
        title = (f"{directory} is not trusted yet.", "What its agents would do (! reaches far):")
    elif not reviewed.is_trusted:
        title = (
            f"{directory} opens more than you agreed to.",
            "What its agents would do (! is new):",
        )
    return (*title, *reviewed.lines())


def facts(reviewed: Review) -> dict[str, object]:
    """Return a review for `--json`."""
    return {
        "directory": str(reviewed.project.directory),
        "trusted": reviewed.is_trusted,
        "digest": reviewed.digest,
        "agents": [{"agent": one.agent, "powers": power_facts(one)} for one in reviewed.verdicts],
    }


def power_facts(verdict: Verdict) -> list[dict[str, object]]:
    """Return the powers of one agent for `--json`."""
    return [_fact(power, is_new=power in verdict.new) for power in verdict.asked]


def _fact(power: Power, *, is_new: bool) -> dict[str, object]:
    place = power.place
    return {
        "kind": power.kind,
        "subject": power.agreed.subject,
        "text": power.text,
        "new": is_new,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }


def _ask(reviewed: Review, question: str, *, is_json: bool) -> None:
    """Return if the user agrees.

    Raises:
        UntrustedError: otherwise.
    """
    shown = page(reviewed)
    is_whole = len(shown) < shutil.get_terminal_size(_SCREEN).lines
    for line in shown if is_whole else (*shown, *_furthest(reviewed)):
        comment(line)
    for problem in reviewed.problems:
        comment(f"warning: {problem}")
    what = f"{reviewed.project.directory} is not trusted; nothing was started"
    if reviewed.is_known:
        what = f"{reviewed.project.directory} opens more than you agreed to; nothing was changed"
    if is_json or not sys.stdin.isatty():
        raise UntrustedError(what, f"if you agree to all of it, run `{reviewed.command}`")
    if ask(f"{question}? [y/N] ").lower() not in {"y", "yes"}:
        raise UntrustedError(what, "`companion trust` asks again")


def _furthest(reviewed: Review) -> tuple[str, ...]:
    """Return what reaches furthest once more, for a page whose beginning is out of sight.

    Of each kind there are a few and a count, so that thousands of one hide none of another.
    """
    counts: Counter[Kind] = Counter()

    def is_shown(power: Power) -> bool:
        counts[power.kind] += 1
        return counts[power.kind] <= _FIRST

    far = {v: tuple(p for p in v.alarming if p.kind in ALWAYS_ASKED) for v in reviewed.verdicts}
    shown = {verdict: tuple(filter(is_shown, powers)) for verdict, powers in far.items()}
    verdicts = tuple(replace(v, asked=powers) for v, powers in shown.items() if powers)
    if not verdicts:
        return ()
    more = [f"{count - _FIRST:,} more of the kind {kind}" for kind, count in counts.items()
            if count > _FIRST]  # fmt: skip
    again = f"`companion trust show {quote(str(reviewed.project.directory))} | less`"
    last = (f"and {', '.join(more)}: they are above, and in {again}",) if more else ()
    lines = replace(reviewed, verdicts=verdicts).lines()
    return ("Of all this, what reaches far:", *lines, *last)


def _require_digest(reviewed: Review, digest: str) -> None:
    if digest != reviewed.digest:
        what = "this is not what the project opens now: its files differ from those you read"
        hint = f"read it again with `companion trust show {quote(str(reviewed.project.directory))}`"
        raise UntrustedError(what, hint)


def _listing(home: Paths) -> Result:
    known = list(trust_store.all_of_user(home))
    rows = [(one.state, one.since, ", ".join(one.agents), one.directory) for one in known]
    names = ("state", "since", "agents", "directory")
    return Result(
        text=table([tuple(n.upper() for n in names), *rows]) if rows else "nothing is trusted yet",
        data=[dict(zip(names, row, strict=True)) for row in rows],
    )


def _words(arguments: Namespace) -> tuple[str, Path | None]:
    """Return the action ("" for agreeing) and the directory, if one is given."""
    words = list(arguments.words)
    action = words.pop(0) if words and words[0] in _ACTIONS else ""
    if len(words) > 1 or (action == "list" and words):
        raise UsageError("too many words", "see `companion help trust`")
    if action and arguments.digest:
        raise UsageError("--digest agrees to a project", "see `companion help trust`")
    return action, Path(words[0]) if words else None
