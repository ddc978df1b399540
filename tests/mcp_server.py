"""An MCP server and its authorization server, over HTTPS; tests set what they shall do wrong."""

import base64
import hashlib
import json
import secrets
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from desk import Desk

CANARY = "canary-0a47"
"""In every token, code and secret that the server makes."""
BROWSER = """\
#!{python} -I
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="{trusted}")
try:
    with urllib.request.urlopen(sys.argv[1], context=context, timeout=20) as page:
        said = str(page.status) + " " + page.read().decode()
except urllib.error.HTTPError as error:
    said = str(error.code)
with open("{log}", "a") as log:
    print(sys.argv[1], said, file=log)
"""


@dataclass
class Mcp:
    """A server, what it was asked, and how it behaves."""

    origin: str
    lifetime: float = 3600
    rotates: bool = True
    renews: bool = True
    """It gives refresh tokens."""
    metadata: dict[str, object] = field(default_factory=dict)
    """What the metadata says otherwise; None: it says nothing of it."""
    resource: dict[str, object] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    """What the browser is sent back with otherwise."""
    strays: list[dict[str, str]] = field(default_factory=list)
    """What the browser is sent back with before the real answer."""
    token_answer: tuple[int, dict[str, str]] | None = None
    """Status and headers instead of tokens; its body repeats what was asked."""
    drops: bool = False
    """It hangs up on who wants tokens."""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    """Path, headers and form of each request."""
    clients: dict[str, str] = field(default_factory=dict)
    """Client → its secret."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    access: dict[str, str] = field(default_factory=dict)
    """Access token → client."""
    refresh: dict[str, str] = field(default_factory=dict)
    spent: list[str] = field(default_factory=list)
    """Refresh tokens that were used once more after they were rotated."""
    used: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def forms(self, kind: str) -> list[dict[str, str]]:
        """Return what was asked of the token endpoint."""
        return [f for p, _, f in self.asked if p == "/token" and f.get("grant_type") == kind]

    def bearers(self) -> list[str]:
        """Return what the MCP server itself was shown."""
        return [h.get("authorization", "") for path, h, _ in self.asked if path == "/mcp"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def mcp(self) -> Mcp:
        return self.server.mcp  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self._note(path, dict(parse_qsl(query)))
        mcp = self.mcp
        match path:
            case "/.well-known/oauth-protected-resource/mcp":
                named = {"resource": mcp.url, "authorization_servers": [f"{mcp.origin}/as"]}
                self._json(200, named | mcp.resource)
            case "/.well-known/oauth-authorization-server/as":
                self._json(200, _metadata(mcp))
            case "/as/authorize":
                self._authorize(dict(parse_qsl(query)))
            case "/mcp":
                self._serve()
            case _:
                self._json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = json.loads(body) if "json" in self.headers["Content-Type"] else parse_qs(body)
        plain = {k: v if isinstance(v, str) else v[0] for k, v in form.items()}
        self._note(self.path, plain)
        match self.path:
            case "/register":
                self._register(form["redirect_uris"][0])
            case "/token":
                with self.mcp.lock:
                    self._token(plain)
            case "/mcp":
                self._serve()
            case _:
                self._json(404, {})

    def _note(self, path: str, form: dict[str, str]) -> None:
        self.mcp.asked.append((path, {k.lower(): v for k, v in self.headers.items()}, form))

    def _serve(self) -> None:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") in self.mcp.access:
            self._json(200, {"jsonrpc": "2.0", "id": 1, "result": {}})
        else:
            about = f"{self.mcp.origin}/.well-known/oauth-protected-resource/mcp"
            self._json(401, {}, {"WWW-Authenticate": f'Bearer resource_metadata="{about}"'})

    def _register(self, redirect: str) -> None:
        client = secrets.token_hex(8)
        self.mcp.clients[client] = ""
        self._json(201, {"client_id": client, "redirect_uris": [redirect]})

    def _authorize(self, asked: dict[str, str]) -> None:
        """The user clicks yes at once."""
        mcp = self.mcp
        assert asked["client_id"] in mcp.clients
        assert asked["code_challenge_method"] == "S256"
        for stray in mcp.strays:
            wrong = {"code": "stray", "state": asked["state"]} | stray
            mcp.strays = []
            back = f"{self.path}&{urlencode({'again': '1'})}"
            self._redirect(asked["redirect_uri"], wrong) if stray else self._redirect(back, {})
            return
        code = f"{CANARY}-code-{secrets.token_hex(8)}"
        mcp.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": f"{mcp.origin}/as"}
        answer |= mcp.answer
        self._redirect(asked["redirect_uri"], {k: v for k, v in answer.items() if v})

    def _redirect(self, to: str, query: dict[str, str]) -> None:
        self._json(302, {}, {"Location": f"{to}?{urlencode(query)}"})

    def _token(self, form: dict[str, str]) -> None:
        mcp = self.mcp
        if mcp.drops:
            self.close_connection = True
            self.connection.close()
            return
        if mcp.token_answer:
            status, more = mcp.token_answer
            said = {"error": more.get("error", "invalid_request"), "error_description": str(form)}
            self._json(status, said, {k: v for k, v in more.items() if k != "error"})
            return
        client = self._client(form)
        if client is None:
            self._json(401, {"error": "invalid_client"})
        elif form["grant_type"] == "authorization_code" and self._proves(form, client):
            self._give(client)
        elif form["grant_type"] == "refresh_token" and self._renews(form, client):
            self._give(client, form["refresh_token"])
        else:
            self._json(400, {"error": "invalid_grant", "error_description": "no such grant"})

    def _client(self, form: dict[str, str]) -> str | None:
        shown = form.get("client_id", ""), form.get("client_secret", "")
        if self.headers.get("Authorization", "").startswith("Basic "):
            name, _, secret = (
                base64.b64decode(self.headers["Authorization"][6:]).decode().partition(":")
            )
            shown = name, secret
        return shown[0] if self.mcp.clients.get(shown[0]) == shown[1] else None

    def _proves(self, form: dict[str, str], client: str) -> bool:
        asked = self.mcp.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return asked is not None and (
            challenge,
            client,
            form["redirect_uri"],
            form["resource"],
        ) == (
            asked["code_challenge"],
            asked["client_id"],
            asked["redirect_uri"],
            asked["resource"],
        )

    def _renews(self, form: dict[str, str], client: str) -> bool:
        shown = form["refresh_token"]
        if shown in self.mcp.used:
            self.mcp.spent.append(shown)
        return self.mcp.refresh.get(shown) == client

    def _give(self, client: str, old: str = "") -> None:
        mcp = self.mcp
        access = f"{CANARY}-access-{secrets.token_hex(8)}"
        mcp.access[access] = client
        given: dict[str, object] = {"access_token": access, "token_type": "bearer"}
        given["expires_in"] = mcp.lifetime
        if mcp.renews and (mcp.rotates or not old):
            new = f"{CANARY}-refresh-{secrets.token_hex(8)}"
            mcp.refresh.pop(old, None)
            mcp.used.add(old)
            mcp.refresh[new] = client
            given["refresh_token"] = new
        self._json(200, given)

    def _json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _metadata(mcp: Mcp) -> dict[str, object]:
    usual: dict[str, Any] = {
        "issuer": f"{mcp.origin}/as",
        "authorization_endpoint": f"{mcp.origin}/as/authorize",
        "token_endpoint": f"{mcp.origin}/token",
        "registration_endpoint": f"{mcp.origin}/register",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
    return {k: v for k, v in (usual | mcp.metadata).items() if v is not None}


@contextmanager
def mcp_server(
    certificate: Path, host: str = "localhost", address: str = "127.0.0.1", port: int = 0
) -> Iterator[Mcp]:
    """Serve at a port of an address, 0 for a free one, by the name in the certificate."""
    server = ThreadingHTTPServer((address, port), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    mcp = Mcp(f"https://{host}:{server.server_port}")
    server.mcp = mcp  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield mcp
    finally:
        server.shutdown()
        server.server_close()


def give_browser(desk: Desk) -> Path:
    """Make a browser that goes where it is sent; returns the file of where it was."""
    programs, log = desk.home / "browsers", desk.home / "browser.log"
    programs.mkdir(exist_ok=True)
    text = BROWSER.format(python=sys.executable, trusted=desk.home / "trusted.pem", log=log)
    (programs / "xdg-open").write_text(text)
    (programs / "xdg-open").chmod(0o755)
    desk.environment["PATH"] = f"{programs}:{desk.environment['PATH']}"
    return log
