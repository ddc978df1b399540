"""The command `status`: apart from the others, which load what starts sandboxes."""

from argparse import Namespace
from collections.abc import Iterator

from companion.cli.output import Result, table
from companion.cli.targets import projects_of
from companion.desktop import ssh_include
from companion.errors import Code, ConfigError
from companion.operations.status import Status, statuses
from companion.traffic.attention import shown


def status(arguments: Namespace) -> Result:
    """Show the state of each sandbox of a project, or of all that work in a directory."""
    home, projects = projects_of(arguments)
    found = [one for project in projects for one in statuses(home, project)]
    missing = [p for one in found for p in one.problems if p.code is Code.CONFIG_MISSING]
    if missing and not any(one.agent for one in found):
        raise ConfigError(missing)
    is_plain = any(one.ssh_port for one in found) and ssh_include.is_included(home)
    rows = [("AGENT", "STATE", "SSH", "ENGINE", "EGRESS")]
    rows += (_row(one, is_plain=is_plain) for one in found)
    words = "".join(f"\n  {one.agent} | {line}" for one in found for line in _more(one))
    return Result(
        text=table(rows, cuts=True) + words,
        data={"agents": [_facts(one) for one in found]},
        problems=tuple(dict.fromkeys(problem for one in found for problem in one.problems)),
    )


def _more(one: Status) -> Iterator[str]:
    """Yield what is said of a sandbox below the table."""
    yield from one.condition.last_output
    if one.update_waits:
        yield f"{one.update_waits}: `companion restart {one.agent}`"
    if one.caveat:
        yield f"{one.agent}: {one.caveat}"
    for forward in one.forwards:
        yield f"{forward.url} is forwarded to port {forward.inside}"
    open_ports = sorted(set(one.listening) - {forward.inside for forward in one.forwards})
    if open_ports and one.ssh_port:
        listed = ", ".join(map(str, open_ports))
        yield f"listens on {listed}; to open it: `companion port {one.agent} {open_ports[0]}`"


def _row(one: Status, *, is_plain: bool) -> tuple[str, str, str, str, str]:
    """Return the cells of a sandbox; `is_plain`: the user's ssh knows it by its alias."""
    port = "" if one.is_elsewhere else f" (port {one.ssh_port})"
    way = f"ssh {one.alias}{port}" if is_plain else f"companion ssh {one.agent}"
    way = way if one.ssh_port else "-"
    state = ", ".join(filter(None, (str(one.condition), shown(one.attention))))
    engine = f"{one.engine} at {one.place}" if one.place else one.engine
    changes = one.next_egress not in {one.egress, "unknown"}
    egress = f"{one.egress}, {one.next_egress} after `up`" if changes else one.egress
    return (one.agent or "?", state, way, engine, egress)


def _facts(one: Status) -> dict[str, object]:
    return {
        "agent": one.agent,
        "directory": one.directory,
        "state": one.condition.state,
        "attention": one.attention or None,
        "update_waits": bool(one.update_waits),
        "exit_code": one.condition.exit_code,
        "last_lines": list(one.condition.last_output),
        "alias": one.alias,
        "ssh_port": None if one.is_elsewhere else one.ssh_port,
        "host_address": one.host_address,
        "engine": one.engine,
        "place": one.place or None,
        "fence": one.fence or None,
        "egress": one.egress,
        "services": dict(one.services),
        "listening": list(one.listening),
        "forwards": [{"port": f.port, "inside": f.inside, "url": f.url} for f in one.forwards],
    }
