"""Generate Ed25519 key pairs and derive their public parts.

Uses `cryptography`, because paramiko can neither generate nor write Ed25519 keys. It is imported
lazily: the import takes a tenth of a second.
"""

from dataclasses import dataclass, field

from ssh import public_key
from ssh.values import SshValueError


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`private` is a complete file in OpenSSH's format; `public` is one line without line break."""

    private: str = field(repr=False)
    public: str


def generate(comment: str) -> KeyPair:
    """Return a new Ed25519 key pair without a passphrase.

    Raises:
        SshValueError: the comment has a line break or control character.
    """
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()
    ).decode()
    kind, blob = public_of(private).split()
    return KeyPair(private, public_key.Key(kind, blob, comment).line)


def public_of(private: str) -> str:
    """Return `ssh-ed25519 AAAA…`, without a comment, for the text of a private key file.

    Raises:
        SshValueError: it is not an Ed25519 key in OpenSSH's format without a passphrase.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    try:
        key = form.load_ssh_private_key(private.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SshValueError("not an OpenSSH private key without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SshValueError("not an Ed25519 key")
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return public.decode()


def fingerprint(public: str) -> str:
    """Return `SHA256:…` of a public key line, as `ssh-keygen -l` prints it.

    Raises:
        SshValueError: it is not a public key.
    """
    return public_key.parse(public).fingerprint
