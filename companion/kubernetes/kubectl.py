"""Kubectl: how to call the user's client of a cluster, and what it means if that fails."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from companion.engine.model import ClusterChoice, Command
from companion.errors import Code, CompanionError, EngineError
from companion.spec.identity import digest
from companion.system import assets, process
from companion.system.process import NOT_STARTED, TIMED_OUT, Completed

FAST, SLOW = 8.0, 120.0
"""Seconds for an answer to a short question (a silent cluster is named within 10 s), and others."""
_REASON = 400
_FIELDS = (
    "server", "certificate-authority-data", "tls-server-name", "proxy-url",
    "insecure-skip-tls-verify",
)  # fmt: skip
_ENTRY = "jsonpath=" + '{"\\n"}'.join(f"{{.clusters[0].cluster.{field}}}" for field in _FIELDS)
"""How a kubeconfig leads to a cluster, a line each; no credentials are among them."""
_SILENT = re.compile(
    r"Unable to connect to the server|was refused - did you specify|dial tcp|i/o timeout"
    r"|context deadline exceeded|TLS handshake timeout|net/http: |no such host"
)
_UNPROVEN = re.compile(r"\bx509: |tls: failed to verify")
_SPEECH = re.compile(r"^(error: |Error from server( \(\w+\))?: |Unable to connect to the server: )")
_DENIED = re.compile(r"cannot \w+ resource|is forbidden: *$")
"""A right is missing; servers do not always say which one."""
_FORBIDDEN = "Error from server (Forbidden)"
_UNKNOWN = re.compile(r"Unauthorized|must be logged in|getting credentials|exec plugin")


@dataclass(frozen=True, slots=True)
class Entry:
    """The cluster that a context means."""

    server: str
    """The address of its API server."""
    seal: str
    """A digest of all that leads there: addresses such as https://127.0.0.1:6443 are many's."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The user's kubectl, with the context and the namespace of a place."""

    choice: ClusterChoice

    @property
    def environment(self) -> dict[str, str | None]:
        """Its variables: the recorded kubeconfig, whatever is set today."""
        return _variables(self.choice.environment)

    def command(self, *arguments: str) -> Command:
        """Return the command line for `arguments`.

        Raises:
            CompanionError: the context means another server now.
        """
        self._require_pinned()
        where = ("--context", self.choice.context, "--namespace", self.choice.namespace)
        return Command((self.choice.binary, *where, *arguments), self.environment)

    def call(self, *arguments: str, timeout: float = SLOW, stdin: str | None = None) -> str:
        """Run it and return its output.

        Raises:
            EngineError: it failed or did not answer in time (seconds).
            CompanionError: the context means another server now.
        """
        command = self.command(*arguments)
        argv, env = command.argv, command.environment
        done = process.run(argv, env=env, timeout=timeout, stdin=stdin)
        if done.code:
            raise self.failure(arguments, done)
        return done.stdout

    def ask(self, *arguments: str, stdin: str | None = None) -> str:
        """Do the same for a short question."""
        return self.call(
            *arguments, f"--request-timeout={FAST:.0f}s", timeout=FAST + 1, stdin=stdin
        )

    def failure(self, arguments: Sequence[str], done: Completed) -> EngineError:
        """Return the error for a failed call."""
        log = (done.stderr or done.stdout).strip()
        reason = _reason(log, spoken=arguments[0] != "exec")
        where = f"the cluster of {self.choice.label}"
        if done.code == NOT_STARTED:
            hint = "install kubectl, whose kubeconfig has the place's context"
            return EngineError(f"kubectl does not start: {reason}", hint, log, code=Code.NO_ENGINE)
        if done.code == TIMED_OUT:
            return _silent(f"{where} does not answer in time", log)
        # What runs in a Pod must not be taken for the cluster's own words: those come last.
        told = log if arguments[0] != "exec" else log.rpartition("\n")[2]
        if said := self._refusal(where, reason, told):
            return said
        return EngineError(f"kubectl {arguments[0]} failed: {reason}", "", log)

    def _refusal(self, where: str, reason: str, log: str) -> EngineError | None:
        """Return what it means that the whole cluster refuses, if it does."""
        if _UNKNOWN.search(log):
            what = f"{where} does not accept your credentials: {reason}"
            hint = f"log in to it, until `kubectl --context {self.choice.context} get pods` works"
            return EngineError(what, hint, log, code=Code.ENGINE_DENIED)
        if _UNPROVEN.search(log):
            what = f"{where} does not prove that it is the one you mean: {reason}"
            hint = (
                "check the certificate authority in your kubeconfig, this desktop's clock, and who"
                " is between you and the cluster"
            )
            return EngineError(what, hint, log, code=Code.ENGINE_SILENT)
        if _SILENT.search(log):
            return _silent(f"{where} does not answer: {reason}", log)
        if _DENIED.search(reason):
            hint = f"check the place's namespace, or ask its administrator for the Role in {role()}"
        elif _FORBIDDEN in log:
            hint = "ask the administrator of its namespace"
        else:
            return None
        what = f"{where} refuses: {reason.removesuffix(':')}"
        return EngineError(what, hint, log, code=Code.ENGINE_DENIED)

    def require_answer(self) -> None:
        """Check that the cluster responds, and lets our user look into the namespace.

        Raises:
            CompanionError: it does not; the message has its own reason.
        """
        self.ask("get", "pods", "--selector=dev.companion.project=none", "--output=name")

    def _require_pinned(self) -> None:
        """Check that the context still means the server that was recorded, before it is asked.

        Raises:
            CompanionError: it means another one, or is gone.
        """
        now, known = entry(self.choice), self.choice
        if (now.server, now.seal) != (known.server, known.seal):
            context, place = known.context, known.place
            what = f"kubectl's context {context} means {now.server} now, not {known.server}"
            if now.server == known.server:
                by = "another certificate authority or proxy"
                what = f"kubectl's context {context} reaches {now.server} by {by} now"
            hint = (
                f"point it back; or run `companion down --abandon`, which forgets what is there,"
                f" and `companion up`, which starts anew where {place} is now"
            )
            raise EngineError(what, hint, code=Code.ENGINE_SILENT)


def role() -> str:
    """Return where the Role lies that our user needs."""
    return str(assets.assets_directory() / "kubernetes" / "role.yaml")


def _reason(log: str, *, spoken: bool) -> str:
    """Return kubectl's own last words, which advice may follow; or the last line of a program."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = [line for line in lines if _SPEECH.match(line)] if spoken else []
    return _SPEECH.sub("", (said or lines or ["no reason given"])[-1])[:_REASON]


def _silent(what: str, log: str) -> EngineError:
    hint = "check that it runs, and that `kubectl` reaches it from here"
    return EngineError(what, hint, log, code=Code.ENGINE_SILENT)


def entry(choice: ClusterChoice) -> Entry:
    """Return the cluster that a context means now. No server is asked.

    Raises:
        CompanionError: the user's kubeconfig has no such context, or kubectl does not start.
    """
    return _entry(choice.binary, choice.context, choice.environment, _stamps(choice))


def _variables(recorded: tuple[tuple[str, str], ...]) -> dict[str, str | None]:
    """Return kubectl's variables: no preferences of the user's change what our commands do."""
    return {"KUBECONFIG": None, "KUBERC": "off", **dict(recorded)}


@lru_cache
def _entry(
    binary: str, context: str, environment: tuple[tuple[str, str], ...], _stamps: object
) -> Entry:
    view = ("config", "view", "--minify", "--raw", "--flatten", "--output", _ENTRY)
    argv = (binary, "--context", context, *view)
    done = process.run(argv, env=_variables(environment), timeout=FAST)
    server = done.stdout.partition("\n")[0].strip()
    if done.code or not server:
        lines = (done.stderr.strip() or "it names no server").splitlines()
        what = f"kubectl does not know the context {context}: {_SPEECH.sub('', lines[-1])}"
        hint = "`kubectl config get-contexts` shows its names"
        raise CompanionError(what, hint, code=Code.NO_ENGINE)
    return Entry(server, digest(done.stdout.strip()))


def _stamps(choice: ClusterChoice) -> tuple[tuple[str, int], ...]:
    """Return when each kubeconfig was written: what one says is remembered until then."""
    listed = dict(choice.environment).get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    found: list[tuple[str, int]] = []
    for name in listed.split(os.pathsep):
        try:
            found.append((name, Path(name).stat().st_mtime_ns))
        except OSError:
            found.append((name, 0))
    return tuple(found)
