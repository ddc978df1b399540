"""How fleets start, and what a change of one agent among a hundred costs (B8, B10)."""

import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from desk import COMPANION, make_desk
from panel import until
from rows import Row, at_most, beside
from stand import cpu

from companion.engine.client import Engine
from companion.engine.detection import detect
from companion.project import discovery, store
from companion.project.model import AgentRef
from companion.reconcile.compare import preview
from companion.system.paths import Paths

CONFIG_OF_MANY = 'name: {name}\nruntime: {{base_image: "debian:bookworm-slim"}}\n'


def fleet(engine: str, top: Path) -> Iterator[Row]:
    """B8: one of 100 agents of a fleet changes."""
    desk = make_desk(top / "home", engines=True)
    directory, names = desk.home / "fleet", [f"agent-{number}" for number in range(100)]
    write_fleet(directory, names, engine)
    desk.companion("-C", str(directory), "generate").ok()
    home = _home(desk.home)
    ref = AgentRef(discovery.project(directory), names[50])
    handle = Engine(detect(engine, None), ref.project.id, ref.folder)
    agent_paths = home.project(ref.project.id).agent(ref.folder)
    record = store.read(agent_paths)
    store.write(agent_paths, replace(record, engine=handle.choice))  # as after its first `up`
    takes, asks = [], []
    for number in range(8):
        more = f"limits: {{pids: {500 + number}}}\n"
        (ref.config).write_text(CONFIG_OF_MANY.format(name=ref.folder) + more)
        begin = time.perf_counter()
        preview(home, ref)
        takes.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        handle.observe()
        asks.append(time.perf_counter() - begin)
    plain = (statistics.median(takes[1:]) - statistics.median(asks[1:])) * 1000
    text = "plan of a change of one of 100 agents, without the engine's answers"
    yield at_most("B8", engine, text, plain, "ms", 100)
    log = top / "watch.log"
    with log.open("wb") as out:
        watcher = subprocess.Popen([COMPANION, "watch"], env=desk.environment, stdout=out,
                                   stderr=out)  # fmt: skip
    try:
        until(lambda: log.read_text().count("it is not started") >= len(names), 120)
        time.sleep(2)
        before = cpu(watcher.pid)
        for number in range(10):
            said = log.read_text().count("it is not started")
            text = f"# {number}\n{CONFIG_OF_MANY.format(name=ref.folder)}"
            ref.config.with_suffix(".new").write_text(text)
            ref.config.with_suffix(".new").replace(ref.config)
            until(lambda n=said: log.read_text().count("it is not started") > n, 20)
        spent = (cpu(watcher.pid) - before) / 10 * 1000
    finally:
        watcher.terminate()
        watcher.wait()
    yield at_most("B8", engine, "CPU of a save of one of 100 that means nothing", spent, "ms", 50)
    others = log.read_text().count("it is not started") - len(names) - 10
    yield at_most("B8", engine, "other agents that were looked at, too", others, "agents", 0)


def several(engine: str, top: Path) -> Iterator[Row]:
    """B10: up and down of a fleet of eight whose images are there, beside one agent of it."""
    desk = make_desk(top / "home", engines=True)
    directory, names = desk.home / "fleet", [f"agent-{number}" for number in range(8)]
    write_fleet(directory, names, engine)
    there = ("-C", str(directory))

    def seconds(*arguments: str) -> float:
        begin = time.perf_counter()
        desk.companion(*there, *arguments).ok()
        return time.perf_counter() - begin

    times: dict[str, list[tuple[float, float]]] = {"up": [], "down": []}
    try:
        desk.companion(*there, "up", "--yes").ok()
        desk.companion(*there, "down").ok()
        for _ in range(3):
            one = {what: seconds(what, names[0]) for what in times}
            for what, found in times.items():
                found.append((seconds(what), one[what]))
    finally:
        desk.companion("remove", str(directory), "--volumes")
    for what, found in times.items():
        ratio = statistics.median(whole / one for whole, one in found)
        floor = statistics.median(one for _, one in found)
        said = f"{what} of 8 agents, beside {what} of one"
        yield beside("B10", engine, said, ratio * floor, floor, 4)


def write_fleet(directory: Path, names: list[str], engine: str) -> None:
    for name in names:
        (directory / name).mkdir(parents=True)
        (directory / name / "agent.yaml").write_text(CONFIG_OF_MANY.format(name=name))
    shared = f"container_runtime: {engine}, egress: listed, features: [{{plugin: ssh}}]"
    (directory / "fleet.yaml").write_text(f"agents: [{', '.join(names)}]\nshared: {{{shared}}}\n")


def _home(directory: Path) -> Paths:
    """Return the places of a desk's user, for calls in this process."""
    inner = (".config", ".local/share", ".local/state")
    return Paths(directory, *(directory / i / "companion" for i in inner), directory / ".config")
