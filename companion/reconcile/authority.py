"""The sandbox CA and the gateway's leaf certificates, as stored on the desktop."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from companion.plugins import instructions
from companion.render import refused
from companion.sandbox.model import Sandbox
from companion.spec.containers import File
from companion.system import files, locks
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths

if TYPE_CHECKING:
    from companion.reconcile import certificates


def authority(
    home: Paths, progress: Callable[[str], object] = lambda _: None
) -> "certificates.Authority":
    """Return the user's sandbox CA; create it at the first call, and replace one with a flaw."""
    with locks.exclusive(home.ca_key.with_name("lock")):
        kept, now = kept_authority(home), datetime.now(UTC)
        from companion.reconcile import certificates  # noqa: PLC0415 - slow to load

        if kept and not (flaw := certificates.authority_flaw(kept, now)):
            return kept
        if kept:
            progress(f"the sandbox CA {flaw}: creating another; images are built for it")
        made = certificates.new_authority(now)
        files.write(home.ca_key, made.key)
        files.write(home.ca_certificate, made.certificate, files.READABLE)
        return made


def kept_authority(home: Paths) -> "certificates.Authority | None":
    """Return the user's sandbox CA as it is; None: there is none."""
    from companion.reconcile import certificates  # noqa: PLC0415 - slow to load

    key, certificate = files.read_text(home.ca_key), files.read_text(home.ca_certificate)
    return certificates.Authority(certificate, key) if key and certificate else None


def leaf_certificates(sandbox: Sandbox, home: Paths, agent_paths: AgentPaths) -> tuple[File, ...]:
    """Return the certificates that the gateway presents, with their keys.

    Stored certificates are reused while they are current; new ones are not yet written to disk.
    Without a CA, there are none.
    """
    hosts = {u.host for u in sandbox.upstreams_by("https")}
    signer, now = kept_authority(home) if sandbox.gateway else None, datetime.now(UTC)
    if signer is None:
        return ()
    from companion.reconcile import certificates  # noqa: PLC0415 - slow to load

    makers = {f"{host}.pem": partial(certificates.issue, signer, host, now) for host in hosts}
    makers[refused.CERTIFICATE] = partial(
        certificates.issue_refusal, signer, instructions.REFUSED, now
    )
    return tuple(
        File(name, (_kept(name, signer, now, agent_paths) or make()).encode(), files.PRIVATE)
        for name, make in sorted(makers.items())
    )


def _kept(
    name: str, signer: "certificates.Authority", now: datetime, agent_paths: AgentPaths
) -> str:
    """Return the stored certificate of a name; "" if there is none that is current."""
    from companion.reconcile import certificates  # noqa: PLC0415 - slow to load

    kept = files.read_text(agent_paths.certificates / name) or ""
    return "" if certificates.flaw(kept, signer, now) else kept
