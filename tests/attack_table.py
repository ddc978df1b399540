"""docs/attacks.md: what came of each attack of `companion audit`, wherever sandboxes run."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from desk import ROOT

from companion.operations import audit

SCRIPT = ROOT / "assets/agent/audit.sh"
DOCUMENT = ROOT / "docs/attacks.md"
TITLES: list[str] = re.findall(r'^\s*try "([^"]+)"', SCRIPT.read_text(), re.MULTILINE)
NOT_TRIED = "not tried"
HEAD = """\
# Attacks from inside a sandbox

Each attack of `companion audit`, with its result in the tests (`tests/isolation`; elsewhere by
`make test-reach`) and the last line of output that the attacker got on this machine, if any. The
tests fail if a result in this table is not true. As a control, each attack is also made in a
container of this machine where nothing stops it, and every one gets through there. SECURITY.md
lists what is open. NetworkPolicies drop UDP without a word, so it is not tried against them.

On Kubernetes, the network of *Pod* is closed in the kernel, that of *policy* by NetworkPolicies
alone. Both have the system calls that containerd 1.6 lets through; [Companion's own
list](kubernetes.md#what-differs-from-docker-and-podman) limits them further. Where policies close
it, IPv6 is on for the Pod's own loopback, and leads nowhere else.

"""


class Column(StrEnum):
    """Where the sandbox runs."""

    PODMAN = "podman"
    DOCKER = "docker"
    SSH_PODMAN = "podman by ssh"
    SSH_DOCKER = "docker by ssh"
    POD = "Kubernetes: Pod"
    POLICY = "Kubernetes: policy"

    @property
    def is_here(self) -> bool:
        """Whether the table shows what an attacker is told."""
        return self in {Column.PODMAN, Column.DOCKER}


def judged(column: Column, findings: Iterable[Mapping[str, Any]], *, update: bool) -> None:
    """Compare what came of attacks with the document, or write it there.

    Args:
        column: where the sandbox ran.
        findings: those of `companion audit --json`.
        update: whether to write.
    """
    seen = {one["attack"]: audit.AttackResult(**one).result for one in findings}
    told = {title: seen.get(title, NOT_TRIED) for title in TITLES}
    if not column.is_here:
        told = {title: _outcome(result) for title, result in told.items()}
    table = documented()
    if update:
        table |= {(title, column): result for title, result in told.items()}
        DOCUMENT.write_text(_document(table))
    for title, result in told.items():
        known = table.get((title, column), "")
        assert _outcome(known) == _outcome(result), f"{title}: run it with --update, and look"


def documented() -> dict[tuple[str, Column], str]:
    """Return (attack, column) → what the document says came of it."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| ")
    ]
    columns = [Column(name) for name in rows[0][1:]]
    return {
        (row[0], column): cell
        for row in rows[1:]
        for column, cell in zip(columns, row[1:], strict=True)
    }


def _outcome(result: str) -> str:
    return result.partition(":")[0]


def _document(table: Mapping[tuple[str, Column], str]) -> str:
    head = f"| attack | {' | '.join(Column)} |\n|---{'|---' * len(Column)}|\n"
    rows = (
        f"| {title} | {' | '.join(table.get((title, column), '-') for column in Column)} |\n"
        for title in TITLES
    )
    return HEAD + head + "".join(rows)
