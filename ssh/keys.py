"""How is a key pair made, and what is public about it?

By `cryptography`, because paramiko can neither generate nor write Ed25519 keys.
"""

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ssh import public_key
from ssh.values import SshValueError


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`private` is a whole file in OpenSSH's format; `public` one line without its line break."""

    private: str = field(repr=False)
    public: str


def generate(comment: str) -> KeyPair:
    """Return a new Ed25519 key pair without a passphrase.

    Raises:
        SshValueError: the comment has a line break or control character.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    kind, blob = public_of(private).split()
    return KeyPair(private, public_key.Key(kind, blob, comment).line)


def public_of(private: str) -> str:
    """Return `ssh-ed25519 AAAA…`, without a comment, for the text of a private key file.

    Raises:
        SshValueError: it is not an Ed25519 key in OpenSSH's format without a passphrase.
    """
    try:
        key = load_ssh_private_key(private.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SshValueError("not an OpenSSH private key without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SshValueError("not an Ed25519 key")
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def fingerprint(public: str) -> str:
    """Return `SHA256:…` of a public key line, as `ssh-keygen -l` prints it.

    Raises:
        SshValueError: it is no public key.
    """
    return public_key.parse(public).fingerprint
