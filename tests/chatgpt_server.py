"""OpenAI's servers, as its documents on Sign in with ChatGPT describe them; the user says yes."""

import base64
import hashlib
import json
import re
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import model
from connect_proxy import led
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from desk import Desk
from sandboxes import trusted_authority

from companion.reconcile import certificates

CANARY = "canary-7f31"
"""In every token and code that the servers make."""
ISSUER, API = "https://auth.openai.com", "https://api.openai.com/v1"
HOSTS = ("auth.openai.com", "api.openai.com")
SCOPES = "openid profile email offline_access resource.invoke chatgpt.tokens.use.direct"
UNSUPPORTED = {
    "background", "conversation", "max_output_tokens", "max_tool_calls", "metadata", "moderation",
    "multi_agent", "previous_response_id", "prompt", "prompt_cache_retention", "safety_identifier",
    "temperature", "top_logprobs", "top_p", "truncation", "user",
}  # fmt: skip
"""Fields of a request that a plan does not include: "Preview limitations"."""
_REDIRECT = re.compile(r"http://127\.0\.0\.1:\d+/auth/callback")
Form = dict[str, str]


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return a key that signs ID tokens; each name has its own."""
    assert name
    return rsa.generate_private_key(65537, 2048)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: dict[str, object], header: dict[str, str] | None = None, by: str = "one") -> str:
    """Return a JSON Web Token."""
    parts = ({"alg": "RS256", "kid": "one"} | (header or {}), claims)
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    signature = rsa_key(by).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{encoded(signature)}"


def key_set() -> str:
    """Return the public key of "one" as a JSON Web Key Set."""
    numbers = rsa_key("one").public_key().public_numbers()
    parts = {"n": encoded(numbers.n.to_bytes(256, "big")), "e": encoded(b"\x01\x00\x01")}
    return json.dumps({"keys": [{"kty": "RSA", "kid": "one", "alg": "RS256", **parts}]})


@dataclass
class OpenAI:
    """The servers, what they were asked, and how they behave."""

    subject: str = "user-1"
    lifetime: float = 3600
    scope: str = SCOPES
    is_eligible: bool = True
    claims: dict[str, object] = field(default_factory=dict)
    """What the ID token says otherwise."""
    asked: list[tuple[str, dict[str, str], Form]] = field(default_factory=list)
    """Host and path, headers, and form or query of each request."""
    clients: dict[str, str] = field(default_factory=dict)
    """Issued client → the host that it is registered for."""
    codes: dict[str, Form] = field(default_factory=dict)
    access: dict[str, str] = field(default_factory=dict)
    """Access token → client."""
    refresh: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    unfit: list[str] = field(default_factory=list)
    """Why requests for the model were refused."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forms(self, kind: str) -> list[Form]:
        """Return what was asked of the token endpoint."""
        return [f for path, _, f in self.asked if f.get("grant_type") == kind]

    def logins(self) -> list[Form]:
        """Return what browsers were sent with."""
        return [f for path, _, f in self.asked if path == "auth.openai.com/api/accounts/authorize"]

    def turns(self) -> list[dict[str, str]]:
        """Return the headers of each request to the model."""
        return [headers for path, headers, _ in self.asked if path.endswith("/v1/responses")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def openai(self) -> OpenAI:
        return self.server.openai  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        place = self._note(path, dict(parse_qsl(query)))
        match place:
            case "auth.openai.com/.well-known/jwks.json":
                self._send(200, key_set())
            case "auth.openai.com/api/accounts/authorize":
                self._authorize(dict(parse_qsl(query)))
            case "api.openai.com/v1/models":
                self._models()
            case _:
                self._refuse(404, "not_found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        is_form = "form" in self.headers.get("Content-Type", "")
        place = self._note(self.path, dict(parse_qsl(body)) if is_form else {})
        match place:
            case "auth.openai.com/api/accounts/oauth/token":
                with self.openai.lock:
                    self._token(dict(parse_qsl(body)))
            case "api.openai.com/v1/responses":
                self._respond(json.loads(body))
            case _:
                self._refuse(404, "not_found")

    def _note(self, path: str, form: Form) -> str:
        place = f"{self.headers['Host'].partition(':')[0]}{path}"
        self.openai.asked.append((place, {k.lower(): v for k, v in self.headers.items()}, form))
        return place

    def _authorize(self, asked: Form) -> None:
        openai, client, host = self.openai, asked["client_id"], asked["ext_agent_host_id"]
        assert asked["code_challenge_method"] == "S256"
        assert asked["resource"] == API
        assert asked["scope"] == SCOPES
        assert _REDIRECT.fullmatch(asked["redirect_uri"])
        answer = {"state": asked["state"]}
        if client == "dynamic_agent_client":
            assert asked["agent_name_hint"] == "Companion"
            client = f"oaiapp_{secrets.token_hex(8)}"
            openai.clients[client] = host
            answer["client_id"] = client
        assert openai.clients[client] == host
        answer["code"] = f"{CANARY}-code-{secrets.token_hex(8)}"
        openai.codes[answer["code"]] = asked | {"client_id": client}
        self._send(302, "{}", {"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    def _token(self, form: Form) -> None:
        openai, client = self.openai, form["client_id"]
        if client not in openai.clients:
            self._refuse(401, "invalid_client")
        elif form["grant_type"] == "authorization_code":
            asked = openai.codes.pop(form["code"])
            digest = encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
            same = ("client_id", "redirect_uri", "resource")
            assert digest == asked["code_challenge"]
            assert [form[name] for name in same] == [asked[name] for name in same]
            self._give(client, {"id_token": self._id_token(client, asked["nonce"])})
        elif openai.refresh.get(form["refresh_token"]) == client and form["resource"] == API:
            openai.used.add(form["refresh_token"])
            del openai.refresh[form["refresh_token"]]
            self._give(client, {})
        else:
            reused = form["refresh_token"] in openai.used
            self._refuse(400, "refresh_token_reused" if reused else "refresh_token_invalidated")

    def _id_token(self, client: str, nonce: str) -> str:
        openai, now = self.openai, time.time()
        claims: dict[str, object] = {"iss": ISSUER, "aud": client, "sub": openai.subject}
        claims |= {"iat": now, "exp": now + 600, "nonce": nonce, "email": "me@example.com"}
        return signed(claims | openai.claims)

    def _give(self, client: str, more: Form) -> None:
        openai = self.openai
        access, refresh = (f"{CANARY}-{n}-{secrets.token_hex(8)}" for n in ("access", "refresh"))
        openai.access[access] = openai.refresh[refresh] = client
        given = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        given |= {"scope": openai.scope, **more}
        self._send(200, json.dumps({**given, "expires_in": openai.lifetime}))

    def _is_admitted(self) -> bool:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.openai.access:
            self._refuse(401, "subscription_sharing_invalid_user")
        elif not self.openai.is_eligible:
            self._refuse(403, "subscription_sharing_user_not_eligible")
        else:
            return True
        return False

    def _models(self) -> None:
        if self._is_admitted():
            self._send(200, json.dumps({"models": [{"slug": "m", "visibility": "list"}]}))

    def _respond(self, request: model.Json) -> None:
        if not self._is_admitted():
            return
        if why := unfit(request):
            self.openai.unfit.append(why)
            self._refuse(400, "subscription_sharing_unsupported_capability")
            return
        events = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in model.openai(request))
        self._send(200, "".join(events), {"Content-Type": "text/event-stream"})

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, json.dumps({"error": {"code": code, "message": "no"}}))

    def _send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def unfit(request: model.Json) -> str:
    """Return why a plan does not include a request to the model, "" if it does."""
    if request.get("store") is not False or request.get("stream") is not True:
        return "store or stream"
    if not isinstance(request.get("input"), list):
        return "input is no array"
    if flat := [t for t in request.get("tools", []) if t.get("type") in {"function", "custom"}]:
        return f"tools outside of a namespace: {[tool.get('name') for tool in flat]}"
    return ", ".join(UNSUPPORTED & request.keys())


@contextmanager
def openai_servers(desk: Desk, address: str = "127.0.0.1", port: int = 0) -> Iterator[OpenAI]:
    """Serve by the names of the real ones, which the desk trusts; its way there is a proxy."""
    authority, contexts = trusted_authority(desk), {}
    for host in HOSTS:
        certificate = desk.home / f"{host}.pem"
        certificate.write_text(certificates.issue(authority, host, datetime.now(UTC)))
        contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[host].load_cert_chain(certificate)

    def choose(handshake: ssl.SSLObject, name: str, _: ssl.SSLContext) -> None:
        handshake.context = contexts[name]

    server = ThreadingHTTPServer((address, port), _Handler)
    contexts[HOSTS[0]].sni_callback = choose
    server.socket = contexts[HOSTS[0]].wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.openai = OpenAI()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = [f"{host}:443" for host in HOSTS]
    try:
        with led(desk, (address, server.server_port), *names):
            yield server.openai  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def accounts_file(desk: Desk) -> Path:
    """Return the file that holds the grants of the desk's accounts."""
    return desk.paths.grants("accounts")
