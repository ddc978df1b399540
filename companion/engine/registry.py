"""Registry: what an image registry holds, and what is pushed to it, by the client of an engine.

So credentials, their helpers, mirrors and certificates are those that the user gave to the engine.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from companion.engine.connection import Connection
from companion.errors import Code, EngineError
from companion.system import builds, process
from companion.system.plain import plain

_ABSENT = re.compile(r"(?i:no such manifest|manifest unknown|name unknown|not found|\b404\b)")
_SINGLE = "Treating single images as manifest lists is not implemented"
"""What podman says of an image that is there, because it asks for images of many platforms."""
_NO_LOGIN = re.compile(r"no basic auth credentials|(?<!denied; )unauthorized: authentication req")
_DENIED = re.compile(r"(?i:no basic auth|unauthorized|authentication|denied|forbidden|\b40[13]\b)")
_PLAIN = "server gave HTTP response to HTTPS client"
_SILENT = re.compile(r"no such host|connection refused|tim(e|ed )out|no route|unreachable|\bEOF\b")
_PREFIX = re.compile(r"^(Error: |time=\S+ level=\w+ msg=)")
_ABOUT = re.compile(
    r"^((trying to reuse|checking whether a) blob \S+( at destination| exists in \S+)"
    r"|reading image \"[^\"]*\"|reading manifest \S+ in \S+|pinging container registry \S+"
    r"|failed to configure transport|error pinging v2 registry): "
)
_ATTEMPTS = 3
_SECONDS, _LONGEST = 30.0, 300
_HTTP_HINTS = {
    "docker": "if nobody else can listen, add it to `insecure-registries` of docker's daemon.json",
    "podman": "if nobody else can listen, add it to registries.conf with `insecure = true`",
}


@dataclass(frozen=True, slots=True)
class Registry(Connection):
    """The registries that one engine's client reaches, with the user's own logins."""

    def held(self, references: Collection[str]) -> frozenset[str]:
        """Return which of these images their registry holds; nothing is downloaded.

        A registry that hides from strangers whether an image exists holds none: a push finds out.

        Raises:
            EngineError: a registry does not answer, or wants a login and has none.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up time is a budget

        plain_http = self._speaking_http(references)
        with ThreadPoolExecutor(_ATTEMPTS) as asked:
            found = asked.map(lambda one: self._holds(one, insecure=one in plain_http), references)
            return frozenset(one for one, held in zip(references, found, strict=True) if held)

    def push(
        self,
        tag: str,
        reference: str,
        on_line: Callable[[str], None],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Push an image of the engine, by its tag there, under another name.

        `on_line` receives each line of the output; the push ends once `is_wanted` returns False.
        The engine keeps no such name.

        Raises:
            EngineError: the registry does not answer, refuses, or wants a login.
        """
        lines: list[str] = []

        def heed(line: str) -> None:
            lines.append(plain(line))
            on_line(line)

        self.call("tag", tag, reference)
        try:
            argv = self.argv("push", reference)
            code = builds.build(argv, heed, is_wanted, env=self.environment, builds_here=False)
        finally:
            with suppress(EngineError):
                self.call("rmi", reference)
        if code:
            raise refusal(self.choice.name, reference, lines, pushing=True)

    def _holds(self, reference: str, *, insecure: bool) -> bool:
        options = ("--insecure",) if insecure else ()
        argv = self.argv("manifest", "inspect", *options, reference)
        done = process.run(argv, env=self.environment, timeout=_SECONDS)
        said = plain(done.stderr)
        if done.code == 0 or _SINGLE in said:
            return True
        error = refusal(self.choice.name, reference, said.splitlines(), pushing=False)
        is_hidden = _DENIED.search(said) and not _NO_LOGIN.search(said)
        if _PLAIN not in said and (is_hidden or _ABSENT.search(error.log)):
            return False
        raise error

    def _speaking_http(self, references: Collection[str]) -> frozenset[str]:
        """Return the images whose registry docker's daemon trusts without TLS.

        Its client, which asks for manifests, has to be told. Podman reads registries.conf itself.
        """
        if self.choice.name != "docker" or not references:
            return frozenset()
        told = self.call("info", "--format", "{{json .RegistryConfig}}", timeout=self.patience)
        config: Mapping[str, Any] = json.loads(told) or {}
        return frozenset(one for one in references if is_insecure(host_of(one), config))


def host_of(reference: str) -> str:
    """Return the host and port of the registry in an image's name."""
    first, _, rest = reference.partition("/")
    is_host = rest and ("." in first or ":" in first or first == "localhost")
    return first if is_host else "docker.io"


def is_insecure(host: str, config: Mapping[str, Any]) -> bool:
    """Tell whether docker's daemon trusts a registry without TLS.

    Args:
        host: its name or address, with a port if it has one.
        config: `RegistryConfig` of `docker info`.
    """
    listed = (config.get("IndexConfigs") or {}).get(host)
    if listed is not None:
        return not listed.get("Secure", True)
    name = host.rpartition(":")[0] or host
    address = "127.0.0.1" if name == "localhost" else name
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        return any(found in net for net in _networks(config.get("InsecureRegistryCIDRs") or ()))
    return False


def _networks(texts: Collection[str]) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for text in texts:
        with suppress(ValueError):
            yield ipaddress.ip_network(text, strict=False)


def refusal(engine: str, reference: str, lines: Collection[str], *, pushing: bool) -> EngineError:
    """Return the error for a registry that an engine's client did not succeed with.

    Args:
        engine: the client: docker or podman.
        reference: the image's name.
        lines: all that it printed, without control characters.
        pushing: whether the image was pushed, instead of looked up.
    """
    host, log = host_of(reference), "\n".join(lines)
    said = next((line for line in reversed([*lines]) if line.strip()), "no reason given")
    reason = _PREFIX.sub("", said.strip())
    while about := _ABOUT.match(reason):
        reason = reason[about.end() :]
    reason = reason[:_LONGEST]
    if _PLAIN in reason:
        what = f"the registry {host} speaks HTTP only, which {engine} does not trust"
        return EngineError(what, _HTTP_HINTS[engine], log, code=Code.PULL_FAILED)
    if _SILENT.search(reason):
        what = f"the registry {host} does not answer: {reason}"
        hint = "check `registry` of the place in your settings, and that the registry runs"
        return EngineError(what, hint, log, code=Code.ENGINE_SILENT)
    deed = f"pushing {reference}" if pushing else f"reading {reference}"
    what = f"the registry {host} refuses {deed}: {reason}"
    if _DENIED.search(reason):
        hint = f"log in with `{engine} login {host}`, as a user who may push there"
        return EngineError(what, hint, log, code=Code.ENGINE_DENIED)
    return EngineError(what, "", log)
