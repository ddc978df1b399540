"""Login: whether a model's vendor accepts a secret, by one harmless request to its host."""

import json
from enum import Enum
from typing import NamedTuple

from companion.oauth.web import Response, Web
from companion.plugins.login import Credential

_OK, _BAD, _UNKNOWN, _TOO_MANY = 200, 400, 401, 429
_LONGEST = 200
# Bodies of refusals that are none of the secret: the vendor has no such request for this kind.
_NOT_FOR_THIS_KIND = "not supported"
# Google answers 400 to an unknown key.
_GOOGLES_UNKNOWN = "API_KEY_INVALID"


class Verdict(Enum):
    """What a vendor says of a secret."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    """The vendor answered, but not whether the secret is valid."""


class Answer(NamedTuple):
    """A verdict, and the vendor's own words if it is not clear."""

    verdict: Verdict
    said: str = ""


def ask(credential: Credential, secret: str, web: Web) -> Answer:
    """Ask the vendor for its list of models, with the secret.

    Raises:
        CompanionError: the host does not answer.
    """
    headers = {credential.header: credential.prefix + secret, **dict(credential.also)}
    return judge(web.get(credential.url, headers), secret)


def judge(response: Response, secret: str) -> Answer:
    """Return what a response means; the vendor's words are left out if they repeat the secret."""
    said = f"{response.status} {_message(response.text)}".strip()
    said = said if secret not in said else str(response.status)
    match response.status:
        case status if status in {_OK, _TOO_MANY}:
            return Answer(Verdict.ACCEPTED)
        case status if status == _UNKNOWN and _NOT_FOR_THIS_KIND not in response.text:
            return Answer(Verdict.REJECTED, said)
        case status if status == _BAD and _GOOGLES_UNKNOWN in response.text:
            return Answer(Verdict.REJECTED, said)
        case _:
            return Answer(Verdict.UNCLEAR, said)


def _message(text: str) -> str:
    """Return the message of a vendor's error, in one line: all three have `error.message`."""
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    plain = "".join(char if char.isprintable() else " " for char in str(message))
    return " ".join(plain.split())[:_LONGEST]
