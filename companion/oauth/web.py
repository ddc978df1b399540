"""How is a server asked by HTTPS? The only place on the desktop that speaks HTTP to others."""

import http.client
import ssl
import time
import urllib.error
import urllib.request
import urllib.response
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from companion import __version__
from companion.errors import CompanionError
from companion.oauth.answers import is_safe

_SILENCE = 10.0
_PATIENCE = 20.0
_LIMIT = 1 << 20
_PIECE = 1 << 16
_NEXT = "look at your network, and try again"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    text: str
    is_json: bool
    challenge: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: nobody sends us, or what we know, elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


@dataclass(frozen=True, slots=True)
class Web:
    """Asks servers; `trusted` has CAs in PEM that count besides the system's."""

    trusted: bytes = b""

    def get(self, url: str) -> Answer:
        """Ask for what is at an address."""
        return self._ask(url, None, {})

    def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask(url, urlencode(form).encode(), {**headers, **kind})

    def post_json(self, url: str, text: str) -> Answer:
        """Send JSON."""
        return self._ask(url, text.encode(), {"Content-Type": "application/json"})

    def _ask(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            CompanionError: it is no https address, or there was no whole answer in time.
        """
        if not is_safe(url):
            raise CompanionError(f"{url} is no https address", "only those are asked")
        own = {"Accept": "application/json", "User-Agent": f"companion/{__version__}"}
        request = urllib.request.Request(url, body, {**own, **headers})  # noqa: S310 - https only
        try:
            with self._open(request) as answer:
                return _read(url, answer)
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise CompanionError(f"{_host(url)} does not answer: {reason}", _NEXT) from None
        except (http.client.HTTPException, ValueError) as error:
            # Only its kind: its text may repeat what we sent.
            kind = type(error).__name__
            raise CompanionError(f"{_host(url)} answers no HTTP: {kind}", _NEXT) from None

    def _open(self, request: urllib.request.Request) -> urllib.response.addinfourl:
        context = ssl.create_default_context()
        if self.trusted:
            context.load_verify_locations(cadata=self.trusted.decode())
        secure = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(secure, _NoRedirects)
        try:
            answer: urllib.response.addinfourl = opener.open(request, timeout=_SILENCE)
        except urllib.error.HTTPError as error:
            return error
        return answer


def _read(url: str, answer: urllib.response.addinfourl) -> Answer:
    """Read an answer to its end, unless it has none."""
    end, pieces, size = time.monotonic() + _PATIENCE, [], 0
    while piece := answer.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > _LIMIT:
            raise CompanionError(f"{_host(url)} answers with more than a MiB", "that is no OAuth")
        if time.monotonic() > end:
            raise CompanionError(f"{_host(url)} does not come to the end of its answer", _NEXT)
    headers = answer.headers
    return Answer(
        status=answer.status or 0,
        text=b"".join(pieces).decode(errors="replace"),
        is_json="json" in (headers.get("Content-Type") or ""),
        challenge=headers.get("WWW-Authenticate") or "",
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc
