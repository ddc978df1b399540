"""One public key, as `ssh-keygen` writes it into a .pub file."""

import base64
import hashlib
from dataclasses import dataclass

from ssh.values import SshValueError, one_line

_FIELDS = {
    "ssh-ed25519": 2,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "ssh-rsa": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
"""Key type → fields in its blob (RFC 4253 6.6, RFC 5656 3.1, OpenSSH's PROTOCOL.u2f)."""


@dataclass(frozen=True, slots=True)
class Key:
    """One public key whose blob (base64) matches its type.

    Raises:
        SshValueError: unknown type, damaged blob, or a comment that breaks the line.
    """

    type: str
    blob: str
    comment: str = ""

    def __post_init__(self) -> None:
        if self.type not in _FIELDS:
            raise SshValueError("not a public key: one looks like `ssh-ed25519 AAAA… comment`")
        fields = _fields(_decoded(self.blob))
        if not fields or fields[0] != self.type.encode():
            raise SshValueError(f"the key is damaged: its content is not of type {self.type}")
        if len(fields) != _FIELDS[self.type]:
            raise SshValueError("the key is damaged: parts of it are missing")
        one_line("the key's comment", self.comment)

    @property
    def line(self) -> str:
        """The key as a line of a .pub or authorized_keys file, without its line break."""
        return f"{self.type} {self.blob} {self.comment}".rstrip()

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(_decoded(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def parse(line: str) -> Key:
    """Parse `type base64 [comment]`.

    Raises:
        SshValueError: it is not a plain public key; the message never repeats the line, which may
            be a secret that was pasted into the wrong place.
    """
    kind, blob, comment, *_ = [*line.split(maxsplit=2), "", "", ""]
    if kind not in _FIELDS and _FIELDS.keys() & line.split():
        what = "options before the key (command=, from=, …) are not supported: give the key alone"
        raise SshValueError(what)
    return Key(kind, blob, "".join(char for char in comment.strip() if char.isprintable()))


def _decoded(blob: str) -> bytes:
    try:
        data = base64.b64decode(blob, validate=True)
    except ValueError:
        data = b""
    # Accept only the canonical encoding: merging compares text.
    if base64.b64encode(data).decode() != blob:
        raise SshValueError("the key is damaged: it is not base64")
    return data


def _fields(data: bytes) -> list[bytes]:
    """Split a blob into its fields, each prefixed by its length in 4 bytes (RFC 4251 5)."""
    fields = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        if end > len(data):
            raise SshValueError("the key is damaged: it is cut off")
        fields.append(data[4:end])
        data = data[end:]
    return fields
