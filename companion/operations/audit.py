"""Audit: harmless attacks on a sandbox from inside, and what the engine shows of it.

The attacks are `assets/agent/audit.sh`, run as the agent in its own container: a sandbox that is
compromised already may lie about them. What the engine shows cannot be changed from inside.
"""

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from companion.engine.model import ClusterChoice
from companion.errors import CompanionError
from companion.operations import audit_pods
from companion.operations.repository_check import of_agent
from companion.plugins.contribution import secrets
from companion.project import store
from companion.project.model import AgentRef
from companion.reconcile import secret_values
from companion.reconcile.compare import preview
from companion.reconcile.comparison import Comparison
from companion.sandbox import powers_text
from companion.sandbox.allocation import Allocation
from companion.spec.containers import INGRESS, Network, Service, Volume
from companion.spec.identity import Role
from companion.system import assets, files, mount_table
from companion.system.paths import Paths

_PATIENCE = 240.0
_TITLE = re.compile(r'^\s*try "([^"]+)"', re.MULTILINE)
_CHECK = "check: "
_INSIDE = "\ninside() {"
_NOBODY_LISTENS = 81
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_TELLING = 6
"""A secret that is shorter stands in many a text by chance."""


@dataclass(frozen=True, slots=True)
class AttackResult:
    """One attack, and whether the sandbox held; `detail` is what was said, if anything."""

    attack: str
    held: bool
    detail: str = ""

    @property
    def result(self) -> str:
        """What came of it, in a word or two."""
        if not self.held:
            return self.detail
        word = "works" if self.attack.startswith(_CHECK) else "held"
        return f"{word}: {self.detail}" if self.detail else word


@dataclass(frozen=True, slots=True)
class Audit:
    """What was tried on one agent, and what it may do because its config says so."""

    agent: str
    engine: str
    findings: tuple[AttackResult, ...]
    by_design: tuple[str, ...]


def audit(home: Paths, ref: AgentRef) -> Audit:
    """Attack a running sandbox from inside; nothing is changed and nothing stays.

    Raises:
        CompanionError: it does not run as agent.yaml says, or the attacks could not be made.
    """
    seen = preview(home, ref)
    name = seen.checked.config.name
    if seen.plan.steps:
        what = f"{name} does not run as agent.yaml says"
        raise CompanionError(what, "run `companion up` first; `companion plan` says what differs")
    return Audit(
        agent=name,
        engine=seen.engine.choice.name,
        findings=(*_attacked(home, seen), *_shown(home, seen)),
        by_design=tuple(f"it {powers_text.sentence(power)}" for power in seen.checked.powers),
    )


def _attacked(home: Paths, seen: Comparison) -> Iterator[AttackResult]:
    """Yield what came of each attack of audit.sh."""
    script = files.read_text(assets.assets_directory() / "agent" / "audit.sh") or ""
    guarded, kept = seen.checked.config.gateway, seen.record.allocation
    if isinstance(choice := seen.engine.choice, ClusterChoice):
        return _attacked_on_cluster(seen, choice, script)
    ingress = Network("", kept.egress_subnet, internal=False).address(INGRESS)
    with _listening(seen.desired.target.networks) as (address, port):
        arguments = ("all" if guarded else "inside", address, str(port), ingress)
        said = _run(seen, script, (*arguments, *_others(home, kept)))
    titles = _TITLE.findall(script if guarded else script.partition(_INSIDE)[2])
    return findings(titles, said)


def _attacked_on_cluster(
    seen: Comparison, choice: ClusterChoice, script: str
) -> Iterator[AttackResult]:
    (agent,) = json.loads(seen.engine.describe((seen.checked.config.name,)))
    around = audit_pods.surroundings(choice, agent)
    told = ("/usr/bin/env", f"COMPANION_ANSWER={around.answer}")
    titles = [one for one in _TITLE.findall(script) if around.tells or "UDP" not in one]
    return findings(titles, _run(seen, script, around.arguments, told))


def findings(titles: Collection[str], said: str) -> Iterator[AttackResult]:
    """Yield a finding for each title from the script's lines; no answer: it did not hold."""
    answers = dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)
    for title in titles:
        outcome, _, said = answers.get(title, "no answer").partition(": ")
        if title.startswith(_CHECK):
            works = outcome == "open"
            yield AttackResult(
                title, works, "" if works else "it does not: the results mean nothing"
            )
        elif outcome == "held":
            yield AttackResult(title, held=True, detail=_reason(said))
        else:
            yield AttackResult(title, held=False, detail=f"{outcome}: {said or 'done'}")


def _reason(said: str) -> str:
    """Return of a program's last words the reason: what the gateway said, or its last part."""
    return said if said.startswith("gateway: ") else said.rpartition(": ")[2]


def _run(
    seen: Comparison, script: str, arguments: Collection[str], before: Collection[str] = ()
) -> str:
    shell = (*before, "/bin/bash", "-s", "--", *arguments)
    login = seen.record.config.login
    return seen.engine.run_as_agent(login, *shell, stdin=script, timeout=_PATIENCE)


def _others(home: Paths, mine: Allocation) -> Iterator[str]:
    """Yield the addresses of the containers of all other sandboxes that we know."""
    for written in store.all_projects(home).values():
        for kept in (record.allocation for record in written.agents.values()):
            if kept.internal_subnet != mine.internal_subnet:
                outside = Network("", kept.egress_subnet, internal=False)
                inside = Network("", kept.internal_subnet, internal=True)
                yield from (outside.address(2), outside.address(INGRESS), inside.address(2),
                            inside.address(3), inside.address(INGRESS))  # fmt: skip


@contextmanager
def _listening(networks: Collection[Network]) -> Iterator[tuple[str, int]]:
    """Answer on the desktop's address on a sandbox's network meanwhile: a way there would be seen.

    Yields address and port; where the engine is on another machine, there is nobody to answer.
    """
    addresses = [network.address(1) for network in networks]
    with ExitStack() as stack:
        for address in addresses:
            with suppress(OSError):
                server = stack.enter_context(socket.create_server((address, 0)))
                port = server.getsockname()[1]
                datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                datagrams.bind((address, port))
                threading.Thread(target=_answer, args=(server,), daemon=True).start()
                yield address, port
                return
        yield addresses[0], _NOBODY_LISTENS


def _answer(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            caller, _ = server.accept()
            with caller:
                caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\ndesktop\n")


def _shown(home: Paths, seen: Comparison) -> Iterator[AttackResult]:
    """Yield what the engine shows of each container, beside what it was told."""
    services = seen.desired.target.services
    text = seen.engine.describe(service.name for service in services)
    pairs = list(zip(services, json.loads(text), strict=True))
    looks = judges(seen.engine.files)
    if isinstance(choice := seen.engine.choice, ClusterChoice):
        looks = audit_pods.judges()
        text = audit_pods.public_objects(choice, seen.engine.project, seen.engine.agent)
    for attack, judge in looks.items():
        wrong = [f"{s.name}: {said}" for s, data in pairs if (said := judge(s, data))]
        yield AttackResult(attack, not wrong, "; ".join(wrong))
    checked = seen.checked
    with suppress(CompanionError):  # the others are looked for all the same
        secret_values.fetch(home, checked.ref, checked.contribution, lambda _: None)
    wanted = secrets(checked.contribution)
    login, agent = seen.record.config.login, seen.desired.target.service(Role.AGENT)
    table = seen.engine.run_as_agent(login, "/bin/cat", "/proc/self/mountinfo", stdin="")
    gone = dropped(agent, table)
    hint = f"{gone}: replaced on the desktop; `companion restart` mounts it again"
    yield AttackResult("a mount that is gone", not gone, hint if gone else "")
    left = [*of_agent(home, seen.checked.project, seen.checked.config.name)]
    yield AttackResult("what git on the desktop would run or write to", not left, "; ".join(left))
    values = secret_values.resolve(home, checked.ref, checked.contribution, wanted)
    leaks = [secret.name for secret, value in values.items() if _is_in(text, value.reveal())]
    yield AttackResult("a secret in the engine's inspect output", not leaks, ", ".join(leaks))


def _is_in(text: str, value: str) -> bool:
    """Tell whether a text has a secret in it, as it is or in base64."""
    forms = (value, base64.b64encode(value.encode()).decode().rstrip("="))
    return len(value) >= _TELLING and any(form in text for form in forms)


def privileges(service: Service, data: Mapping[str, Any]) -> str:
    """Say what a container has beyond its definition; data is an element of `inspect`."""
    host = data["HostConfig"]
    added = {name.removeprefix("CAP_") for name in host.get("CapAdd") or ()}
    options = " ".join(host.get("SecurityOpt") or ())
    spaces = [key for key in ("PidMode", "IpcMode", "UTSMode") if host.get(key) == "host"]
    wrong = {
        "privileged": host.get("Privileged"),
        "more capabilities": added - set(service.capabilities),
        "new privileges": "no-new-privileges" not in options,
        "an unconfined security profile": "unconfined" in options,
        "the engine's list of system calls instead of ours": "seccomp=" not in options,
        "a writable root file system": not host.get("ReadonlyRootfs") and not service.writable,
        "namespaces of the host": spaces,
        "devices": host.get("Devices"),
    }
    return ", ".join(what for what, is_wrong in wrong.items() if is_wrong)


def limits(_: Service, data: Mapping[str, Any]) -> str:
    """Say which limit a container lacks."""
    host = data["HostConfig"]
    return ", ".join(f"no {key}" for key in ("PidsLimit", "Memory") if (host.get(key) or 0) <= 0)


def mounts(files: str, service: Service, data: Mapping[str, Any]) -> str:
    """Say what a container mounts beyond its definition; `files` is where its `Files` lie.

    A volume that its base image asks for is its own: it is new and ends with the container.
    """
    wanted = {(bind.target, bind.read_only) for bind in service.binds}
    given = (bind.source for bind in service.binds)
    sources = {source.on_host(files) for source in given if not isinstance(source, Volume)}
    binds = [m for m in data["Mounts"] if m["Type"] != "tmpfs" and not _is_anonymous(m)]
    wrong = (
        m["Destination"]
        for m in binds
        if (m["Destination"], not m["RW"]) not in wanted
        or (m["Type"] == "bind" and m["Source"] not in sources)
    )
    return ", ".join(sorted(wrong))


def dropped(service: Service, table: str) -> str:
    """Say which mounts a container no longer has; `table` is its /proc/self/mountinfo.

    Linux drops a mount when the file that it covers is replaced elsewhere.
    """
    there = mount_table.points_in(table.encode(errors="surrogateescape"))
    return ", ".join(sorted(bind.target for bind in service.binds if bind.target not in there))


def _is_anonymous(mount: Mapping[str, Any]) -> bool:
    return mount["Type"] == "volume" and bool(_ANONYMOUS.fullmatch(mount["Name"]))


def ports(service: Service, data: Mapping[str, Any]) -> str:
    """Say which ports of a container are open beyond its definition."""
    wanted = {(p.host_address, str(p.host_port)) for p in service.publish}
    bindings = (data["HostConfig"].get("PortBindings") or {}).values()
    given = {(b["HostIp"], b["HostPort"]) for several in bindings for b in several or ()}
    return ", ".join(":".join(one) for one in sorted(given - wanted))


def judges(files: str) -> Mapping[str, Callable[[Service, Mapping[str, Any]], str]]:
    """Return, by attack, what looks for it in a container that the engine shows."""
    return {
        "more privileges than defined": privileges,
        "no limits on processes and memory": limits,
        "more mounts than agent.yaml names": partial(mounts, files),
        "ports open beyond this desktop": ports,
    }
