"""How is a plan carried out? The only place that changes containers, networks and images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from companion.engine import build_output, failures, gateway_socket
from companion.engine.client import Engine
from companion.engine.dialect import (
    build_argv,
    connect_argv,
    container_name,
    create_argv,
    exec_argv,
    join_argv,
    network_argv,
    network_name,
)
from companion.engine.model import EngineChoice, Observed
from companion.errors import Code, EngineError, NameTakenError, SupersededError
from companion.project import store
from companion.reconcile import observe, readiness
from companion.reconcile.desired import HOST_KEY, ROOT
from companion.reconcile.plan import (
    BuildImage,
    CreateNetwork,
    LeaveEngine,
    Plan,
    Reload,
    Remove,
    RemoveNetwork,
    Start,
    Step,
)
from companion.spec.containers import Image, Role, Service, Target
from companion.system import assets, files, process
from companion.system.paths import AgentPaths, Paths

Progress = Callable[[str], None]
_LOG_TAIL = 8
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Applier:
    """Everything that performing the steps of one agent needs."""

    engine: Engine
    target: Target
    contexts: Path
    home: Paths
    places: AgentPaths
    progress: Progress
    is_wanted: Callable[[Image], bool] = lambda _: True
    """Tells, while an image is built, whether the user's files still want it."""

    def perform(self, plan: Plan) -> float:
        """Perform all steps in order and wait until the sandbox is ready.

        Returns the seconds that the wait for SSH took, 0 if nothing was started.

        Raises:
            EngineError: a step failed; the next run sees what is there and repairs it.
        SupersededError: an image that was being built is not wanted any more.
        """
        self._see_networks(plan)
        for step in plan.steps:
            self._perform(step)
        if not plan.starts:
            return 0.0
        try:
            login = self.target.login
            if login is None:
                readiness.check_running(self.engine, self.target)
                return 0.0
            return readiness.wait_for_login(self.engine, self.target, login, self.home, self.places)
        except Exception:
            self._show_last_lines()
            raise

    def _see_networks(self, plan: Plan) -> None:
        """See that the networks that are not ours are there, before anything is touched."""
        starts = (step.service for step in plan.steps if isinstance(step, Start))
        for network in {name for service in starts for name in service.joins}:
            try:
                self.engine.call("network", "inspect", network)
            except EngineError as error:
                name = self.engine.choice.name
                hint = f"run `{name} network create {network}`, or correct the name"
                raise EngineError(
                    f"{name} has no network '{network}'", hint, error.log, code=Code.NETWORK_MISSING
                ) from None

    def remove_stale_images(self) -> None:
        """Remove images of this agent that no definition of ours wants any more."""
        keep = {image.tag for image in self.target.images}
        for tag in self.engine.agent_images() - keep:
            self.engine.discard_image(tag)

    def _perform(self, step: Step) -> None:
        match step:
            case BuildImage(image, why):
                self.progress(f"building the {image.role} image: {why}")
                self._build(image)
            case LeaveEngine(choice, why):
                self.progress(f"leaving {choice.name}: {why}")
                self._leave(choice)
            case Remove(name):
                self.engine.remove(name)
            case RemoveNetwork(name):
                full = network_name(self.engine.project, name)
                self.engine.call(*self.engine.dialect.remove_network, full)
            case CreateNetwork(network):
                agent = self.target.agent
                self.engine.call(
                    *network_argv(self.engine.dialect, self.engine.project, agent, network)
                )
            case Start(service, why):
                self.progress(f"starting {service.name}: {why}")
                self._start(service)
            case Reload(service, why):
                self.progress(f"reloading {service.name}: {why}")
                self._reload(step)
            case _:
                assert_never(step)

    def _build(self, image: Image) -> None:
        context = self.contexts / image.role
        argv = self.engine.argv(*build_argv(image, str(context)))
        lines: list[str] = []
        begun: set[str] = set()

        def on_line(line: str) -> None:
            lines.append(line)
            step = build_output.step(line)
            if step and step not in begun:
                begun.add(step)
                self.progress(f"  {step[:_WIDTH]}")

        code = process.build(
            argv,
            on_line,
            lambda: self.is_wanted(image),
            env=self.engine.environment | build_output.PLAIN,
            builds_here=self.engine.dialect.builds_here,
        )
        files.write(self.places.build_log, "\n".join(lines) + "\n")
        if code and not self.is_wanted(image):
            raise SupersededError("the files changed while their image was built")
        if code:
            log, settings = str(self.places.build_log), str(self.home.settings)
            raise failures.of_build(image, lines, log, settings)

    def _leave(self, choice: EngineChoice) -> None:
        """Take the sandbox off another engine; only then it is remembered as being on ours."""
        other = replace(self.engine, choice=choice)
        remove_all(other, observe.engine(other), self.progress)
        record = store.read(self.places)
        if record:
            store.write(self.places, record.on(self.engine.choice))

    def _start(self, service: Service) -> None:
        engine, agent = self.engine, self.target.agent
        name = container_name(engine.project, service.name)
        create = create_argv(engine.dialect, engine.project, agent, service, engine.files)
        try:
            engine.call(*create)
        except NameTakenError:  # half a container, of a podman that was killed while it made it
            engine.remove(name)
            engine.call(*create)
        for extra in service.attachments[1:]:
            engine.call(*connect_argv(engine.dialect, engine.project, service, extra))
        for network in service.joins:
            engine.call(*join_argv(engine.project, service, network))
        engine.call("start", name)
        if service.role is Role.NET:
            try:
                readiness.check_closed(engine, self.target)
            except EngineError:
                self._show_last_lines()
                engine.remove(name)
                raise

    def _reload(self, step: Reload) -> None:
        """Sshd reads its keys at each login, but for the host key: of that it must be told."""
        name = container_name(self.engine.project, step.service.name)
        if step.service.role is not Role.AGENT:
            if not gateway_socket.reload(self.places.control):
                self.engine.call("exec", name, "/bin/bash", "/usr/local/lib/companion/reload.sh")
        elif self.target.login and step.is_about(HOST_KEY):
            rooted = step.service.user == ROOT
            tell_sshd(self.engine, name, self.target.login.user, begun_by_root=rooted)

    def _show_last_lines(self) -> None:
        """Show the last lines of each container: they usually say why."""
        for container in self.engine.containers():
            for line in self.engine.last_lines(container.name, _LOG_TAIL):
                self.progress(f"{container.service} | {line}")


def tell_sshd(engine: Engine, name: str, user: str, *, begun_by_root: bool) -> None:
    """Have the sshd in an agent's container read its host key anew; sessions go on.

    Raises:
        EngineError: the engine refused.
    """
    script = files.read_text(assets.assets_directory() / "agent" / "reload.sh")
    inside = exec_argv(name, user, "--interactive", begun_by_root=begun_by_root)
    engine.call(*inside, "/bin/bash", stdin=script)


def remove_all(engine: Engine, observed: Observed, progress: Progress) -> None:
    """Remove containers, dependents first (agent, gateway, net), and then networks."""
    for container in sorted(observed.containers, key=lambda c: c.role):
        progress(f"removing {container.service}")
        engine.call(*engine.dialect.remove, container.name)
    for network in observed.networks:
        engine.call(*engine.dialect.remove_network, network_name(engine.project, network))
