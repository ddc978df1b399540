"""The command `port`: shows where servers in a sandbox listen, and forwards ports there."""

import re
from argparse import Namespace
from contextlib import suppress

from companion.cli import live
from companion.cli.output import Result, comment, show, table
from companion.cli.targets import agent_of
from companion.engine.detection import detect
from companion.engine.driver import driver
from companion.errors import Code, CompanionError, UsageError, named
from companion.operations import forwarding, ports_inside, started
from companion.operations.ports_inside import Ports
from companion.project import forwards, store
from companion.project.forwards import Forward
from companion.project.model import Project
from companion.system import process, programs
from companion.system.paths import Paths

_PORTS = re.compile(r"(?P<port>\d{1,5})(:(?P<inside>\d{1,5}))?")


def port(arguments: Namespace) -> Result:
    """Forward a port of the desktop to a sandbox; without a port, show where servers listen."""
    names = [word for word in arguments.words if not _PORTS.fullmatch(word)]
    pairs = [_pair(word) for word in arguments.words if _PORTS.fullmatch(word)]
    if len(names) > 1 or len(pairs) > 1:
        extra = (names[1:] or [f"{pairs[1][0]}" if len(pairs) > 1 else ""])[0]
        raise UsageError(f"unexpected argument {named(extra)}", "name one agent and one port")
    arguments.agent = names[0] if names else None
    home, project, agent = agent_of(arguments)
    if arguments.stop:
        return _stop(home, project, agent, pairs)
    if not pairs:
        return _listing(home, project, agent)
    with live.of_one(agent) as progress:
        started.ensure(home, project, agent, progress)
    inside = pairs[0][1]
    with suppress(CompanionError):  # the tables may be unreadable; a forward does not need them
        if inside not in _inside(home, project, agent).listening:
            comment(f"nothing listens on port {inside} of {agent} yet")
    return _forward(home, project, agent, arguments, *pairs[0])


def _forward(
    home: Paths, project: Project, agent: str, arguments: Namespace, outside: int, inside: int
) -> Result:
    for active in forwards.active(home):
        if (active.project, active.agent, active.port) == (project.id, agent, outside):
            return _found(active, inside, arguments)
    forward = forwarding.forward_of(home, project, agent, outside, inside)

    def on_ready() -> None:
        show(f"{_sentence(forward)}; press Ctrl-C to end")
        if arguments.open:
            process.launch(programs.opener(forward.url))

    if arguments.background or arguments.as_json:
        return _found(forwarding.begin(home, project, forward), inside, arguments)
    try:
        forwarding.run(home, forward, on_ready, comment)
    except KeyboardInterrupt:
        comment(f"port {forward.port} is no longer forwarded")
    return Result()


def _found(active: Forward, inside: int, arguments: Namespace) -> Result:
    """Return what is forwarded in the background, now or already."""
    if active.inside != inside:
        what = f"port {active.port} is already forwarded to port {active.inside} of {active.agent}"
        hint = f"end that with `companion port {active.agent} {active.port} --stop`"
        raise CompanionError(what, hint, code=Code.PORT_TAKEN)
    if arguments.open:
        process.launch(programs.opener(active.url))
    return Result(text=_sentence(active), data={"forwards": [facts(active)]})


def _stop(home: Paths, project: Project, agent: str, pairs: list[tuple[int, int]]) -> Result:
    """End the forwards of an agent, or the one of a port."""
    wanted = {outside for outside, _ in pairs}
    found = [
        one
        for one in forwards.active(home)
        if (one.project, one.agent) == (project.id, agent) and (one.port in wanted or not wanted)
    ]
    for one in found:
        forwarding.end(home, one)
    text = "\n".join(f"port {one.port} is no longer forwarded" for one in found)
    return Result(
        text=text or "no such port is forwarded", data={"ended": [one.port for one in found]}
    )


def _listing(home: Paths, project: Project, agent: str) -> Result:
    """Show where servers listen inside, and which ports are forwarded."""
    ports = _inside(home, project, agent)
    mine = [f for f in forwards.active(home) if (f.project, f.agent) == (project.id, agent)]
    forwarded = {one.inside for one in mine}
    rows = [(str(one.inside), one.url) for one in mine]
    rows += [
        (str(p), f"run `companion port {agent} {p}` to reach it")
        for p in ports.offered
        if p not in forwarded
    ]
    nothing = f"nothing listens in {agent}, and no port is forwarded"
    return Result(
        text=table([("INSIDE", "ON THE DESKTOP"), *rows]) if rows else nothing,
        data={"listening": list(ports.offered), "forwards": [facts(one) for one in mine]},
        problems=ports.problems,
    )


def _inside(home: Paths, project: Project, agent: str) -> Ports:
    written = store.of_project(home, project)
    if (record := written.agent(agent)) is None:
        raise store.unknown_agent(agent, project, written.names)
    engine = driver(detect(None, record.engine), project.id, agent)
    return ports_inside.asked(engine, engine.containers(record.applied.parts), record)


def facts(one: Forward) -> dict[str, object]:
    """Return a forward for `--json`."""
    return {"agent": one.agent, "port": one.port, "inside": one.inside, "url": one.url}


def _sentence(one: Forward) -> str:
    return f"{one.url} is forwarded to port {one.inside} of {one.agent}"


def _pair(word: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(word)
    outside = int(match["port"]) if match else 0
    inside = int(match["inside"] or outside) if match else 0
    if not all(0 < port < 1 << 16 for port in (outside, inside)):
        raise UsageError(f"{named(word)} is not a port", "ports are numbers from 1 to 65535")
    return outside, inside
