"""Detection: the cluster that a place of the user's settings names."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from companion.engine.model import ClusterChoice
from companion.engine.shared_lists import SharedLists
from companion.errors import Code, CompanionError
from companion.kubernetes import kubectl, owner_id
from companion.system import search
from companion.system.paths import Paths

if TYPE_CHECKING:  # importing models takes longer than all that `status` does
    from companion.config.engine_places import ClusterPlace

_CONFIG = "KUBECONFIG"
_ANSWERING = SharedLists(seconds=5.0)
"""Which places answered a moment ago, for an agent of a fleet after the first."""


def unasked(name: str, place: "ClusterPlace") -> ClusterChoice:
    """Return the cluster of a place as its settings define it; neither it nor kubectl is asked.

    Raises:
        CompanionError: kubectl is not installed.
    """
    binary = search.find("kubectl")
    if binary is None:
        what = f"the place {name} is {place}, but kubectl is not installed"
        raise CompanionError(what, "install kubectl, which reaches it", code=Code.NO_ENGINE)
    return ClusterChoice(
        "kubernetes",
        binary,
        place.context,
        place.namespace,
        place.registry,
        _recorded(os.environ.get(_CONFIG, "")),
        node_seccomp=place.node_seccomp,
        owner=owner_id.recorded(Paths.of_user()),
        place=name,
        defined=str(place),
    )


def at_place(name: str, place: "ClusterPlace") -> ClusterChoice:
    """Return the cluster of a place, with the address of its API server.

    Raises:
        CompanionError: kubectl is missing or does not know the context, or it does not answer.
    """
    choice = unasked(name, place)
    try:
        entry = kubectl.entry(choice)
    except CompanionError as error:
        (problem,) = error.problems
        hint = f"{problem.hint}; correct places.{name} in settings.yaml"
        raise CompanionError(problem.what, hint, code=problem.code) from None
    choice = replace(choice, server=entry.server, seal=entry.seal)
    _ANSWERING.get(choice, kubectl.Kubectl(choice).require_answer)
    return replace(choice, owner=owner_id.made(Paths.of_user()))


def _recorded(config: str) -> tuple[tuple[str, str], ...]:
    """Return KUBECONFIG as it is recorded: what is relative to here means the same elsewhere."""
    names = [str(Path(name).absolute()) for name in config.split(os.pathsep) if name]
    return ((_CONFIG, os.pathsep.join(names)),) if names else ()
