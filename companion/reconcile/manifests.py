"""Manifests: the objects of a project for a cluster, written to files and applied by others."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from companion.config import strict_yaml
from companion.desktop import cluster_ssh
from companion.engine.model import ClusterChoice
from companion.errors import ConfigError, Problem
from companion.kubernetes import objects, system_calls
from companion.kubernetes.cluster import Cluster, Fence
from companion.kubernetes.login import ssh_server
from companion.kubernetes.names import Manifest, Names
from companion.project import discovery
from companion.project.agent_lock import agent_lock
from companion.project.model import Project
from companion.reconcile import authority, mounted_files, on_cluster, secret_values
from companion.reconcile import generate as generating
from companion.reconcile.allocate import reserve
from companion.reconcile.desire import desired_of
from companion.reconcile.desired import Desired
from companion.reconcile.progress import Progress
from companion.reconcile.validate import Checked, check
from companion.spec.containers import Image, Target
from companion.spec.identity import Role
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import KUBERNETES_NAME, KUBERNETES_SECCOMP_NAME, AgentPaths

_HEADER = "# Written by companion from agent.yaml; changes here are lost.\n"
_SECRET = "# Holds secrets: never commit this file.\n"  # noqa: S105 - none itself
Places = Callable[[Sequence[str]], Mapping[str, Cluster]]
"""Agents → where each is to be."""


@dataclass(frozen=True, slots=True)
class Build:
    """An image that the cluster needs: how it is called there, and where it is built."""

    reference: str
    context: Path
    arguments: tuple[tuple[str, str], ...]

    @staticmethod
    def of(image: Image, cluster: Cluster, build: Path) -> "Build":
        """Return how an image is built of the generated files in `build`."""
        return Build(cluster.reference(image.tag), build / image.role, image.arguments)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that every node needs: a file here, and its place below the kubelet's `seccomp`."""

    file: Path
    location: str


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for one agent."""

    agent: str
    objects: Path
    secrets: Path
    """Apart, of mode 0600 and outside the project: nobody commits it by accident."""
    builds: tuple[Build, ...]
    pod: str
    """The agent's Pod."""
    alias: str
    profile: Profile | None
    """Our list of system calls, where nodes have it."""
    ssh: Path | None
    """The SSH config for logging in, if the agent has an SSH server."""


def generate(
    home: Paths, project: Project, places: Places, progress: Progress
) -> tuple[Written, ...]:
    """Write the objects of a project's agents beside what `generate.generate` writes.

    Raises:
        CompanionError: as generate.generate, or the config asks for what a cluster cannot do, or a
            secret has no value; nothing was written.
    """
    authority.authority(home, progress)  # its certificate is part of what is checked
    all_checked = [check(home, ref) for ref in discovery.agent_refs(project)]
    if problems := [p for checked in all_checked for p in _unwritable(checked)]:
        raise ConfigError(problems)
    for checked in all_checked:
        secret_values.fetch(home, checked.ref, checked.contribution, progress)
    clusters = places([checked.config.name for checked in all_checked])
    generating.generate(home, project, progress)
    write = partial(_write, home, progress)
    return tuple(write(checked, clusters[checked.config.name]) for checked in all_checked)


def _unwritable(checked: Checked) -> Iterator[Problem]:
    yield from on_cluster.problems(checked)
    yield from checked.missing


def _write(home: Paths, progress: Progress, checked: Checked, cluster: Cluster) -> Written:
    agent_paths, build = checked.agent_paths(home), checked.ref.build(checked.config.name)
    with agent_lock(agent_paths, progress):
        record = reserve(home, checked, None, progress)
        desired = desired_of(home, checked, record.on(_choice(cluster)))
        contents = mounted_files.contents(desired, home, checked)
        names = Names(cluster.namespace, checked.project.id, checked.config.name)
        found = objects.render(desired.target, names, contents, cluster)
        mounted_files.keep_keys(contents, agent_paths, checked.host.uid)
        written = Written(
            agent=checked.config.name,
            objects=build / KUBERNETES_NAME,
            secrets=agent_paths.kubernetes_secrets,
            builds=tuple(Build.of(image, cluster, build) for image in desired.target.images),
            pod=names.pod,
            alias=record.allocation.alias,
            profile=_profile(desired, build) if cluster.node_seccomp else None,
            ssh=_login(home, agent_paths, names, desired.target),
        )
        files.write(written.secrets, _HEADER + _SECRET + _text(found.secrets))
        files.write(written.objects, _HEADER + _text(found.public), files.READABLE)
    return written


def _choice(cluster: Cluster) -> ClusterChoice:
    """Return the choice of a place that is only written about, and never asked."""
    fence: Literal["pod", "policy"] = "policy" if cluster.fence is Fence.POLICY else "pod"
    return ClusterChoice("kubernetes", "", "", cluster.namespace, cluster.registry, fence=fence)


def _profile(desired: Desired, build: Path) -> Profile:
    (engines,) = desired.seccomp_files
    file = build / KUBERNETES_SECCOMP_NAME
    files.write(file, system_calls.profile(engines).content, files.READABLE)
    return Profile(file, system_calls.location(engines.path))


def _login(home: Paths, agent_paths: AgentPaths, names: Names, target: Target) -> Path | None:
    if target.login is None:
        return None
    server = ssh_server(names, target.service(Role.AGENT), target.login.user)
    return cluster_ssh.write(home, agent_paths, target.login, server)


def _text(manifests: Iterable[Manifest]) -> str:
    return "---\n".join(map(strict_yaml.dump, manifests))
