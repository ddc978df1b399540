"""Brought files: which of the user's own agent settings go into sandboxes, and which never."""

import io
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from companion.spec.containers import File

ARCHIVE = "home.tar"
MOUNTED = "/companion/brought"
"""The directory in which the agent sees the archive."""

_CREDENTIAL_NAMES = re.compile(
    r"(\.?credentials.*|auth(\.[a-z]+)?|oauth.*|\.claude\.json.*|\.env(\..*)?|\.netrc|\.npmrc|\.pypirc"
    r"|\.?((access|auth|refresh)[-_])?(secret|token)s?(\.[a-z]+)?|\.git-credentials|known_hosts"
    r"|id_(rsa|dsa|ecdsa|ed25519)[a-z_]*(\.pub)?|.*\.(pem|key|p12|pfx|kdbx|sqlite3?|db)(-[a-z]+)?"
    r"|google_accounts\.json|\.git|\.ssh|\.gnupg|\.aws|\.azure|\.kube|\.docker|\.password-store)\Z",
    re.IGNORECASE,
)
"""Names of files and directories that hold credentials, wherever they lie."""
_OWN_RECORDS = re.compile(
    r"(\.claude|\.codex|\.gemini|\.pi/agent|\.local/share/opencode)"
    r"/(backups|debug|file-history|history.*|installation_id|logs?|projects|session-env|sessions"
    r"|shell[-_]snapshots|statsig|storage|telemetry|tmp|todos)(/|\Z)"
    r"|\.config/(companion|gcloud|gh|glab-cli|op|pip|rclone)(/|\Z)|\.local/share/(companion|keyrings)",
    re.IGNORECASE,
)
"""Paths that agents write on their own, such as what was said, and settings with logins."""
_CREDENTIALS = re.compile(
    rb"sk-[A-Za-z0-9_-]{16}|gh[opsur]_[A-Za-z0-9]{20}|github_pat_[A-Za-z0-9_]{20}"
    rb"|glpat-[A-Za-z0-9_-]{16}|xox[abeoprs]-[A-Za-z0-9-]{10}|AKIA[0-9A-Z]{16}"
    rb"|AIza[A-Za-z0-9_-]{30}|ya29\.[A-Za-z0-9_-]{20}|npm_[A-Za-z0-9]{30}|hf_[A-Za-z0-9]{30}"
    rb"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.|-----BEGIN [A-Z ]*PRIVATE KEY"
    rb"|(?i:bearer|basic) +[A-Za-z0-9+/_.=-]{16}"
    rb"|(?i:api[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token|password|secret)"
    rb"[\"']?\s*[:=]\s*[\"'][^\"'${}\n]{8}"
)
"""Credentials of known shapes, and whatever a setting calls a key, a token or a password."""


def refusal(path: str) -> str:
    """Return why nothing may be brought from a path below the home; "" if it may."""
    if named := next(filter(_CREDENTIAL_NAMES.match, PurePosixPath(path).parts), ""):
        return f"is never brought: '{named}' is a name of credentials"
    if _OWN_RECORDS.match(path):
        return "is never brought: it holds an agent's records, or a login"
    return ""


def refusal_of_content(content: bytes) -> str:
    """Return why a file may not be brought because of what is in it; "" if it may."""
    return "holds what looks like a credential" if _CREDENTIALS.search(content) else ""


def archive(files: Iterable[File]) -> bytes:
    """Return a tar archive of files, the same bytes for the same files; b"" for none."""
    ordered = sorted(files, key=lambda file: file.path)
    if not ordered:
        return b""
    import tarfile  # noqa: PLC0415 - start-up time and the tray's memory are budgets

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in ordered:
            entry = tarfile.TarInfo(file.path)
            entry.size, entry.mode = len(file.content), file.mode
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
