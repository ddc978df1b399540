"""What do the real agents talk to? A model over HTTPS that knows the protocols of all.

A prompt with `RUN<<COMMAND>>`, or "Run `COMMAND` and tell", makes it ask for a shell call and then
quote what that put out.
"""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from companion.plugins import instructions

USAGE = {
    "input_tokens": 1,
    "input_tokens_details": None,
    "output_tokens": 1,
    "output_tokens_details": None,
    "total_tokens": 2,
}
SHELLS = {
    "exec_command": "cmd",
    "bash": "command",
    "Bash": "command",
    "run_shell_command": "command",
}
"""What the agents call their shell, and its argument."""
KEYS = {"authorization": "Bearer ", "x-api-key": "", "x-goog-api-key": ""}
"""Headers that carry a key, and what stands before it."""
TOLD: tuple[str, set[str]] = ("a model is told where to read what may be reached", set())
NO_TURNS = {"additional_tools", "configuration_update", "reasoning"}
"""Types of what Codex sends besides messages, calls and their outputs."""

REVOKED = (
    b'{"type":"error","error":{"type":"authentication_error","message":"Invalid bearer token"}}'
)
"""What Anthropic answers to a token that is wrong, expired or revoked."""

Json = dict[str, Any]


def text_of(content: Any) -> str:
    """Return every text in a message's content."""
    if isinstance(content, list):
        return " ".join(map(text_of, content))
    if isinstance(content, dict):
        return " ".join(text_of(content[k]) for k in ("text", "content", "output") if k in content)
    return str(content)


def turn(turns: list[Json], tools: list[Json]) -> tuple[str, str]:
    """Return the name of the shell to call and a command, or "" and what to say."""
    last = next(t for t in reversed(turns) if t.get("role", "user") == "user")
    content = last.get("content", "")
    blocks = content if isinstance(content, list) else []
    results = [b for b in (last, *blocks) if re.search("_(output|result)$", b.get("type", ""))]
    if results:
        return "", f"The command said: {text_of(results).strip()}"
    shell = next((t["name"] for t in tools if t.get("name") in SHELLS), "")
    asked = re.search("(?:RUN<<|Run `)(.*?)(?:>>|` and tell)", text_of(content))
    return (shell, asked[1]) if shell and asked else ("", "Hello.")


def openai(request: Json) -> Iterator[Json]:
    """Yield the stream of one answer of the Responses API.

    For its newest models, Codex offers one tool that runs JavaScript, which calls the others.
    """
    given = [t for turn in request["input"] for t in turn.get("tools", [])]
    tools = request.get("tools", []) + [inner for t in given for inner in t.get("tools", [t])]
    turns = [t for t in request["input"] if t.get("type") not in NO_TURNS]
    scripts = any(t.get("type") == "custom" and t["name"] == "exec" for t in tools)
    shell, text = turn(turns, [{"name": "exec_command"}] if scripts else tools)
    at = {"output_index": 0, "item_id": "item_1", "content_index": 0}
    if shell and scripts:
        script = f"text((await tools.exec_command({{cmd: {json.dumps(text)}}})).output)"
        item = {"type": "custom_tool_call", "id": "item_1", "call_id": "call_1", "name": "exec"}
        item |= {"namespace": "functions", "input": script}
        yield {"type": "response.output_item.added", **at, "item": item}
    elif shell:
        call = {"type": "function_call", "id": "item_1", "call_id": "call_1", "name": shell}
        item = call | {"arguments": json.dumps({SHELLS[shell]: text})}
        yield {"type": "response.output_item.added", **at, "item": item}
    else:
        message = {"type": "message", "id": "item_1", "role": "assistant"}
        part = {"type": "output_text", "text": text}
        item = message | {"content": [part]}
        yield {"type": "response.output_item.added", **at, "item": message | {"content": []}}
        yield {"type": "response.content_part.added", **at, "part": part | {"text": ""}}
        yield {"type": "response.output_text.delta", **at, "delta": text}
    yield {"type": "response.output_item.done", **at, "item": item}
    done = {"id": "resp_1", "status": "completed", "usage": USAGE}
    yield {"type": "response.completed", "response": done}


def anthropic(request: Json) -> Iterator[Json]:
    """Yield the stream of one answer of the Messages API."""
    shell, text = turn(request["messages"], request.get("tools", []))
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    more = {"model": request["model"], "stop_reason": None, "usage": USAGE}
    if shell:
        block = {"type": "tool_use", "id": "toolu_1", "name": shell, "input": {}}
        arguments = json.dumps({SHELLS[shell]: text, "description": "what was asked for"})
        delta = {"type": "input_json_delta", "partial_json": arguments}
    else:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": text}
    end = {"stop_reason": "tool_use" if shell else "end_turn", "stop_sequence": None}
    yield {"type": "message_start", "message": message | more}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def gemini(request: Json) -> Iterator[Json]:
    """Yield the stream of one answer of the Gemini API."""
    turns = [as_turn(content) for content in request["contents"]]
    declared = [d for t in request.get("tools", []) for d in t.get("functionDeclarations", [])]
    shell, text = turn(turns, declared)
    call = {"functionCall": {"name": shell, "args": {SHELLS.get(shell, ""): text}}}
    content = {"role": "model", "parts": [call if shell else {"text": text}]}
    counts = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    yield {"candidates": [candidate], "usageMetadata": counts}


def as_turn(content: Json) -> Json:
    """Return one of Gemini's messages in the shape of the others'."""
    parts = content["parts"]
    results = [p["functionResponse"]["response"] for p in parts if "functionResponse" in p]
    if results:
        return {"role": "user", "content": [{"type": "tool_result", "content": str(results)}]}
    role = {"model": "assistant"}.get(content.get("role", "user"), "user")
    return {"role": role, "content": [part for part in parts if "text" in part]}


PROTOCOLS = {"/v1/responses": openai, "/v1/messages": anthropic, "/v1beta/models": gemini}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.note()
        self.reply(200 if self.path in {"/", "/api/hello"} else 404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.note() & self.server.revoked:  # type: ignore[attr-defined]
            self.reply(401, REVOKED)
            return
        if instructions.FILE.encode() in body:
            self.server.seen.append(TOLD)  # type: ignore[attr-defined]
        is_known = ":generateContent" not in self.path  # Gemini CLI's choice of a model
        answer = next((a for path, a in PROTOCOLS.items() if self.path.startswith(path)), None)
        if answer is None or not is_known:
            self.reply(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in answer(json.loads(body)):
            kind = f"event: {event['type']}\n" if "type" in event else ""
            self.wfile.write(f"{kind}data: {json.dumps(event)}\n\n".encode())

    def note(self) -> set[str]:
        """Remember what arrived as a key, of every request whatever it wanted; return it."""
        found = {self.headers[n].removeprefix(p) for n, p in KEYS.items() if n in self.headers}
        self.server.seen.append((self.path, found))  # type: ignore[attr-defined]
        return found

    def reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(
    address: str, certificates: dict[str, Path], revoked: AbstractSet[str] = frozenset()
) -> Iterator[list[tuple[str, set[str]]]]:
    """Serve on port 443, each host with its certificate; yield (path, keys) of each request.

    What needs a model is refused with a revoked key, also one that is revoked later.
    """
    server = ThreadingHTTPServer((address, 443), Handler)
    contexts = {}
    for host, certificate in certificates.items():
        contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[host].load_cert_chain(certificate)

    def choose(handshake: ssl.SSLObject, name: str, _: ssl.SSLContext) -> None:
        handshake.context = contexts.get(name, first)  # browsers ask for others

    first = next(iter(contexts.values()))
    first.sni_callback = choose
    server.socket = first.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.revoked = revoked  # type: ignore[attr-defined]
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
