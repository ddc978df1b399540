"""ID tokens: only the issuer's, for this client and this login, count."""

import json

import pytest
from chatgpt_server import ISSUER, encoded, key_set, signed

from companion.errors import CompanionError
from companion.oauth import id_token

NOW = 1_800_000_000
CLAIMS = {"iss": ISSUER, "aud": "me", "sub": "u", "exp": NOW + 60, "nonce": "n"}


def verify(token: str, keys: str = "") -> id_token.Identity:
    return id_token.verified(token, keys or key_set(), ISSUER, "me", "n", NOW)


def unsigned(header: dict[str, str]) -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(CLAIMS).encode())}."


def test_a_token_of_the_issuer_tells_who_logged_in():
    assert verify(signed(CLAIMS | {"email": "a@b"})).email == "a@b"
    assert verify(signed(CLAIMS | {"aud": ["me"]})).sub == "u"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed(CLAIMS, by="two"), "has an invalid signature"),
        (signed(CLAIMS, {"kid": "two"}, by="two"), "has an invalid signature"),
        (signed(CLAIMS)[:-8] + "AAAAAAAA", "has an invalid signature"),
        (signed(CLAIMS, {"alg": "none"}), "is not valid OAuth: alg"),
        (signed(CLAIMS, {"alg": "HS256"}), "is not valid OAuth: alg"),
        (unsigned({"alg": "RS256", "kid": "one"}), "has an invalid signature"),
        (signed(CLAIMS | {"iss": "https://evil.test"}), "another client or from another issuer"),
        (signed(CLAIMS | {"aud": "them"}), "another client or from another issuer"),
        (signed(CLAIMS | {"aud": ["me", "them"]}), "another client or from another issuer"),
        (signed(CLAIMS | {"nonce": "m"}), "belongs to another login"),
        (signed(CLAIMS | {"exp": NOW - 61}), "has expired"),
        (signed({k: v for k, v in CLAIMS.items() if k != "exp"}), "is not valid OAuth: exp"),
        ("a.b", "is not a signed token"),
        ("", "is not a signed token"),
        ("!.!.!", "is not base64"),
    ],
)
def test_a_forged_or_foreign_token_is_refused(token: str, why: str):
    with pytest.raises(CompanionError, match="the ID token of") as caught:
        verify(token)
    assert why in str(caught.value)


def test_a_key_set_that_is_none_is_refused():
    with pytest.raises(CompanionError, match="the key set of"):
        verify(signed(CLAIMS), '{"keys": 1}')
