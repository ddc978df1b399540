"""Logging in: an agent's agent.yaml gets the feature that sends a credential to its model."""

from pathlib import Path

from companion.config import edit_yaml
from companion.plugins.contribution import Contribution
from companion.plugins.login import ModelLogin
from companion.project.model import AgentRef
from companion.reconcile import trust
from companion.reconcile.trust import Review
from companion.reconcile.validate import check, contribution_of
from companion.sandbox.powers import Kind
from companion.system import git, links, user_files
from companion.system.paths import Paths

_FEATURES = ("features",)
_OWN_POWERS = {Kind.SECRET, Kind.LOGIN}
"""What a login may open without a further question."""


def lines(login: ModelLogin) -> str:
    """Return what agent.yaml needs, for the user to add."""
    return f"features:\n{edit_yaml.as_lines(login.options, 2)}"


def may_edit(ref: AgentRef) -> bool:
    """Tell whether agent.yaml may be edited: it did not come with a checkout."""
    return not git.committed(_file(ref))


def proposed(ref: AgentRef, login: ModelLogin) -> Contribution:
    """Return what agent.yaml would mean with a login; nothing is written.

    Raises:
        CompanionError: the file cannot be edited safely.
    """
    return contribution_of(ref, _with(user_files.read(_file(ref)) or "", ref, login))


def add(home: Paths, ref: AgentRef, login: ModelLogin) -> None:
    """Add a login to agent.yaml.

    The user is asking for it, so what it opens needs no further agreement.

    Raises:
        CompanionError: the file cannot be edited safely, or not be written.
    """
    config = _file(ref)

    def attempt() -> None:
        old = user_files.read(config) or ""
        user_files.write(config, _with(old, ref, login), old, backup=False)

    user_files.changing(config, attempt)
    _agree(home, ref)


def _file(ref: AgentRef) -> Path:
    return links.unlinked(ref.project.directory, ref.config)


def _with(text: str, ref: AgentRef, login: ModelLogin) -> str:
    return edit_yaml.put(text, _FEATURES, login.options, ref.named(_file(ref)))


def _agree(home: Paths, ref: AgentRef) -> None:
    """Agree to the secret that the login sends, if nothing else is new."""
    verdict = trust.judge(home, check(home, ref))
    if verdict.is_known and {power.kind for power in verdict.new} <= _OWN_POWERS:
        trust.agree(home, Review(ref.project, (verdict,)))
