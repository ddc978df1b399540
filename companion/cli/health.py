"""Commands about health: doctor for the machine, audit for a sandbox."""

from argparse import Namespace
from dataclasses import asdict

from companion import audit as auditing
from companion import doctor as doctoring
from companion import roster, seats
from companion.cli.output import Result, comment, harmless
from companion.doctor import Finding, Level
from companion.paths import Paths

_LEFT = 58


def doctor(arguments: Namespace) -> Result:
    """Say what is wrong on this machine; mend what we can if asked."""
    home = Paths.of_user()
    found = tuple(doctoring.examine(home))
    mends = [finding.mend for finding in found if finding.mend]
    if arguments.fix and mends:
        for mend in mends:
            mend()
        comment(f"mended {len(mends)}; looking again")
        found = tuple(doctoring.examine(home))
    return Result(
        text="\n".join(map(_line, found)),
        data=[{"level": f.level, "what": f.what, "hint": f.hint, "fixable": bool(f.mend)}
              for f in found],
        code=1 if any(finding.level is Level.FAILED for finding in found) else 0,
    )  # fmt: skip


def _line(finding: Finding) -> str:
    hint = finding.hint + (" (`companion doctor --fix` does it)" if finding.mend else "")
    return f"{finding.level.ljust(8)} {finding.what}" + (f", {hint}" if hint else "")


def audit(arguments: Namespace) -> Result:
    """Attack a running sandbox from inside, and say what held."""
    home, project = Paths.of_user(), seats.project(arguments.directory_option)
    seat = roster.seat_of(home, project, arguments.agent)
    comment(f"attacking {arguments.agent} from inside; this changes nothing")
    found = auditing.audit(home, seat)
    through = [finding for finding in found.findings if not finding.held]
    lines = [
        f"{finding.attack.ljust(_LEFT)} {harmless(finding.result)}" for finding in found.findings
    ]
    lines += ["", "open by design, as agent.yaml says:", *(f"  {one}" for one in found.by_design)]
    tried = len(found.findings)
    verdict = f"{len(through)} of {tried} got through" if through else f"all {tried} held"
    return Result(
        text="\n".join((*lines, "", f"{found.agent} on {found.engine}: {verdict}")),
        data=asdict(found),
        code=1 if through else 0,
    )
