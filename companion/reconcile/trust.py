"""Trust: nothing of a project is started before its user agreed to what it opens.

What is judged is what is applied: reconcile() judges the very value that it then applies. What the
user wrote and what needs no question is added to the agreement, so that it asks nothing later.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from companion.errors import CompanionError, Problem, UntrustedError
from companion.project import discovery, trust_store
from companion.project.model import Project
from companion.project.trust_store import Trust
from companion.reconcile import user_settings
from companion.reconcile.provenance import Provenance
from companion.reconcile.validate import Checked, check
from companion.sandbox import powers_text
from companion.sandbox.powers import ALWAYS_ASKED, Agreed, Kind, Power, digest_of, grown
from companion.system import files
from companion.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one agent opens, and what of it its user has not agreed to."""

    agent: str
    asked: tuple[Power, ...]
    new: tuple[Power, ...]
    is_known: bool = True
    """The user agreed to the agent before; otherwise nothing of it may be started."""

    @property
    def alarming(self) -> tuple[Power, ...]:
        """What to look at first: what is new or, in a project that is, what reaches furthest."""
        if self.is_known:
            return self.new
        return tuple(power for power in self.asked if power.kind in ALWAYS_ASKED)

    @property
    def is_trusted(self) -> bool:
        """Whether the agent may be started as it is configured."""
        return self.is_known and not self.new


@dataclass(frozen=True, slots=True)
class Review:
    """What all agents of a project open, for its user to read."""

    project: Project
    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...] = ()
    """Why other agents of the project cannot be read."""

    @property
    def digest(self) -> str:
        """The digest of everything that the project opens."""
        return digest_of({verdict.agent: verdict.asked for verdict in self.verdicts})

    def of(self, agent: str) -> "Review":
        """Return the review of one of the agents only."""
        mine = tuple(verdict for verdict in self.verdicts if verdict.agent == agent)
        return replace(self, verdicts=mine)

    @property
    def is_known(self) -> bool:
        """Whether the user agreed to the project before."""
        return any(verdict.is_known for verdict in self.verdicts)

    @property
    def is_trusted(self) -> bool:
        """Whether every agent may be started as it is configured."""
        return all(verdict.is_trusted for verdict in self.verdicts)

    @property
    def command(self) -> str:
        """The command with which a script agrees to exactly this."""
        return f"companion trust {quote(str(self.project.directory))} --digest {self.digest}"

    def lines(self, *, located: bool = True) -> tuple[str, ...]:
        """Return what there is to read, agents that open the same together.

        What is new says which line asks for it, if `located`; in a known project, it is marked.
        """
        alike: dict[tuple[str, ...], list[str]] = {}
        for one in self.verdicts:
            text = powers_text.lines(one.asked, one.alarming, one.new if located else ())
            alike.setdefault(text, []).append(one.agent)
        return tuple(
            line for text, names in alike.items() for line in (f"{', '.join(names)}:", *text)
        )


def review(home: Paths, project: Project) -> Review:
    """Judge every agent of a project.

    Raises:
        CompanionError: no agent's configuration can be read.
    """
    verdicts: list[Verdict] = []
    problems: list[Problem] = []
    first: CompanionError | None = None
    for ref in discovery.agent_refs(project):
        try:
            verdicts.append(judge(home, check(home, ref)))
        except CompanionError as error:
            first = first or error
            problems += error.problems
    if first and not verdicts:
        raise first
    return Review(project, tuple(verdicts), tuple(problems))


def judge(home: Paths, checked: Checked) -> Verdict:
    """Compare what an agent opens with what its user agreed to."""
    agent, asked = checked.config.name, checked.powers
    trust = trust_store.read(home, checked.project)
    if is_always_trusted(home, checked.project) and not (trust and trust.is_revoked):
        return Verdict(agent, asked, ())
    agreed = trust.agents.get(agent) if trust and not trust.is_revoked else None
    if agreed is None:
        return Verdict(agent, asked, asked, is_known=False)
    return Verdict(
        agent, asked, grown(asked, agreed, Provenance(checked, agreed).came_with_a_checkout)
    )


def allows(home: Paths, checked: Checked, kind: Kind) -> bool:
    """Tell whether the user agreed to an agent, and to all that it opens of a kind."""
    verdict = judge(home, checked)
    return verdict.is_known and not any(power.kind is kind for power in verdict.new)


def require(home: Paths, checked: Checked) -> None:
    """Return if the user agreed to what an agent opens, and remember what needed no question.

    Raises:
        UntrustedError: there is something to agree to first.
    """
    verdict = judge(home, checked)
    if verdict.is_trusted:
        _remember(home, checked.project, (verdict,))
        return
    directory = checked.project.directory
    what = f"{verdict.agent} opens more than you agreed to; nothing was changed:"
    if not verdict.is_known:
        what = f"{directory} is not trusted yet; nothing was started. {verdict.agent} asks for:"
    details = "\n".join(powers_text.lines(verdict.new, located=verdict.new))
    hint = f"read it, and run `companion trust {quote(str(directory))}`"
    raise UntrustedError(f"{what}\n{details}", hint)


def agree(home: Paths, reviewed: Review) -> None:
    """Remember that the user agreed to all that a review showed."""
    with trust_store.held(home, reviewed.project):
        known = trust_store.read(home, reviewed.project)
        old = known if known and not known.is_revoked else None
        _write(home, reviewed.project, old, reviewed.verdicts)


def revoke(home: Paths, project: Project) -> bool:
    """End a project's agreement; return False if there was none.

    What runs keeps running; nothing is applied until the user agrees again.
    """
    with trust_store.held(home, project):
        known = trust_store.read(home, project)
        if known and known.is_revoked:
            return False
        empty = Trust(str(project.directory), trust_store.identity(project.directory), "revoked")
        trust_store.write(home, project, _dated(empty))
        return known is not None


def is_always_trusted(home: Paths, project: Project) -> bool:
    """Tell whether the user's settings trust a project whatever it opens."""
    always = user_settings.read(home).trust.always
    trees = (files.real(files.expanded(Path(name))) for name in always)
    return any(project.directory.is_relative_to(tree) for tree in trees)


def _remember(home: Paths, project: Project, verdicts: Iterable[Verdict]) -> None:
    """Add what was judged as trusted to the agreement, if there is one and it is not there yet."""
    known = trust_store.read(home, project)
    if is_always_trusted(home, project) or (
        known and all(_agreed(one) <= set(known.agents.get(one.agent, ())) for one in verdicts)
    ):
        return
    with trust_store.held(home, project):
        known = trust_store.read(home, project)
        if known is None or known.is_revoked:
            raise UntrustedError("its trust was revoked meanwhile", "run `companion trust`")
        _write(home, project, known, verdicts)


def _write(home: Paths, project: Project, known: Trust | None, verdicts: Iterable[Verdict]) -> None:
    new = Trust(str(project.directory), trust_store.identity(project.directory))
    trust = known or _dated(new)
    for verdict in verdicts:
        trust = trust.joined(verdict.agent, tuple(power.agreed for power in verdict.asked))
    trust_store.write(home, project, trust)


def _dated(trust: Trust) -> Trust:
    return replace(trust, since=f"{datetime.now(UTC):%Y-%m-%d}")


def _agreed(verdict: Verdict) -> set[Agreed]:
    return {power.agreed for power in verdict.asked}
