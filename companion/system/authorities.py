"""Authorities: where this system keeps the CA certificates that it trusts.

OpenSSL looks where it was compiled to look. That of a bundle was compiled for Debian, and other
systems keep them elsewhere.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora and its relatives
    "/etc/pki/tls/certs/ca-bundle.crt",  # the same, older
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/var/lib/ca-certificates/ca-bundle.pem",  # the same, newer
)


def context() -> ssl.SSLContext:
    """Return how to connect: certificates are checked against the system's authorities."""
    made = ssl.create_default_context()
    if place := missed(ssl.get_default_verify_paths(), lambda place: Path(place).is_file()):
        made.load_verify_locations(cafile=place)
    return made


def missed(found: ssl.DefaultVerifyPaths, exists: Callable[[str], bool]) -> str | None:
    """Return the file that OpenSSL does not find by itself; None if it finds something."""
    if found.cafile or found.capath:  # Python names only those that exist
        return None
    return next(filter(exists, _PLACES), None)
