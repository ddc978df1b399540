"""Apply: performs the steps of a plan; only this module changes containers and networks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import assert_never

from companion.desktop import ssh_config
from companion.engine import gateway_socket
from companion.engine.driver import Driver, driver
from companion.engine.model import AgentLogin, Choice, ClusterChoice, Observed
from companion.errors import (
    CompanionError,
    EngineError,
    PortTakenError,
    StoppedError,
    UnreachableError,
)
from companion.project import store
from companion.reconcile import port_holders, readiness
from companion.reconcile.carrying import Carrying
from companion.reconcile.desired import BROUGHT, HOST_KEY
from companion.reconcile.progress import Progress
from companion.reconcile.steps import (
    Await,
    BuildImage,
    CreateNetwork,
    LeaveEngine,
    Plan,
    Reconnect,
    Reload,
    Remove,
    RemoveNetwork,
    Start,
    Step,
)
from companion.spec.containers import Image, Service, Target
from companion.spec.identity import LIB, Role
from companion.system import assets, files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

_LOG_TAIL = 8


@dataclass(frozen=True, slots=True)
class Applier:
    """Performs plans for one agent."""

    engine: Driver
    target: Target
    home: Paths
    agent_paths: AgentPaths
    progress: Progress
    build: Callable[[Image], None] = lambda _: None
    """Builds an image; there is none to build where an earlier version is restored."""
    is_awaited: Callable[[], bool] = lambda: True
    """Tells, while a cluster starts Pods, whether nobody has stopped the agent."""
    prepare: Callable[[Service], None] = lambda _: None
    """Prepares what an agent mounts, and refuses it; its old container is gone by then."""
    seed: Callable[[], None] = lambda: None
    """Copies the directories that the agent mounts to an engine elsewhere."""
    carrying: Carrying | None = None
    """What brings our files to where the containers read them, if the engine cannot mount them."""

    def perform(self, plan: Plan) -> float:
        """Perform all steps in order and wait until the sandbox is ready.

        Returns the seconds of waiting for SSH, 0 if nothing was started.

        Raises:
            EngineError: a step failed; the next run observes the state and repairs it.
            SupersededError: an image is no longer needed, so its build ended.
            StoppedError: the user stopped the agent while a cluster started it.
        """
        self._require_networks(plan)
        await_start = self._waiter() if plan.waits else None
        is_seeded = is_carried = False
        for step in plan.steps:
            if not (is_seeded or _precedes_copies(step)):
                self.seed()
                is_seeded = True
            if isinstance(step, Await | Start | Reload) and self.carrying and not is_carried:
                self.carrying.carry(anew=plan.carries_anew)
                is_carried = True
            if isinstance(step, Await) and await_start:
                with self._explained():  # what is reloaded next must run
                    await_start()
            self._perform(step)
        return self._await(await_start) if await_start else 0.0

    def _waiter(self) -> Callable[[], None]:
        return self.engine.waiter(self.target, self.progress, self.is_awaited)

    def _await(self, await_start: Callable[[], None]) -> float:
        """Wait until the sandbox is ready; return the seconds of waiting for SSH."""
        with self._explained():
            await_start()
            login = self.target.login
            if login is None:
                readiness.check_running(self.engine, self.target)
                return 0.0
            self.progress("waiting for SSH")
            return readiness.wait_for_login(
                self.engine, self.target, login, self.home, self.agent_paths
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Report the last output of the containers if they cannot be waited for."""
        try:
            yield
        except StoppedError:
            raise
        except CompanionError:
            self._show_last_lines()
            raise

    def _require_networks(self, plan: Plan) -> None:
        """Check that networks that are not ours exist, before anything is changed."""
        starts = (step.service for step in plan.steps if isinstance(step, Start))
        for network in sorted({name for service in starts for name in service.joins}):
            self.engine.require_network(network)

    def remove_stale_images(self) -> None:
        """Remove images of this agent that its target no longer uses.

        The sandbox runs by now: an engine that is too busy to list them is no reason to roll back,
        and the next rebuild removes them. What was built for a cluster stays: other agents share
        it, and the next build begins with its layers.
        """
        if isinstance(self.engine.choice, ClusterChoice):
            return
        keep = {image.tag for image in self.target.images}
        with suppress(CompanionError):
            for tag in self.engine.agent_images() - keep:
                self.engine.discard_image(tag)

    def _perform(self, step: Step) -> None:
        match step:
            case BuildImage(image, why):
                self.progress(f"building the {image.role} image: {why}")
                self.build(image)
            case LeaveEngine(choice, why):
                self.progress(f"leaving {choice.label}: {why}")
                self._leave(choice)
            case Remove(name):
                self.engine.remove(name)
            case RemoveNetwork(name):
                self.engine.remove_network(name)
            case CreateNetwork(network):
                self.engine.create_network(network)
            case Start(service, why):
                self.progress(f"starting {service.name}: {why}")
                self._start(service)
            case Reconnect(service, why):
                self.progress(f"restoring the network rules of {service.name}: {why}")
                self._reconnect(service)
            case Await():
                pass  # perform() has waited
            case Reload(service, why):
                self.progress(f"reloading {service.name}: {why}")
                self._reload(step)
            case _:
                assert_never(step)

    def _leave(self, choice: Choice) -> None:
        """Remove the sandbox from another engine, then record that it is on ours."""
        other = driver(choice, self.engine.project, self.engine.agent)
        remove_all(other, other.observe(), self.progress)
        record = store.read(self.agent_paths)
        if record:
            store.write(self.agent_paths, record.on(self.engine.choice))
            ssh_config.sync(self.home)  # it may be reached in another way there

    def _start(self, service: Service) -> None:
        if service.role is Role.AGENT:
            self.prepare(service)
        try:
            self.engine.start(service, self.target)
        except PortTakenError as error:
            own = self.engine.project, self.engine.agent
            raise port_holders.taken(self.home, own, service.publish, error) from None
        if service.role is Role.NET:
            try:
                readiness.check_closed(self.engine, self.target)
            except EngineError:
                self._show_last_lines()
                with suppress(EngineError):  # the failure is what to report
                    self._remove(service)
                raise

    def _remove(self, service: Service) -> None:
        """Remove a service's container."""
        for container in self.engine.containers():
            if container.service == service.name:
                self.engine.remove(container.name)

    def _reconnect(self, service: Service) -> None:
        """Restore the network rules of a service, and require that SSH answers then."""
        with suppress(EngineError):  # what counts is whether SSH answers then
            self.engine.reconnect(service.name)
        if not readiness.answers(self.engine, self.target):
            what = f"SSH of {self.target.agent} does not answer"
            raise UnreachableError(what, "run `companion up`, which replaces its containers")

    def _reload(self, step: Reload) -> None:
        """Reload a service; sshd needs that for its host key only, and reads the rest at logins."""
        service = step.service
        if service.role is not Role.AGENT:
            if not gateway_socket.reload(self.agent_paths.control):
                self.engine.run(service.name, "/bin/bash", f"{LIB}/reload.sh")
            return
        agent, login = readiness.agent_login(self.target), self.target.login
        if agent.started_as_root and not login:
            return  # the agent's user is unknown here; its next start brings the rest
        loads_key = login and step.is_about(HOST_KEY)
        brings = BROUGHT in dict(service.reloads) and step.is_about(BROUGHT)
        if self.carrying and (loads_key or brings):
            self.carrying.await_agent()
        if loads_key:
            reload_sshd(self.engine, agent)
        if brings:
            bring = ("/bin/bash", f"{LIB}/entrypoint.sh", "--bring")
            self.engine.run_as_agent(agent, *bring, stdin="")

    def _show_last_lines(self) -> None:
        """Report the last output of each container, which usually shows the cause of a failure.

        An engine that fails to list them must not hide that failure.
        """
        with suppress(CompanionError):
            for container in self.engine.containers():
                for line in self.engine.last_lines(container.name, _LOG_TAIL):
                    self.progress(f"{container.service} | {line}")


def _precedes_copies(step: Step) -> bool:
    """Tell whether a step is done before directories are copied to an engine elsewhere.

    An agent that runs here works in them: it stops first. Any other works on its copy until then.
    """
    return isinstance(step, BuildImage) or (
        isinstance(step, LeaveEngine) and step.engine.shares_files
    )


def reload_sshd(engine: Driver, login: AgentLogin) -> None:
    """Make the agent's sshd reload its host key; open sessions survive.

    Raises:
        EngineError: the engine refused.
    """
    script = files.read_text(assets.assets_directory() / "agent" / "reload.sh") or ""
    engine.run_as_agent(login, "/bin/bash", stdin=script)


def remove_all(engine: Driver, observed: Observed, progress: Progress) -> None:
    """Remove containers, networks and files."""
    remove_sandbox(engine, observed, progress)
    engine.remove_files()


def remove_sandbox(engine: Driver, observed: Observed, progress: Progress) -> None:
    """Remove containers, dependents first (agent, gateway, ingress, net), and networks."""
    for container in sorted(observed.containers, key=lambda c: c.role or ""):
        progress(f"removing {container.service}")
        engine.remove(container.name)
    for network in observed.networks:
        engine.remove_network(network)
