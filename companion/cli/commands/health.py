"""Commands that examine and clean up: doctor, audit, uninstall."""

import sys
from argparse import Namespace
from dataclasses import asdict, replace

from companion.cli.output import Result, ask, comment, fitted, plural
from companion.cli.targets import agent_of
from companion.errors import Code, CompanionError
from companion.operations import audit as auditing
from companion.operations import doctor as doctoring
from companion.operations import explanations, findings, installed, public_text
from companion.operations import uninstall as leaving
from companion.operations.findings import Finding, Level
from companion.project import inventory
from companion.system.paths import Paths

_LEFT, _LEVEL = 58, 9


def doctor(arguments: Namespace) -> Result:
    """Diagnose this machine; repair what can be repaired if asked."""
    if arguments.explain:
        text = explanations.of(arguments.explain)
        return Result(text, {"name": arguments.explain, "text": text})
    home = Paths.of_user()
    found = tuple(doctoring.examine(home))
    if arguments.fix and any(finding.repair for finding in found):
        repaired, failures = findings.repair_all(found)
        comment(f"repaired {plural(repaired, 'problem')}; checking again")
        found = (*doctoring.examine(home), *failures)
    public = public_text.of_this_machine(home.home)
    found = tuple(replace(f, what=public(f.what), hint=public(f.hint)) for f in found)
    return Result(
        text="\n".join(map(_line, found)),
        data=[{"check": f.check, "level": f.level, "what": f.what, "hint": f.hint,
               "fixable": bool(f.repair), "see": f.check and f.check.page} for f in found],
        code=1 if any(finding.level is Level.FAILED for finding in found) else 0,
    )  # fmt: skip


def _line(finding: Finding) -> str:
    hint = finding.hint + (" (`companion doctor --fix` repairs it)" if finding.repair else "")
    tip = f"\n{' ' * _LEVEL}tip: {hint}" if hint else ""
    explained = finding.level is not Level.OK and finding.check
    what = f"{finding.what} [{finding.check}]" if explained else finding.what
    line = finding.level.ljust(_LEVEL) + fitted(" " * _LEVEL + what, sys.stdout)[_LEVEL:]
    see = f"\n{' ' * _LEVEL}see: companion doctor --explain {finding.check}" if explained else ""
    return f"{line}{tip}{see}"


def uninstall(arguments: Namespace) -> Result:
    """Remove everything Companion created."""
    home = Paths.of_user()
    if not arguments.yes and not sys.stdin.isatty():
        raise CompanionError(
            "refusing to uninstall without --yes",
            "run `companion uninstall --yes`; projects and their files remain",
            code=Code.CONFIRMATION_REQUIRED,
        )
    if not arguments.yes:
        comment(
            "This removes all sandboxes, their keys, and our entries in other programs' settings."
        )
        if running := leaving.running(home):
            comment(f"It ends the work of {plural(len(running), 'agent')}: {', '.join(running)}.")
        if ask("Continue? [y/N] ").lower() not in {"y", "yes"}:
            return Result(text="nothing was changed")
    done = leaving.uninstall(home, comment, volumes=arguments.purge)
    volumes = "volumes were removed" if arguments.purge else "volumes remain"
    lines = [f"removed {plural(len(done.projects), 'project')}; their files remain, {volumes}",
             *(f"not removed: {one}" for one in done.left),
             *(f"kept: {one}, which sandboxes of others use" for one in done.shared),
             f"to remove Companion itself: {installed.this().removal}"]  # fmt: skip
    return Result(text="\n".join(lines), data=asdict(done), code=1 if done.left else 0)


def audit(arguments: Namespace) -> Result:
    """Attack a running sandbox from inside, and report what held."""
    home, project, agent = agent_of(arguments)
    ref = inventory.find_agent(home, project, agent)
    comment(f"attacking {agent} from inside; this changes nothing")
    found = auditing.audit(home, ref)
    through = [finding for finding in found.findings if not finding.held]
    lines = [f"{finding.attack.ljust(_LEFT)} {finding.result}" for finding in found.findings]
    lines += ["", "open by design (agent.yaml):", *(f"  {one}" for one in found.by_design)]
    tried = len(found.findings)
    verdict = (
        f"{len(through)} of {tried} attacks got through" if through else f"all {tried} attacks held"
    )
    return Result(
        text="\n".join((*lines, "", f"{found.agent} on {found.engine}: {verdict}")),
        data=asdict(found),
        code=1 if through else 0,
    )
