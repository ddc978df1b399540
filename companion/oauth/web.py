"""HTTPS requests to OAuth servers and models' vendors: the only code that sends HTTP to others."""

import http.client
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
from companion.system import authorities

_LIMIT = 1 << 20
_NEXT = "check your network, then try again"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; its text may contain tokens."""

    status: int
    text: str = field(repr=False)
    is_json: bool
    challenge: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Returns redirects as responses: no server may send us, or our secrets, elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""


@dataclass(frozen=True, slots=True)
class Web:
    """Sends requests to servers."""

    trusted: bytes = b""
    """CA certificates in PEM, trusted in addition to the system's."""
    patience: float = 20.0
    """Seconds within which a response must be complete."""

    def challenge(self, url: str) -> str:
        """Return the WWW-Authenticate header of a server, "" without one."""
        return self._ask(url, None, {}, limit=0).challenge  # an event stream never ends

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Response:
        """Send a GET request."""
        return self._ask(url, None, headers or {})

    def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Response:
        """Post a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask(url, urlencode(form).encode(), {**headers, **kind})

    def post_json(self, url: str, text: str) -> Response:
        """Post JSON."""
        return self._ask(url, text.encode(), {"Content-Type": "application/json"})

    def _ask(
        self, url: str, body: bytes | None, headers: Mapping[str, str], limit: int = _LIMIT
    ) -> Response:
        """Return the response, whatever its status.

        Raises:
            CompanionError: the URL is not https, or no complete response came in time.
        """
        if not is_safe(url):
            raise CompanionError(f"{url} is not an https URL", "OAuth servers must use HTTPS")
        own = {"Accept": "application/json", "User-Agent": f"companion/{__version__}"}
        request = urllib.request.Request(url, body, {**own, **headers})  # noqa: S310 - https only
        outcomes: SimpleQueue[Response | CompanionError] = SimpleQueue()
        # A socket's timeout starts anew with each byte, so the request runs in another thread.
        worker = threading.Thread(
            target=lambda: outcomes.put(self._outcome(request, limit)), daemon=True
        )
        worker.start()
        try:
            outcome = outcomes.get(timeout=self.patience)
        except Empty:
            what = f"{request.host} did not complete its response within {self.patience:.0f} s"
            raise CompanionError(what, _NEXT) from None
        if isinstance(outcome, CompanionError):
            raise outcome
        return outcome

    def _outcome(self, request: urllib.request.Request, limit: int) -> Response | CompanionError:
        try:
            with self._open(request) as response:
                data = response.read(limit + 1) if limit else b""
                if len(data) > limit:
                    what = f"{request.host} responded with more than 1 MiB"
                    return CompanionError(what, "check the server's URL")
                return _decoded(response, data)
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            return CompanionError(f"{request.host} does not answer: {reason}", _NEXT)
        except (http.client.HTTPException, ValueError) as error:
            # Only its type: its text may repeat what we sent.
            kind = type(error).__name__
            return CompanionError(f"{request.host} sent an invalid HTTP response: {kind}", _NEXT)

    def _open(self, request: urllib.request.Request) -> urllib.response.addinfourl:
        context = authorities.context()
        if self.trusted:
            context.load_verify_locations(cadata=self.trusted.decode())
        secure = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(secure, _NoRedirects)
        try:
            response: urllib.response.addinfourl = opener.open(request, timeout=self.patience)
        except urllib.error.HTTPError as error:
            return error
        return response


def _decoded(response: urllib.response.addinfourl, data: bytes) -> Response:
    headers = response.headers
    return Response(
        status=response.status or 0,
        text=data.decode(errors="replace"),
        is_json="json" in (headers.get("Content-Type") or ""),
        challenge=headers.get("WWW-Authenticate") or "",
    )
