"""What must lie on the desktop before a sandbox can start? Keys, certificates, mounted files."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from companion import files, seccomp
from companion.check import Checked
from companion.contribution import ProjectFile
from companion.desired import Desired
from companion.errors import CompanionError
from companion.paths import AgentPaths, Paths
from companion.render import sshd
from companion.sandbox import Sandbox
from companion.services import File, digest
from companion.state import EngineChoice
from ssh import authorized_keys, keys
from ssh.public_key import Key

if TYPE_CHECKING:
    from companion import certs


def authority(home: Paths) -> "certs.Authority":
    """Return the user's sandbox CA, made at the first call."""
    with files.lock(home.ca_key.with_name("lock")):
        if kept := _kept_authority(home):
            return kept
        from companion import certs  # noqa: PLC0415 - start-up time and memory are budgets

        made = certs.new_authority(datetime.now(UTC))
        files.write(home.ca_key, made.key)
        files.write(home.ca_certificate, made.certificate, files.READABLE)
        return made


def _kept_authority(home: Paths) -> "certs.Authority | None":
    from companion import certs  # noqa: PLC0415 - start-up time and memory are budgets

    key, certificate = files.read_text(home.ca_key), files.read_text(home.ca_certificate)
    return certs.Authority(certificate, key) if key and certificate else None


def leaves(sandbox: Sandbox, home: Paths, places: AgentPaths) -> tuple[File, ...]:
    """Return the certificates that the gateway shall show, with their keys.

    Those that are kept, as long as they are current; else new ones, which nothing has written yet.
    None before there is a CA.
    """
    hosts = {u.host for u in sandbox.upstreams_by("https")}
    signer, now = _kept_authority(home) if hosts else None, datetime.now(UTC)
    if signer is None:
        return ()
    return tuple(_leaf(host, signer, now, places) for host in sorted(hosts))


def system_calls(home: Paths, engine: EngineChoice | None) -> str:
    """Return the path of the list of system calls that an engine shall allow, "" for its own."""
    if engine is None or not engine.seccomp:
        return ""
    with suppress(CompanionError):
        text = seccomp.tightened(files.read_text(Path(engine.seccomp)) or "")
        if text:
            path = home.seccomp / f"{digest(text)}.json"
            files.write(path, text, files.READABLE)
            return str(path)
    return ""


def seals(secrets: Mapping[str, str], salt: str) -> dict[str, str]:
    """Return keyed digests of secrets: equal values show as equal, and nothing else shows."""
    return {
        name: hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()[:16]
        for name, value in secrets.items()
    }


def mounted_files(
    desired: Desired, home: Paths, places: AgentPaths, secrets: Mapping[str, str]
) -> None:
    """Write everything that the containers of one agent will have mounted."""
    owner = desired.sandbox.host.uid
    files.make_private_dir(places.root)
    _fill(places.gateway, desired.gateway_files, owner)
    _fill(places.resolver, desired.resolver_files, owner)
    _fill(places.secrets, _secret_files(desired.sandbox.secrets, secrets), owner)
    _fill(places.certificates, desired.certificate_files, owner)
    files.make_private_dir(places.control)
    files.give_to(places.control, owner)
    _ssh_files(desired, home, places)


def tokens(checked: Checked, places: AgentPaths) -> None:
    """Put the tokens that count now where a gateway has those that counted once.

    What renewed one may have ended the one before: going back must not bring that back.
    """
    names = (provider.secret for provider in checked.whole.providers)
    there = [name for name in names if (places.secrets / name).exists()]
    for file in _secret_files(there, checked.secrets):
        files.write(places.secrets / file.path, file.content, file.mode, checked.host.uid)


def host_key(sandbox: Sandbox, places: AgentPaths) -> tuple[File, ...]:
    """Return the host key that sshd shall show: the config's, else the one kept, else a new one.

    A new one is written by nothing yet. None without sshd.

    Raises:
        CompanionError: the config's is no such key.
    """
    server = sandbox.ssh
    if server is None:
        return ()
    given = server.host_key
    kept = _text(sandbox, given) if given else files.read_text(places.host_key)
    try:
        return _pair(keys.generate(sandbox.agent).private if kept is None else kept)
    except ValueError:
        where, what = (given.path, "host_key") if given else (places.host_key, "it")
        problem = f"{where} is not an Ed25519 private key without a passphrase"
        raise CompanionError(problem, f"remove {what}: companion makes and keeps one") from None


def authorize(
    sandbox: Sandbox, home: Paths, places: AgentPaths, also: tuple[Key, ...] = ()
) -> None:
    """Write who may log in; sshd reads it at every login. `also` may, until the next call."""
    _replace_ssh_files((_authorized_keys(sandbox, home, places, also),), sandbox, places)


def new_client_key(sandbox: Sandbox, home: Paths, places: AgentPaths) -> str:
    """Put a new key of our own in the old one's place, in steps that each leave us a way in.

    Returns the public key's line.
    """
    alias = sandbox.allocation.alias
    made = keys.generate(alias)
    authorize(sandbox, home, places, authorized_keys.parse(made.public).keys)
    files.write(home.client_key(alias), made.private)
    authorize(sandbox, home, places)
    return made.public


def new_host_key(sandbox: Sandbox, places: AgentPaths) -> str:
    """Put a new host key of our own in the old one's place; return its public line."""
    made = keys.generate(sandbox.agent)
    _replace_ssh_files(_pair(made.private), sandbox, places)
    return made.public


def _replace_ssh_files(changed: Iterable[File], sandbox: Sandbox, places: AgentPaths) -> None:
    """Replace files of what runs, and of what may be brought back: a key that went stays away."""
    kept = places.good / places.sshd.name
    for directory in (places.sshd, *((kept,) if kept.is_dir() else ())):
        for file in changed:
            files.write(directory / file.path, file.content, file.mode, sandbox.host.uid)


def _ssh_files(desired: Desired, home: Paths, places: AgentPaths) -> None:
    sandbox = desired.sandbox
    if sandbox.ssh is None:
        return
    allowed = _authorized_keys(sandbox, home, places)
    contents = (*desired.host_key_files, allowed, sshd.render(sandbox))
    _fill(places.sshd, contents, sandbox.host.uid)


def _authorized_keys(
    sandbox: Sandbox, home: Paths, places: AgentPaths, also: tuple[Key, ...] = ()
) -> File:
    """Return the union of our own key, the config's, those that were added, and `also`."""
    own = _client_key(home, sandbox.allocation.alias)
    configured = _text(sandbox, sandbox.ssh.authorized_keys if sandbox.ssh else None)
    texts = (own, configured, files.read_text(places.added_keys) or "")
    allowed = (authorized_keys.parse(text).keys for text in texts)
    return File(places.authorized_keys.name, authorized_keys.merge(*allowed, also).encode())


def _secret_files(names: Iterable[str], values: Mapping[str, str]) -> tuple[File, ...]:
    """Return a file per secret, in base64 as lists take it; without a value it is empty: 503."""
    return tuple(
        File(name, base64.b64encode(values.get(name, "").encode()), files.PRIVATE) for name in names
    )


def _leaf(host: str, signer: "certs.Authority", now: datetime, places: AgentPaths) -> File:
    from companion import certs  # noqa: PLC0415 - start-up time and memory are budgets

    kept = files.read_text(places.certificates / f"{host}.pem") or ""
    leaf = kept if certs.is_current(kept, signer, now) else certs.issue(signer, host, now)
    return File(f"{host}.pem", leaf.encode(), files.PRIVATE)


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


def _client_key(home: Paths, alias: str) -> str:
    """Return the public line of our own key for one sandbox, made at the first call."""
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
        ValueError: it is not one that we can pin.
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
