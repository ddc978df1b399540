"""Image builder: builds an image in its turn, while the user's files still need it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from companion.engine import build_output, failures
from companion.engine.driver import Driver
from companion.engine.model import ClusterChoice
from companion.errors import Position, SupersededError
from companion.reconcile.build_turn import build_turn
from companion.reconcile.progress import Progress, report_output
from companion.render.egress import PRIVATE_ADDRESSES
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import Image, Target
from companion.spec.identity import Role
from companion.system import files
from companion.system.network import own_networks
from companion.system.paths import Paths
from companion.system.plain import plain
from companion.system.project_paths import AgentPaths

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class ImageBuilder:
    """Builds the images of one agent."""

    engine: Driver
    target: Target
    contexts: Path
    """The directory with a build context for each role."""
    home: Paths
    agent_paths: AgentPaths
    progress: Progress
    build_network: BuildNetwork
    is_wanted: Callable[[Image], bool]
    """Tells, during a build, whether the user's files still need the image."""
    locate: Callable[[build_output.Failure], Position | None]
    """Returns where the user's files ask for the step at which a build failed."""

    def build(self, image: Image) -> None:
        """Build an image unless it is there, once no other agent builds one of its recipe.

        Raises:
            EngineError: the build failed.
            SupersededError: the image is no longer needed.
        """

        def is_wanted() -> bool:
            return self.is_wanted(image)

        with build_turn(self.home, self.engine.builder.name, image, is_wanted):
            if not self.engine.held((image.tag,)):  # not built since the plan was made
                self._run_build(image)

    def _run_build(self, image: Image) -> None:
        context = self.contexts / image.role
        output = build_output.Log()
        reported: set[str] = set()

        def on_line(line: str) -> None:
            output.add(line)
            report_output(self.progress, line)
            step = build_output.step(line)
            if step and step not in reported and len(reported) < build_output.STEPS:
                reported.add(step)
                self.progress(f"  {step[:_WIDTH]}")

        code = self.engine.build(
            image, context, self._network_of(image), on_line, lambda: self.is_wanted(image)
        )
        lines = output.lines
        files.write(self.agent_paths.build_log, plain("\n".join(lines) + "\n"))
        if code and not self.is_wanted(image):
            raise SupersededError("the files changed while their image was built")
        if code:
            said = plain("\n".join(lines)).splitlines()
            error = failures.of_build(image, said, self.target.agent, str(self.home.settings))
            place = self.locate(build_output.failure(said))
            error.problems = tuple(one._replace(place=place) for one in error.problems)
            raise error

    def _network_of(self, image: Image) -> BuildNetwork:
        """Fence in the build of an agent's image; the gateway's, which is the fence, is ours."""
        gateway = next((i.tag for i in self.target.images if i.role is Role.GATEWAY), "")
        if image.role is Role.GATEWAY or not gateway or not self.build_network.is_fenced:
            return self.build_network
        choice = self.engine.choice
        is_here = choice.shares_files or isinstance(choice, ClusterChoice)
        own = own_networks() if is_here else choice.networks
        refused = (*PRIVATE_ADDRESSES, *own)
        return replace(self.build_network, refused=refused, router=gateway)
