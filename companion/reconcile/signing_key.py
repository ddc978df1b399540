"""Signing key: the key with which an agent signs its commits, made on the desktop at the first up.

Its private half lies in the sandbox, too: the agent signs as itself.
"""

from companion.errors import CompanionError
from companion.plugins.contribution import Committer
from companion.plugins.git import ALLOWED_SIGNERS, KEY
from companion.sandbox.model import Sandbox
from companion.spec.containers import File
from companion.system import files
from companion.system.project_paths import AgentPaths
from ssh import keys


def contents(signer: Committer, sandbox: Sandbox, agent_paths: AgentPaths) -> tuple[File, ...]:
    """Return the files for git and ssh-keygen in the sandbox, with a new key if there is none.

    Raises:
        CompanionError: the stored key is damaged.
    """
    path = agent_paths.signing / KEY
    private = files.read_text(path)
    if private is None:
        private = keys.generate(sandbox.agent).private
    try:
        line = f"{keys.public_of(private)} {sandbox.agent}"
    except ValueError:
        problem = f"{path} is not an Ed25519 private key"
        raise CompanionError(problem, "remove it; Companion then creates one") from None
    allowed = f'{_principal(signer, sandbox)} namespaces="git" {line}\n'
    return (
        File(KEY, private.encode(), files.PRIVATE),
        File(f"{KEY}.pub", f"{line}\n".encode()),
        File(ALLOWED_SIGNERS, allowed.encode()),
    )


def public(agent_paths: AgentPaths) -> str:
    """Return the public half in one line, as forges take it; "" if there is no key yet."""
    return (files.read_text(agent_paths.signing / f"{KEY}.pub") or "").strip()


def _principal(signer: Committer, sandbox: Sandbox) -> str:
    return signer.email or sandbox.allocation.alias
