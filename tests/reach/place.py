"""A desk whose settings have a place on the cluster, used with the rights of the shipped Role."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from desk import ROOT, Desk, Done, make_desk
from node import Cluster, Space

ROLE = str(ROOT / "assets/kubernetes/role.yaml")
KUBECTL = '#!/bin/bash\nprintf "%s\\n" "$*" >>{calls}\nexec {program} "$@"\n'
AGENT = """\
name: {name}
runtime: {{base_image: "debian:bookworm-slim", cmd: [sleep, infinity]}}
egress: {{mode: listed, allow: [listed.test]}}
limits: {{memory: {memory}}}
features: [{{plugin: ssh}}]
"""


@dataclass(frozen=True)
class Place:
    """A namespace that a desk's settings call `team`, and every call of its kubectl."""

    space: Space
    desk: Desk

    @property
    def calls_file(self) -> Path:
        return self.desk.home / "kubectl.calls"

    @property
    def registry(self) -> str:
        """What the names of its images begin with."""
        return f"{self.space.cluster.registry}/{self.space.name}"

    def calls(self, *words: str) -> list[str]:
        """Run companion, and return how kubectl was called meanwhile; its own files aside."""
        self.calls_file.write_text("")
        self.desk.companion(*words).ok()
        return self.called()

    def called(self) -> list[str]:
        """Return how kubectl was called since the file of its calls was emptied."""
        return [c for c in self.calls_file.read_text().splitlines() if " config view" not in c]

    def up(self, project: Path, *words: str) -> Done:
        return self.desk.companion("-C", str(project), "up", "--on", "team", *words)

    def define(self, **registries: str) -> None:
        """Let the settings have a place for each registry, in the same namespace."""
        file = self.desk.home / ".config/companion/settings.yaml"
        kept = file.read_text().partition("places:\n")[0]
        shape = "  {}: {{kubernetes: {{context: test, namespace: {}, registry: '{}'}}}}\n"
        places = (shape.format(name, self.space.name, at) for name, at in registries.items())
        file.write_text(f"{kept}places:\n{''.join(places)}")

    def objects(self) -> list[str]:
        """The names of everything in the namespace that could be a sandbox's."""
        kinds = "pods,deployments,statefulsets,services,secrets,networkpolicies"
        labeled = ("get", kinds, "-l", "dev.companion.project", "-o", "name")
        return self.space.kubectl(*labeled).ok().out.split()


@contextmanager
def made(cluster: Cluster, name: str, directory: Path, desk: Desk | None = None) -> Iterator[Place]:
    """Make a namespace, and let a desk use it; images are built and pushed by podman."""
    desk = desk or make_desk(directory / "home", engines=True)
    bin_directory = directory / "bin"
    bin_directory.mkdir()
    kubectl = bin_directory / "kubectl"
    calls = desk.home / "kubectl.calls"
    kubectl.write_text(KUBECTL.format(calls=calls, program=cluster.program))
    kubectl.chmod(0o755)
    trusted = directory / "registries.conf"
    trusted.write_text(f'[[registry]]\nlocation = "{cluster.registry}"\ninsecure = true\n')
    desk.environment |= {
        "KUBECONFIG": str(cluster.config.with_name("user.conf")),
        "PATH": f"{bin_directory}:{desk.environment['PATH']}",
        "CONTAINERS_REGISTRIES_CONF": str(trusted),
        "DOCKER_HOST": "unix:///run/no-docker-here.sock",
    }
    place = Place(Space(cluster, name), desk)
    place.define(team=place.registry)
    cluster.kubectl("create", "namespace", name).ok()
    try:
        place.space.kubectl("apply", "-f", ROLE).ok()
        bind = ("create", "rolebinding", "companion", "--role", "companion", "--user", "user")
        place.space.kubectl(*bind).ok()
        yield place
    finally:
        cluster.kubectl("delete", "namespace", name)
