"""The command `logs`: what a sandbox's containers say, in one stream with times."""

import re
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import datetime

from companion.cli.output import Result, show
from companion.cli.targets import agent_of
from companion.engine.detection import detect
from companion.engine.driver import driver
from companion.errors import Code, CompanionError, UsageError
from companion.operations import container_logs, log_text
from companion.operations.container_logs import Line
from companion.operations.log_noise import is_noise, is_traffic
from companion.project import store
from companion.spec.identity import Role
from companion.system import files
from companion.system.project_paths import AgentPaths

_AGO = re.compile(r"(\d{1,9})([smhd])\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SECOND = 1_000_000_000


def logs(arguments: Namespace) -> Result:
    """Show what the containers of a sandbox say, without routine; or its last build."""
    home, project, agent = agent_of(arguments)
    agent_paths = home.project(project.id).agent(agent)
    if arguments.build:
        return _build(agent_paths, agent)
    since = _moment(arguments.since) if arguments.since else 0
    written = store.of_project(home, project)
    record = written.agent(agent)
    if record is None:
        raise store.unknown_agent(agent, project, written.names)
    engine = driver(detect(None, record.engine), project.id, agent)
    containers = engine.containers()
    if not containers:
        what = f"{agent} has no containers"
        raise CompanionError(what, "run `companion up`", code=Code.NOT_STARTED)
    wide = max(len(container.service) for container in containers)
    wanted, is_raw = _wanted(arguments), arguments.verbose
    if arguments.follow:
        if arguments.as_json:
            raise UsageError("--json answers once, and --follow never ends", "use one of them")
        with container_logs.followed(engine, containers, since=since) as lines:
            for line in filter(wanted, lines):
                show(log_text.shown(line, wide, raw=is_raw))
        return Result()
    said = list(filter(wanted, container_logs.written(engine, containers, since=since)))
    kept = said if arguments.tail is None else said[max(0, len(said) - arguments.tail) :]
    if arguments.as_json:
        return Result(data={"agent": agent, "lines": list(map(_facts, kept))})
    for text in log_text.all_shown(kept, wide, raw=is_raw):
        show(text)
    return Result()


def _build(agent_paths: AgentPaths, agent: str) -> Result:
    text = files.read_text(agent_paths.build_log, "replace")
    if text is None:
        raise CompanionError(f"{agent} was not built here yet", "run `companion up`")
    data = {"agent": agent, "build": text}
    return Result(text=text.rstrip("\n"), data=data, is_verbatim=True)


def _wanted(arguments: Namespace) -> Callable[[Line], bool]:
    """Return which lines are shown."""
    if arguments.egress:
        return lambda line: line.role is Role.GATEWAY and is_traffic(line.text)
    if arguments.verbose:
        return lambda _: True
    return lambda line: not is_noise(line.role, line.text)


def _facts(line: Line) -> dict[str, object]:
    return {"time": line.at / _SECOND, "service": line.service, "text": line.text}


def _moment(text: str) -> int:
    """Return the seconds since 1970 that a user means: 10m, 14:30, 2026-11-26, 2026-11-26T14:30.

    Raises:
        UsageError: it is none of these.
    """
    if ago := _AGO.match(text):
        return max(0, int(time.time()) - int(ago[1]) * _UNITS[ago[2]])
    today = datetime.now().astimezone().date().isoformat()
    try:
        given = datetime.fromisoformat(f"{today}T{text}" if re.match(r"\d\d:\d\d", text) else text)
        return max(0, int(given.timestamp()))
    except (ValueError, OverflowError, OSError):
        what = "--since takes a time such as 10m, 2h, 14:30 or 2026-11-26T14:30"
        raise UsageError(what, "") from None
