"""ID tokens (OpenID Connect): verify who logged in, and for which client and attempt. Pure."""

import base64
import binascii
import hmac
from typing import Literal

from companion.errors import CompanionError
from companion.oauth.answers import OAuthMessage, parse

_LEEWAY = 60.0
"""Seconds by which the clocks of server and desktop may differ."""


class Identity(OAuthMessage):
    """The claims of an ID token that we use; times in Unix seconds."""

    iss: str
    aud: str | tuple[str, ...]
    sub: str
    exp: float
    nonce: str
    email: str = ""


class _Header(OAuthMessage):
    alg: Literal["RS256"]
    kid: str


class _Key(OAuthMessage):
    kty: str = ""
    kid: str = ""
    n: str = ""
    e: str = ""


class _KeySet(OAuthMessage):
    keys: tuple[_Key, ...]


def verified(
    token: str, keys: str, issuer: str, client_id: str, nonce: str, now: float
) -> Identity:
    """Return the identity in an ID token.

    Args:
        token: the token, as the token endpoint returned it.
        keys: the issuer's JSON Web Key Set.
        issuer: who must have issued it.
        client_id: for whom.
        nonce: the one that was sent with the authorization request.
        now: in Unix seconds.

    Raises:
        CompanionError: it is forged, expired, or belongs to another issuer, client or attempt.
    """
    try:
        head, claims, _ = token.split(".")
    except ValueError:
        raise _refused(issuer, "is not a signed token") from None
    header = parse(_Header, _text(head, issuer), f"the ID token of {issuer}")
    found = parse(Identity, _text(claims, issuer), f"the ID token of {issuer}")
    known = parse(_KeySet, keys, f"the key set of {issuer}").keys
    key = next((key for key in known if key.kid == header.kid and key.kty == "RSA"), None)
    if key is None or not _signs(key, token, issuer):
        raise _refused(issuer, "has an invalid signature")
    audience = (found.aud,) if isinstance(found.aud, str) else found.aud
    if (found.iss, audience) != (issuer, (client_id,)):
        raise _refused(issuer, "is for another client or from another issuer")
    if not hmac.compare_digest(found.nonce.encode(), nonce.encode()):
        raise _refused(issuer, "belongs to another login")
    if now > found.exp + _LEEWAY:
        raise _refused(issuer, "has expired; check this machine's clock")
    return found


def _signs(key: _Key, token: str, issuer: str) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - for a login only
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    signed, _, signature = token.rpartition(".")
    number = [int.from_bytes(_bytes(part, issuer), "big") for part in (key.e, key.n)]
    try:
        public = rsa.RSAPublicNumbers(*number).public_key()
        public.verify(
            _bytes(signature, issuer), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _text(part: str, issuer: str) -> str:
    return _bytes(part, issuer).decode(errors="replace")


def _bytes(part: str, issuer: str) -> bytes:
    try:
        return base64.b64decode(f"{part}{'=' * (-len(part) % 4)}", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused(issuer, "is not base64") from None


def _refused(issuer: str, why: str) -> CompanionError:
    return CompanionError(f"the ID token of {issuer} {why}", "nothing was stored; log in again")
