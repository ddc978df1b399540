"""The command that attacks a sandbox: audit."""

from argparse import Namespace
from dataclasses import asdict

from companion import audit as auditing
from companion import roster, seats
from companion.cli.output import Result, comment, harmless
from companion.paths import Paths

_LEFT = 58


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
