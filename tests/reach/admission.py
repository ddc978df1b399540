"""A webhook by which a namespace admits no NET_ADMIN, as Pod Security does in later releases."""

import base64
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from node import Object, Space

_LABEL = "companion.test/restricted"
_VERSION = "admission.k8s.io/v1"


class _Review(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        refused = "NET_ADMIN" in json.dumps(asked["object"]["spec"])
        answer = {"uid": asked["uid"], "allowed": not refused}
        answer |= {"status": {"message": "no NET_ADMIN here"}} if refused else {}
        shown = {"apiVersion": _VERSION, "kind": "AdmissionReview", "response": answer}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(shown).encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def restricted(space: Space, directory: Path) -> Iterator[None]:
    """Let a namespace admit no Pod with NET_ADMIN meanwhile."""
    address = f"{space.cluster.registry.rpartition('.')[0]}.1"
    key, certificate = directory / "webhook.key", directory / "webhook.crt"
    for_it = ("-subj", "/CN=webhook", "-addext", f"subjectAltName=IP:{address}")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    argv = ("openssl", "req", "-x509", *new, "-keyout", key, "-out", certificate, *for_it)
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer((address, 0), _Review) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook = _webhook(space.name, address, server.server_port, certificate.read_bytes())
        try:
            space.cluster.apply(hook)
            space.cluster.kubectl("label", "namespace", space.name, f"{_LABEL}=yes").ok()
            yield
        finally:
            space.cluster.kubectl("label", "namespace", space.name, f"{_LABEL}-")
            space.cluster.kubectl("delete", "validatingwebhookconfiguration", space.name)
            server.shutdown()


def _webhook(name: str, address: str, port: int, authority: bytes) -> Object:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    bundle = base64.b64encode(authority).decode()
    hook = {
        "name": "restricted.companion.test",
        "clientConfig": {"url": f"https://{address}:{port}/", "caBundle": bundle},
        "rules": [{"operations": ["CREATE"], **pods}],
        "namespaceSelector": {"matchLabels": {_LABEL: "yes"}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [hook],
    }
