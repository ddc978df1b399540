"""Takes the pictures of the tray for the docs: the real tray in a real panel, on the fake engine.

`python tests/desktop/pictures.py DIRECTORY` writes NAME.png and NAME@2x.png of each scene. A state
that takes an agent, such as a refused host, is what its gateway would have logged.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket

sys.path[:0] = [str(Path(__file__).parent.parent)]

from desk import COMPANION, Desk, make_desk  # noqa: E402
from fake_project import Fake  # noqa: E402
from fake_sshd import answering_all  # noqa: E402
from other_version import change_scripts, checkout, newer  # noqa: E402
from panel import until  # noqa: E402
from screen import GRAY, ORANGE, VIOLET, Screen, screen  # noqa: E402
from trays import record  # noqa: E402

from companion.project import forwards, store  # noqa: E402
from companion.project.forwards import Forward  # noqa: E402
from companion.project.record import UPDATE_WAITS  # noqa: E402
from companion.system.project_paths import AgentPaths  # noqa: E402

AGENT = """\
name: coder
runtime: {{base_image: "debian:bookworm-slim"}}
container_runtime: podman
egress: listed
features:
  - plugin: ssh
  - plugin: custom-runtime
    env: [N={number}]
"""
LONG = (
    *("customer-portal-backend-service", "customer-portal-backend-service-next", "data-pipeline"),
    *("documentation", "fix-login-on-safari-and-old-firefox-versions", "infrastructure-as-code"),
    *("mobile-app", "payments", "recommendation-engine-experiments-2026", "search"),
    *("website", "zz-playground"),
)
"""Twelve projects."""


@dataclass
class Stage:
    """A desktop with a tray, and the projects of its user."""

    desk: Desk
    place: Path
    screen: Screen
    log: Path
    until_end: ExitStack
    """Takes what lasts until the picture is taken."""

    def send(self, project: str, *lines: str) -> None:
        """Do as the gateway of a project does."""
        (control,) = [
            p.parent / "coder/control"
            for p in self.desk.paths.projects.glob("*/project.json")
            if f"/{project}" in p.read_text()
        ]
        with chdir(control), socket(AF_UNIX, SOCK_DGRAM) as gateway:
            until(lambda: Path("log.sock").exists())
            for line in lines:
                gateway.sendto(line.encode(), "log.sock")


Scene = Callable[[Stage, Fake], None]


def make(desk: Desk, names: tuple[str, ...], running: tuple[str, ...]) -> Fake:
    """Make projects, of which some run; return the engine."""
    fakes = [
        Fake(desk, desk.project(AGENT.format(number=number), name))
        for number, name in enumerate(names)
    ]
    for fake in fakes:
        if fake.project.name in running:
            fake.companion("up").ok()
        else:
            desk.companion("add", str(fake.project)).ok()
    return fakes[0]


@contextmanager
def stage(place: Path, scale: int, names: tuple[str, ...], running: tuple[str, ...]) -> Iterator:
    """Yield a desktop with a tray, and its engine."""
    desk = make_desk(place / "home")
    with ExitStack() as stack:
        stack.enter_context(answering_all(desk))
        fake = make(desk, names, running)
        fake.set(follows=True)
        record(place / "programs", "code", "zed", "xdg-open", "x-terminal-emulator", "zenity")
        seen = stack.enter_context(screen(place / "screen", scale=scale))
        ours = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
        environment = desk.environment | {name: seen.environment[name] for name in ours}
        environment["PATH"] = f"{place / 'programs'}:{environment['PATH']}"
        log = place / "tray.log"
        out = stack.enter_context(log.open("wb"))
        tray = subprocess.Popen([COMPANION, "tray"], env=environment, stdout=out, stderr=out)
        try:
            seen.brighten()
            seen.wait_for_icon()
            until(lambda: log.read_text().count("nothing to do") == len(running))
            time.sleep(0.5)
            yield Stage(desk, place, seen, log, stack), fake
        finally:
            tray.terminate()
            tray.wait(timeout=60)


def two(at: Stage, _: Fake) -> None:
    at.screen.open_menu("Down", "Right")


def many(at: Stage, _: Fake) -> None:
    at.screen.open_menu()


def working(at: Stage, fake: Fake) -> None:
    fake.set(hold=["build"])
    config = fake.project / "agent.yaml"
    config.write_text(f'{config.read_text()}    commands: ["apt-get install -y ffmpeg"]\n')
    until(lambda: "building the agent image" in at.log.read_text())
    at.screen.wait_for_icon()
    time.sleep(0.5)
    at.screen.open_menu()


def needs_you(at: Stage, fake: Fake) -> None:
    config = fake.project / "agent.yaml"
    config.write_text(config.read_text().replace("egress: listed", "egress: lsited"))
    until(lambda: "not changed" in at.log.read_text())
    at.screen.wait_for_icon(ORANGE)
    time.sleep(0.5)
    at.screen.open_menu("Down", "Down", "Right")


def ready(at: Stage, fake: Fake) -> None:
    config = fake.project / "agent.yaml"
    config.write_text(config.read_text().replace("[N=", "[M="))
    until(lambda: "ready" in at.log.read_text())
    at.screen.wait_for_icon()
    time.sleep(0.5)


def attention(at: Stage, fake: Fake) -> None:
    config = fake.project / "agent.yaml"
    config.write_text(config.read_text().replace("egress: listed", "egress: lsited"))
    at.screen.wait_for_icon(ORANGE)
    time.sleep(0.5)


def waits(at: Stage, _: Fake) -> None:
    at.send("app", WAITING)
    at.screen.wait_for_icon(VIOLET)
    time.sleep(0.5)
    at.screen.open_menu("Down", "Down", "Right")


def updated(at: Stage, fake: Fake) -> None:
    """Another version started it."""
    other = checkout(at.desk)
    change_scripts(other)
    newer(fake, other, "restart").ok()
    config = fake.project / "agent.yaml"
    config.write_text(f"# saved\n{config.read_text()}")
    until(lambda: UPDATE_WAITS in at.log.read_text())
    at.screen.wait_for_icon()
    time.sleep(0.5)
    at.screen.open_menu("Down", "Right")


def refused(at: Stage, _: Fake) -> None:
    lines = (f"tls {host} port=443 to=tls why=egress bytes=517/0 ms=3 term=PR"
             for host in ("registry.npmjs.org", "astral.sh"))  # fmt: skip
    at.send("app", *lines)
    until(lambda: "refused astral.sh" in at.log.read_text())
    time.sleep(0.5)
    at.screen.open_menu("Down", "Right", *("Down",) * 3, "Right", "Right")


def ports(at: Stage, _: Fake) -> None:
    home = at.desk.paths
    (path,) = home.projects.glob("*/coder/agent.json")
    alias = store.read(AgentPaths(path.parent)).allocation.alias
    for port in (3000, 8080):
        forward = Forward(path.parents[1].name, "coder", alias, port, port, os.getpid())
        at.until_end.enter_context(forwards.held(home, forward))
    at.screen.open_menu("Down", "Right")


def silent(at: Stage, fake: Fake) -> None:
    fake.set(refuse=["ps", "version", "info"], follows=False)
    at.screen.wait_for_icon(GRAY)
    time.sleep(0.5)
    at.screen.open_menu()


WAITING = (
    "http companion.internal port=80 GET /attention/waiting status=204 why=attention-waiting "
    "bytes=10/20 ms=1 term=--"
)
TWO = ("app", "feature")
SCENES: dict[str, tuple[Scene, tuple[str, ...], tuple[str, ...]]] = {
    "two": (two, TWO, TWO[:1]),
    "many": (many, LONG, LONG[2:7]),
    "working": (working, TWO, TWO),
    "needs-you": (needs_you, TWO, TWO),
    "ready": (ready, TWO[:1], TWO[:1]),
    "attention": (attention, TWO[:1], TWO[:1]),
    "waits": (waits, TWO, TWO),
    "updated": (updated, TWO, TWO),
    "refused": (refused, TWO, TWO[:1]),
    "ports": (ports, TWO, TWO[:1]),
    "silent": (silent, TWO, TWO),
}


def main(directory: Path, *wanted: str) -> None:
    """Take each picture, or those wanted, at both scales."""
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # the tray looks and hangs up
    directory.mkdir(parents=True, exist_ok=True)
    for name in wanted or SCENES:
        scene, names, running = SCENES[name]
        for scale in (1, 2):
            with (
                tempfile.TemporaryDirectory(prefix="companion-pictures-") as place,
                stage(Path(place), scale, names, running) as (at, fake),
            ):
                scene(at, fake)
                at.screen.save_menu(directory / f"{name}{'@2x' * (scale > 1)}.png")
                fake.set(hold=[], refuse=[])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
