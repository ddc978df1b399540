"""Bounds: the places of the desktop that one config must not make use of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from companion.sandbox.model import Neighbor
from companion.sandbox.places import Guard, Place, contains

KEPT_OUT = "which is kept out of the sandbox"
STEERS = "which the agent must not change"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the paths of one config are judged by."""

    project: Place
    control: tuple[Place, ...]
    """agent.yaml, fleet.yaml, .env, .build and .git, and every link to them."""
    siblings: tuple[Place, ...] = ()
    """The directories of the fleet's other agents."""
    private: tuple[Place, ...] = ()
    """Companion's own directories, and the user's SSH files."""
    system: tuple[Guard, ...] = ()
    programs: tuple[Guard, ...] = ()
    """What must not be mounted, whoever's config it is."""
    searched: tuple[Place, ...] = ()
    """Where shells look for programs: what an agent puts there would run on the desktop."""
    neighbors: tuple[Neighbor, ...] = ()
    ignores_case: bool = False
    """The desktop's file system treats `~/.SSH` and `~/.ssh` as one."""

    def of_content(self, subject: Place) -> Iterator[Guard]:
        """Yield what nothing that becomes part of the sandbox may come from."""
        private = (place for place in self.private if not contains(place, self.project))
        yield from guards((*self.control, *self.siblings, *private), KEPT_OUT)
        yield from self.of_projects(subject)

    def of_mounts(self, subject: Place, steering: Iterable[Place]) -> Iterator[Guard]:
        """Yield what must not be mounted; `steering` is what the agent is made of."""
        yield from self.system
        yield from guards((*self.control, *self.siblings, *self.private), KEPT_OUT)
        yield from guards(steering, STEERS)
        yield from _steering(n for n in self.neighbors if n.is_sibling)
        yield from self.of_projects(subject)
        yield from self.programs

    def of_projects(self, subject: Place) -> Iterator[Guard]:
        """Yield the places of other projects and their agents that `subject` must keep out of.

        A project may lie in the directory of another one: what lies in both is the inner one's.
        """
        yield from _steering(n for n in self.neighbors if not n.is_sibling)
        for directory in (n.directory for n in self.neighbors if n.directory):
            if not contains(directory, self.project) or not contains(self.project, subject):
                yield Guard(directory, "which is another project", directory.path)


def _steering(neighbors: Iterable[Neighbor]) -> Iterator[Guard]:
    places = (place for neighbor in neighbors for place in neighbor.steered_by)
    return (Guard(place, "which configures another agent", place.path) for place in places)


def guards(places: Iterable[Place], why: str) -> Iterator[Guard]:
    """Yield places, by their last names, as guards."""
    return (Guard(place, why, place.path.rpartition("/")[2]) for place in places)
