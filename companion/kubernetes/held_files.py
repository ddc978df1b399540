"""Held files: which Secrets and ConfigMaps a namespace has, by tables that have no content."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from companion.kubernetes.names import LABEL, OWNER

KINDS = "configmaps,secrets"
NAMES = "--no-headers"
"""The option for names(); `--output=name` would transfer the contents, too."""
OWNERS = f"--label-columns={OWNER},{LABEL}.project,{LABEL}.agent"
"""The option for owners(), besides NAMES."""


def names(table: str) -> frozenset[str]:
    """Return the names in a table, such as `secret/coder-4e5f6a7b-sshd`."""
    return frozenset(line.split()[0] for line in table.splitlines() if line.strip())


def owners(table: str) -> frozenset[tuple[str, str, str]]:
    """Return whose files are in a table, as (owner, project, agent)."""
    rows = (line.split() for line in table.splitlines() if line.strip())
    return frozenset((row[-3], row[-2], row[-1]) for row in rows)


def of_sandbox(held: Iterable[str], sandbox: str) -> tuple[str, ...]:
    """Return the names that are of a sandbox; their own parts have no dash."""
    return tuple(sorted(n for n in held if n.partition("/")[2].rpartition("-")[0] == sandbox))


def without(
    pods: Iterable[Mapping[str, Any]], sandbox: str, held: Collection[str]
) -> frozenset[str]:
    """Return the roles whose Pods mount files of a sandbox that are not among those held."""
    kept = {name.partition("/")[2] for name in held}
    return frozenset(
        pod["metadata"]["labels"].get(f"{LABEL}.role", "")
        for pod in pods
        for name in pod["spec"].get("mounted", ())
        if name.startswith(f"{sandbox}-") and name not in kept
    )
