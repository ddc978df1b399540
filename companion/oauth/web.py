"""How is a server asked by HTTPS? The only place on the desktop that speaks HTTP to others."""

import http.client
import ssl
import threading
import urllib.error
import urllib.request
import urllib.response
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from urllib.parse import urlencode

from companion import __version__
from companion.errors import CompanionError
from companion.oauth.answers import is_safe

_LIMIT = 1 << 20
_NEXT = "look at your network, and try again"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; there may be tokens in it."""

    status: int
    text: str = field(repr=False)
    is_json: bool
    challenge: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: nobody sends us, or what we know, elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


@dataclass(frozen=True, slots=True)
class Web:
    """Asks servers."""

    trusted: bytes = b""
    """CAs in PEM that count besides the system's."""
    patience: float = 20.0
    """Seconds in which a whole answer must have come, however slowly it does."""

    def challenge(self, url: str) -> str:
        """Return how a server asks who we are: its WWW-Authenticate header."""
        return self._ask(url, None, {}, limit=0).challenge  # a stream of events has no end

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

    def _ask(
        self, url: str, body: bytes | None, headers: Mapping[str, str], limit: int = _LIMIT
    ) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            CompanionError: it is no https address, or there was no whole answer in time.
        """
        if not is_safe(url):
            raise CompanionError(f"{url} is no https address", "only those are asked")
        own = {"Accept": "application/json", "User-Agent": f"companion/{__version__}"}
        request = urllib.request.Request(url, body, {**own, **headers})  # noqa: S310 - https only
        outcomes: SimpleQueue[Answer | CompanionError] = SimpleQueue()
        # A time-out of the socket's begins anew with each byte, so it is another thread that waits.
        asking = threading.Thread(
            target=lambda: outcomes.put(self._outcome(request, limit)), daemon=True
        )
        asking.start()
        try:
            outcome = outcomes.get(timeout=self.patience)
        except Empty:
            what = f"{request.host} does not come to the end of its answer"
            raise CompanionError(what, _NEXT) from None
        if isinstance(outcome, CompanionError):
            raise outcome
        return outcome

    def _outcome(self, request: urllib.request.Request, limit: int) -> Answer | CompanionError:
        try:
            with self._open(request) as answer:
                data = answer.read(limit + 1) if limit else b""
                if len(data) > limit:
                    what = f"{request.host} answers with more than a MiB"
                    return CompanionError(what, "that is no OAuth")
                return _decoded(answer, data)
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            return CompanionError(f"{request.host} does not answer: {reason}", _NEXT)
        except (http.client.HTTPException, ValueError) as error:
            # Only its kind: its text may repeat what we sent.
            kind = type(error).__name__
            return CompanionError(f"{request.host} answers no HTTP: {kind}", _NEXT)

    def _open(self, request: urllib.request.Request) -> urllib.response.addinfourl:
        context = ssl.create_default_context()
        if self.trusted:
            context.load_verify_locations(cadata=self.trusted.decode())
        secure = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(secure, _NoRedirects)
        try:
            answer: urllib.response.addinfourl = opener.open(request, timeout=self.patience)
        except urllib.error.HTTPError as error:
            return error
        return answer


def _decoded(answer: urllib.response.addinfourl, data: bytes) -> Answer:
    headers = answer.headers
    return Answer(
        status=answer.status or 0,
        text=data.decode(errors="replace"),
        is_json="json" in (headers.get("Content-Type") or ""),
        challenge=headers.get("WWW-Authenticate") or "",
    )
