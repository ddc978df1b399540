"""The command `network`: what an agent used of the network, and what was refused."""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import datetime

from companion.cli.output import Result, plural, show, table
from companion.cli.targets import agent_of
from companion.engine.client import Engine
from companion.engine.detection import detect
from companion.engine.model import Container
from companion.errors import Code, CompanionError
from companion.operations import container_logs, network_use
from companion.project import store
from companion.spec.identity import Role
from companion.traffic import log
from companion.traffic.book import Book, Entry
from companion.traffic.words import allowing, moved, place, use

_TODAY, _EARLIER = "%H:%M:%S", "%Y-%m-%d"


def network(arguments: Namespace) -> Result:
    """Show each host that an agent reached or asked for, what was seen last first."""
    home, project, arguments.agent = agent_of(arguments)
    written = store.of_project(home, project)
    record = written.agent(arguments.agent)
    if record is None:
        raise store.unknown_agent(arguments.agent, project, written.names)
    engine = Engine(detect(None, record.engine), project.id, arguments.agent)
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
    )


def _follow(engine: Engine, containers: Iterable[Container], agent: str) -> Result:
    """Show each connection as it ends, until interrupted."""
    gateways = [c for c in containers if c.role is Role.GATEWAY and c.running]
    if not gateways:
        what = f"{agent} is not running"
        raise CompanionError(what, "run `companion up`", code=Code.NOT_STARTED)
    with container_logs.lines(engine, gateways, follow=True) as lines:
        for _, line in lines:
            passage = log.parse(line)
            if passage:
                now = f"{datetime.now().astimezone():%H:%M:%S}"
                show(f"{now}  {place(passage.host, passage.port)}  {moved(passage)}")
    return Result()


def _lines(agent: str, book: Book) -> Iterator[str]:
    if not book.entries:
        yield f"{agent} has used no host yet; what is under way shows once it ends"
        return
    today = datetime.now().astimezone().date()
    rows = [("HOST", "LAST", "USE")]
    for entry in book.entries:
        last = datetime.fromtimestamp(entry.last).astimezone()
        when = last.strftime(_TODAY if last.date() == today else _EARLIER)
        rows.append((place(entry.host, entry.port), when, use(entry)))
    yield table(rows)
    if book.left_out:
        yield f"{plural(book.left_out, 'more host')} were forgotten: there were too many"
    if name := next((e.host for e in book.entries if allowing(e)), ""):
        yield f"tip: companion allow {agent} {name}"


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
