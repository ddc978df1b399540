"""Commands about an agent's network: what it used, what was refused, and what it may reach."""

import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import datetime

from companion.cli.output import Result, comment, plural, show, table
from companion.cli.targets import agent_of
from companion.engine.detection import detect
from companion.engine.driver import Driver, driver
from companion.engine.model import Container
from companion.errors import Code, CompanionError, UsageError
from companion.operations import allow as allowing
from companion.operations import container_logs, network_use
from companion.project import inventory, lookup, store
from companion.project.model import Project
from companion.spec.identity import Role
from companion.system.paths import Paths
from companion.traffic import log, words
from companion.traffic.book import Book, Entry
from companion.traffic.words import moved, place

_TODAY, _EARLIER = "%H:%M:%S", "%Y-%m-%d"


def network(arguments: Namespace) -> Result:
    """Show each host that an agent reached or asked for, what was seen last first."""
    home, project, arguments.agent = agent_of(arguments)
    written = store.of_project(home, project)
    record = written.agent(arguments.agent)
    if record is None:
        raise store.unknown_agent(arguments.agent, project, written.names)
    engine = driver(detect(None, record.engine), project.id, arguments.agent)
    containers = engine.containers()
    if arguments.follow:
        return _follow(engine, containers, arguments.agent)
    agent_paths = home.project(project.id).agent(arguments.agent)
    book = network_use.look(agent_paths, engine, containers)
    return Result(
        text="\n".join(_lines(arguments.agent, book)),
        data={
            "agent": arguments.agent,
            "hosts": [_facts(entry) for entry in book.entries],
            "left_out": book.left_out,
        },
        tip=_tip(arguments.agent, book),
    )


def allow(arguments: Namespace) -> Result:
    """Let an agent reach a host: always, by a line in agent.yaml, or until it is taken down."""
    home, project, agent, host = _agent_and_host(arguments, "allow")
    ref = inventory.find_agent(home, project, agent)
    file = ""
    if arguments.once:
        changed = allowing.once(home, ref, agent, host, comment)
    else:
        file = allowing.always(home, ref, agent, host, for_fleet=arguments.fleet)
        changed = bool(file)
    allowing.apply(home, ref, agent, comment)  # an earlier call may have changed it in vain
    until = "until it is taken down" if arguments.once else f"a new line in {file}"
    text = f"{agent} may reach {host}: {until}" if changed else f"{agent} reaches {host} already"
    return Result(text=text, data={"agent": agent, "host": host, "changed": changed})


def deny(arguments: Namespace) -> Result:
    """Take back what `allow` gave."""
    home, project, agent, host = _agent_and_host(arguments, "deny")
    ref = inventory.find_agent(home, project, agent)
    changed = allowing.deny(home, ref, agent, host, comment)
    try:
        allowing.apply(home, ref, agent, comment)
    except CompanionError as error:
        lets = "still lets" if changed else "may still let"
        what = f"the running gateway {lets} {host} through until this is corrected"
        first = error.problems[0]
        text = f"{what}:\n  {first.located}"
        raise CompanionError(text, first.hint, code=first.code) from error
    text = f"{agent} no longer reaches {host}" if changed else f"{agent} does not reach {host}"
    return Result(text=text, data={"agent": agent, "host": host, "changed": changed})


def _agent_and_host(arguments: Namespace, verb: str) -> tuple[Paths, Project, str, str]:
    """Do as agent_of(), and also return the host that is named.

    Raises:
        UsageError: the only word is the name of a sandbox; a host of that name needs AGENT before.
    """
    home, project, agent = agent_of(arguments)
    host = allowing.parsed(arguments.host)
    if not arguments.agent and (host == agent or lookup.projects_with(home, (host,))):
        command = f"companion {verb} {host}"
        hint = f"`{command} HOST` names it; a host called {host}: `{command} {host}`"
        raise UsageError(f"{host} is a sandbox: which host?", hint)
    return home, project, agent, host


def _follow(engine: Driver, containers: Iterable[Container], agent: str) -> Result:
    """Show each connection as it ends, until interrupted."""
    gateways = [c for c in containers if c.role is Role.GATEWAY and c.running]
    if not gateways:
        what = f"{agent} is not running"
        raise CompanionError(what, "run `companion up`", code=Code.NOT_STARTED)
    with container_logs.followed(engine, gateways, since=int(time.time())) as lines:
        for line in lines:
            passage = log.parse(line.text)
            if passage:
                now = f"{datetime.fromtimestamp(line.at / 1e9).astimezone():%H:%M:%S}"
                show(f"{now}  {place(passage.host, passage.port)}  {moved(passage)}")
    return Result()


def _lines(agent: str, book: Book) -> Iterator[str]:
    if not book.entries:
        yield f"{agent} has used no host yet; open connections appear once they end"
        return
    today = datetime.now().astimezone().date()
    rows = [("HOST", "STATE", "COUNT", "LAST", "DETAILS")]
    for entry in book.entries:
        last = datetime.fromtimestamp(entry.last).astimezone()
        when = last.strftime(_TODAY if last.date() == today else _EARLIER)
        host, often = place(entry.host, entry.port), str(words.count(entry))
        rows.append((host, words.state(entry), often, when, words.details(entry)))
    yield table(rows, wraps=True)
    if book.left_out:
        yield f"{plural(book.left_out, 'more host')} were forgotten: there were too many"


def _tip(agent: str, book: Book) -> str:
    """Return how to allow a host; of several, none is proposed: the agent chooses their names."""
    names = {entry.host for entry in book.entries if words.can_be_allowed(entry)}
    if not names:
        return ""
    name = names.pop() if len(names) == 1 else "HOST"
    return f"run `companion allow {agent} {name}`, with `--once` until it is taken down"


def _facts(entry: Entry) -> dict[str, object]:
    return {
        "host": entry.host,
        "port": entry.port,
        "allowed": entry.allowed,
        "refused": entry.refused,
        "why": entry.why,
        "last_was_refused": entry.is_refused,
        "first": entry.first,
        "last": entry.last,
        "sent": entry.sent,
        "received": entry.received,
    }
