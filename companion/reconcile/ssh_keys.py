"""SSH keys: the host key, client key and authorized_keys of an agent on the desktop."""

from collections.abc import Callable, Iterable

from companion.errors import CompanionError
from companion.plugins.contribution import ProjectFile
from companion.reconcile.desired import Desired
from companion.render import sshd
from companion.sandbox.model import Sandbox
from companion.spec.containers import File
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from ssh import authorized_keys, keys
from ssh.public_key import Key


def host_key(sandbox: Sandbox, agent_paths: AgentPaths) -> tuple[File, ...]:
    """Return the host key for sshd: the configured one, else the stored one, else a new one.

    A new key is not yet written to disk. Empty without sshd.

    Raises:
        CompanionError: the key is not an unencrypted Ed25519 key.
    """
    server = sandbox.ssh
    if server is None:
        return ()
    given = server.host_key
    kept = _text(sandbox, given) if given else files.read_text(agent_paths.host_key)
    try:
        return _pair(keys.generate(sandbox.agent).private if kept is None else kept)
    except ValueError:
        where, what = (given.path, "host_key") if given else (agent_paths.host_key, "it")
        problem = f"{where} is not an Ed25519 private key without a passphrase"
        raise CompanionError(problem, f"remove {what}; Companion then creates one") from None


def authorize(
    sandbox: Sandbox, home: Paths, agent_paths: AgentPaths, also: tuple[Key, ...] = ()
) -> None:
    """Write authorized_keys, which sshd reads at every login; allow `also` until the next call."""
    _replace_ssh_files((_authorized_keys(sandbox, home, agent_paths, also),), sandbox, agent_paths)


def new_client_key(
    sandbox: Sandbox, home: Paths, agent_paths: AgentPaths, bring: Callable[[], None]
) -> str:
    """Replace our own client key, in steps that each keep a login possible.

    `bring` brings the files to an engine elsewhere. Returns the public key's line.
    """
    alias = sandbox.allocation.alias
    made = keys.generate(alias)
    authorize(sandbox, home, agent_paths, authorized_keys.parse(made.public).keys)
    bring()
    files.write(home.client_key(alias), made.private)
    authorize(sandbox, home, agent_paths)
    bring()
    return made.public


def new_host_key(sandbox: Sandbox, agent_paths: AgentPaths) -> str:
    """Replace our own host key; return its public line."""
    made = keys.generate(sandbox.agent)
    _replace_ssh_files(_pair(made.private), sandbox, agent_paths)
    return made.public


def _replace_ssh_files(changed: Iterable[File], sandbox: Sandbox, agent_paths: AgentPaths) -> None:
    """Replace files for sshd and in the snapshot, so that a rollback restores no old key."""
    kept = agent_paths.good / agent_paths.sshd.name
    for directory in (agent_paths.sshd, *((kept,) if kept.is_dir() else ())):
        for file in changed:
            files.write(directory / file.path, file.content, file.mode, sandbox.host.uid)


def contents(desired: Desired, home: Paths, agent_paths: AgentPaths) -> tuple[File, ...]:
    """Return the files of an agent's sshd."""
    allowed = _authorized_keys(desired.sandbox, home, agent_paths)
    return (*desired.host_key_files, allowed, sshd.render(desired.sandbox))


def _authorized_keys(
    sandbox: Sandbox, home: Paths, agent_paths: AgentPaths, also: tuple[Key, ...] = ()
) -> File:
    """Return the union of our own key, the configured and added ones, and `also`."""
    own = _client_key(home, sandbox.allocation.alias)
    configured = _text(sandbox, sandbox.ssh.authorized_keys if sandbox.ssh else None)
    texts = (own, configured, files.read_text(agent_paths.added_keys) or "")
    allowed = (authorized_keys.parse(text).keys for text in texts)
    return File(agent_paths.authorized_keys.name, authorized_keys.merge(*allowed, also).encode())


def _client_key(home: Paths, alias: str) -> str:
    """Return the public line of our own key for one sandbox; create it at the first call."""
    path = home.client_key(alias)
    private = files.read_text(path)
    if private is None:
        private = keys.generate(alias).private
        files.write(path, private)
    public = f"{keys.public_of(private)} companion@{alias}"
    files.write(path.with_name(f"{path.name}.pub"), f"{public}\n", files.READABLE)
    return public


def _pair(private: str) -> tuple[File, ...]:
    """Return the two files of a host key.

    Raises:
        ValueError: it is not an unencrypted Ed25519 key.
    """
    public = f"{keys.public_of(private)}\n"
    return (
        File("host_key", private.encode(), files.PRIVATE),
        File("host_key.pub", public.encode()),
    )


def _text(sandbox: Sandbox, file: ProjectFile | None) -> str:
    if file is None:
        return ""
    try:
        return "".join(part.content.decode() for part in sandbox.files_of(file))
    except UnicodeDecodeError:
        raise CompanionError(f"{file.path} is not text", "correct it") from None
