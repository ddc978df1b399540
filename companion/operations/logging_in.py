"""Logging in: an agent's agent.yaml gets the feature that sends a credential to its model."""

from companion.config import edit_yaml
from companion.plugins.login import ModelLogin
from companion.project.model import AgentRef
from companion.reconcile import trust
from companion.reconcile.trust import Review
from companion.reconcile.validate import check
from companion.sandbox.powers import Kind
from companion.system import git, links, user_files
from companion.system.paths import Paths

_FEATURES = ("features",)
_OWN_POWERS = {Kind.SECRET, Kind.LOGIN}
"""What a login may open without a further question."""


def lines(login: ModelLogin) -> str:
    """Return what agent.yaml needs, for the user to add."""
    return f"features:\n{edit_yaml.as_lines(login.options, 2)}"


def add(home: Paths, ref: AgentRef, login: ModelLogin) -> bool:
    """Add a login to agent.yaml unless the file came with a checkout; return whether it was added.

    The user is asking for it, so what it opens needs no further agreement.

    Raises:
        CompanionError: the file cannot be edited safely, or not be written.
    """
    config = links.unlinked(ref.project.directory, ref.config)
    if git.committed(config):
        return False

    def attempt() -> None:
        old = user_files.read(config) or ""
        new = edit_yaml.put(old, _FEATURES, login.options, ref.named(config))
        user_files.write(config, new, old, backup=False)

    user_files.changing(config, attempt)
    _agree(home, ref)
    return True


def _agree(home: Paths, ref: AgentRef) -> None:
    """Agree to the secret that the login sends, if nothing else is new."""
    verdict = trust.judge(home, check(home, ref))
    if verdict.is_known and {power.kind for power in verdict.new} <= _OWN_POWERS:
        trust.agree(home, Review(ref.project, (verdict,)))
