"""The files that containers have mounted: gateway rules, secrets, certificates, sshd."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from companion.reconcile import ssh_keys
from companion.reconcile.desired import Desired
from companion.reconcile.validate import Checked
from companion.spec.containers import File
from companion.system import files
from companion.system.paths import AgentPaths, Paths

if TYPE_CHECKING:
    pass


def seals(secrets: Mapping[str, str], salt: str) -> dict[str, str]:
    """Return keyed digests of secrets: equal values show as equal, and nothing else shows."""
    return {
        name: hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()[:16]
        for name, value in secrets.items()
    }


def write(desired: Desired, home: Paths, places: AgentPaths, secrets: Mapping[str, str]) -> None:
    """Write everything that the containers of one agent will have mounted."""
    owner = desired.sandbox.host.uid
    files.make_private_dir(places.root)
    _fill(places.gateway, desired.gateway_files, owner)
    _fill(places.resolver, desired.resolver_files, owner)
    _fill(places.secrets, _secret_files(desired.sandbox.secrets, secrets), owner)
    _fill(places.certificates, desired.certificate_files, owner)
    files.make_private_dir(places.control)
    files.give_to(places.control, owner)
    if desired.sandbox.ssh:
        _fill(places.sshd, ssh_keys.contents(desired, home, places), owner)


def refresh_tokens(checked: Checked, places: AgentPaths) -> None:
    """Put the tokens that count now where a gateway has those that counted once.

    What renewed one may have ended the one before: going back must not bring that back.
    """
    names = (provider.secret for provider in checked.whole.providers)
    there = [name for name in names if (places.secrets / name).exists()]
    for file in _secret_files(there, checked.secrets):
        files.write(places.secrets / file.path, file.content, file.mode, checked.host.uid)


def _secret_files(names: Iterable[str], values: Mapping[str, str]) -> tuple[File, ...]:
    """Return a file per secret, in base64 as lists take it; without a value it is empty: 503."""
    return tuple(
        File(name, base64.b64encode(values.get(name, "").encode()), files.PRIVATE) for name in names
    )


def _fill(directory: Path, contents: Iterable[File], owner: int) -> None:
    """Make a directory hold exactly these files, each replaced as one step."""
    files.make_private_dir(directory)
    files.give_to(directory, owner)
    wanted = {file.path: file for file in contents}
    for file in wanted.values():
        files.write(directory / file.path, file.content, file.mode, owner)
    for path in directory.iterdir():
        if path.name not in wanted:
            path.unlink()
