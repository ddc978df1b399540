"""Mounted files: gateway rules, secrets, certificates and sshd keys of containers."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from companion.errors import Code, CompanionError
from companion.plugins.contribution import SecretRef
from companion.reconcile import secret_values, signing_key, ssh_keys
from companion.reconcile.desired import Desired
from companion.reconcile.secret_values import NOT_FETCHED, Secret
from companion.reconcile.validate import Checked
from companion.render import reach
from companion.sandbox import brought, repositories
from companion.spec.containers import Directory, File
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

_KEYS = {
    Directory.SSHD: ("host_key", "host_key.pub"),
    Directory.CERTIFICATES: (),
    Directory.SIGNING: (),
}
"""Directories with what is made at random, and the files with it; empty: all of them."""


def contents(desired: Desired, home: Paths, checked: Checked) -> dict[Directory, tuple[File, ...]]:
    """Return the desired files of each mounted directory, with the current secrets.

    Raises:
        CompanionError: a secret can no longer be read.
    """
    agent_paths = checked.agent_paths(home)
    values = _values(home, checked, desired.sandbox.secrets)
    if lost := [secret.name for secret, value in values.items() if value is NOT_FETCHED]:
        what = f"the source of {', '.join(lost)} changed meanwhile"
        raise CompanionError(what, "run `companion up` again", code=Code.SECRET_FAILED)
    found = {
        Directory.GATEWAY: desired.gateway_files,
        Directory.RESOLVER: desired.resolver_files,
        Directory.SECRETS: tuple(_secret_files(values)),
        Directory.CERTIFICATES: desired.certificate_files,
        Directory.REACH: (reach.render(desired.sandbox),),
        Directory.SECCOMP: desired.seccomp_files,
    }
    if desired.sandbox.ssh:
        found[Directory.SSHD] = ssh_keys.contents(desired, home, agent_paths)
    if mounted := desired.sandbox.repositories:
        found[Directory.GIT] = tuple(repositories.files(mounted))
    if desired.sandbox.brought:
        archive = brought.archive(desired.sandbox.brought)
        found[Directory.BROUGHT] = (File(brought.ARCHIVE, archive),)
    if signer := desired.sandbox.signer:
        found[Directory.SIGNING] = signing_key.contents(signer, desired.sandbox, agent_paths)
    return found


def write(desired: Desired, home: Paths, checked: Checked, *, restarts: bool = True) -> None:
    """Write all files that the containers of one agent mount.

    Without `restarts`, the list of system calls stays: it is part of the containers that run.

    Raises:
        CompanionError: a secret can no longer be read; no mounted file was written.
    """
    agent_paths, owner = checked.agent_paths(home), desired.sandbox.host.uid
    all_contents = contents(desired, home, checked)
    if not restarts:
        del all_contents[Directory.SECCOMP]
    files.make_private_dir(agent_paths.root)
    for directory, directory_files in all_contents.items():
        _fill(agent_paths.root / directory, directory_files, owner)
    files.make_private_dir(agent_paths.control)
    files.give_to(agent_paths.control, owner)


def keep_keys(
    contents: Mapping[Directory, tuple[File, ...]], agent_paths: AgentPaths, owner: int
) -> None:
    """Store keys and certificates that are new, so that contents() returns them again.

    For sandboxes whose files are brought elsewhere; write() stores them with everything else.
    """
    for directory, names in _KEYS.items():
        for file in contents.get(directory, ()):
            path = agent_paths.root / directory / file.path
            is_current = path.exists() and directory is not Directory.CERTIFICATES
            if not is_current and (not names or file.path in names):
                files.make_private_dir(path.parent)
                files.give_to(path.parent, owner)
                files.write(path, file.content, file.mode, owner)


def refresh_tokens(home: Paths, checked: Checked) -> None:
    """Refresh mounted tokens, so that a rollback restores no revoked one.

    Renewing a token may revoke the previous one.
    """
    agent_paths, tokens = (
        checked.agent_paths(home),
        (p.token for p in checked.contribution.providers),
    )
    present = [token for token in tokens if (agent_paths.secrets / token.name).exists()]
    for file in _secret_files(_values(home, checked, present)):
        files.write(agent_paths.secrets / file.path, file.content, file.mode, checked.host.uid)


def _values(home: Paths, checked: Checked, wanted: Iterable[SecretRef]) -> dict[SecretRef, Secret]:
    return secret_values.resolve(home, checked.ref, checked.contribution, wanted)


def _secret_files(values: Mapping[SecretRef, Secret]) -> Iterator[File]:
    """Yield a base64 file per secret; without a value it is empty, and the gateway answers 503."""
    for secret, value in values.items():
        yield File(secret.name, base64.b64encode(value.encoded()), files.PRIVATE)


def _fill(directory: Path, contents: Iterable[File], owner: int) -> None:
    """Make a directory hold exactly these files, each replaced atomically."""
    files.make_private_dir(directory)
    files.give_to(directory, owner)
    wanted = {file.path: file for file in contents}
    for file in wanted.values():
        files.write(directory / file.path, file.content, file.mode, owner)
    for path in directory.iterdir():
        if path.name not in wanted:
            files.remove(path)
