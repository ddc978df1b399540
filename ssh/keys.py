"""How is a key pair made, and how is it recognised?

Ed25519 by `cryptography`: paramiko 5 can neither generate nor write it.
"""

import base64
import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`private` in OpenSSH's PEM format, `public` as one line with its comment."""

    private: str = field(repr=False)
    public: str


def generate(comment: str) -> KeyPair:
    """Return a new Ed25519 key pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return KeyPair(private, f"{public_of(private)} {comment}".strip())


def public_of(private: str) -> str:
    """Return `ssh-ed25519 AAAA…` for a private key without a passphrase.

    Raises:
        ValueError: it is not one.
    """
    try:
        key = load_ssh_private_key(private.encode(), password=None)
    except Exception as error:
        raise ValueError("not an OpenSSH private key without a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 - the text is wrong, not its type
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def fingerprint(public: str) -> str:
    """Return `SHA256:…` of a public key line, as `ssh-keygen -l` prints it."""
    blob = base64.b64decode(public.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
