#!/usr/bin/env python3
"""Stand-in for a model on your desktop: enough of the OpenAI Responses API for Codex.

A prompt that contains `run: COMMAND` makes the model request a shell call and then quote its
output. Every request is logged to requests.jsonl with the Authorization header that arrived.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

USAGE = {
    "input_tokens": 1,
    "input_tokens_details": None,
    "output_tokens": 1,
    "output_tokens_details": None,
    "total_tokens": 2,
}


def turns(request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (user or tool, text) for each turn of the conversation."""
    for item in request.get("input", []):
        if item.get("type", "message") == "message" and item.get("role") == "user":
            yield "user", " ".join(part.get("text", "") for part in item["content"])
        elif str(item.get("type", "")).endswith("_output"):
            yield "tool", str(item.get("output", ""))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the model's next item: a shell call if one was asked for, else a message."""
    who, text = list(turns(request))[-1]
    if who == "user" and "run: " in text:
        command = text.partition("run: ")[2].splitlines()[0]
        arguments = json.dumps({"cmd": command})
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1"}
        return call | {"name": "exec_command", "arguments": arguments}
    said = f"The command said: {text.strip()}" if who == "tool" else "Hello from your desktop."
    content = [{"type": "output_text", "text": said}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


def events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the stream of one response."""
    response: dict[str, Any] = {"id": "resp_1"}
    yield {"type": "response.created", "response": response}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response | {"usage": USAGE}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = itertools.count(1)

    def do_GET(self) -> None:
        self.remember()
        self.reply(404, {"error": {"message": "only POST /v1/responses is served"}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.remember()
        if self.server.key and key != f"Bearer {self.server.key}":  # type: ignore[attr-defined]
            self.reply(401, {"error": {"message": "wrong key"}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in events(answer(json.loads(body))):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.close_connection = True

    def remember(self) -> str:
        key = self.headers.get("Authorization", "")
        line = {"number": next(self.numbers), "path": self.path, "authorization": key}
        with Path(self.server.log).open("a", encoding="utf-8") as log:  # type: ignore[attr-defined]
            log.write(json.dumps(line) + "\n")
        print(f"{self.command} {self.path} with {key or 'no key'}", flush=True)
        return key

    def reply(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, help="see `companion status --json`: host_address")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--log", default="requests.jsonl")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer((arguments.host, arguments.port), Handler)
    server.log = arguments.log  # type: ignore[attr-defined]
    # Without a key in the environment every key is welcome; argv would show it to everybody.
    server.key = os.environ.get("MODEL_API_KEY", "")  # type: ignore[attr-defined]
    print(f"serving on http://{arguments.host}:{arguments.port}/v1", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
