"""What exactly is generated for a config? `pytest tests/cases --update` rewrites the answers."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from companion.engine import arguments
from companion.engine.dialect import DIALECTS, Dialect
from companion.project import discovery
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import host_facts
from companion.reconcile.desire import sandbox_of
from companion.reconcile.desired import Desired, desire
from companion.reconcile.validate import check
from companion.render import compose, sshd
from companion.sandbox.allocation import Allocation
from companion.sandbox.model import HostFacts
from companion.spec.containers import Role
from companion.system.paths import Paths

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/agent.yaml"))
HOST = HostFacts(
    uid=1000,
    addresses=("8.8.4.4",),
    ca_certificate="-----THE SANDBOX CA-----\n",
)
KEPT = Allocation("coder.sandbox", "10.231.0.0/28", "10.231.0.16/28", 2222)


@pytest.mark.parametrize("case", CASES)
def test_a_config_gives_exactly_these_files(case: str, tmp_path: Path, request):
    desired = generated(HERE / case, tmp_path)
    made = files(desired) | (commands(desired) if case == "everything" else {})
    expected = HERE / case / "expected"
    if request.config.getoption("--update"):
        for name, text in made.items():
            (expected / name).parent.mkdir(parents=True, exist_ok=True)
            (expected / name).write_bytes(text.encode())
    found = {
        p.relative_to(expected).as_posix(): p.read_bytes().decode()
        for p in expected.rglob("*")
        if p.is_file()
    }
    assert made == found


def generated(case: Path, tmp_path: Path) -> Desired:
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    checked = replace(check(home, AgentRef(discovery.project(case))), host=HOST)
    sandbox = replace(sandbox_of(checked, AgentRecord(KEPT)), project="case")
    return desire(sandbox, host_facts.assets(), {}, (), ())


def files(desired: Desired) -> dict[str, str]:
    target = desired.target
    contexts = {role: f"./coder/{role}" for role in Role}
    text = compose.render("case", target, contexts, "/state/coder")
    agent = next(i for i in target.images if i.role is Role.AGENT)
    made = {"docker-compose.yml": text.replace(agent.tag.split(":")[1], "DIGEST")}
    made["docker-compose.yml"] = made["docker-compose.yml"].replace(str(HERE), "/cases")
    made |= {f"agent/{f.path}": f.content.decode() for f in agent.files if "entry" not in f.path}
    made |= {f"gateway-config/{f.path}": f.content.decode() for f in desired.gateway_files}
    if desired.sandbox.ssh:
        made["sshd/sshd_config"] = sshd.render(desired.sandbox).content.decode()
    gateway = next((i for i in target.images if i.role is Role.GATEWAY), agent)
    return {n: t.replace(gateway.tag.split(":")[1], "DIGEST") for n, t in made.items()}


def commands(desired: Desired) -> dict[str, str]:
    """Return what an engine is told, an option a line."""
    docker, podman = DIALECTS["docker"], replace(DIALECTS["podman"], rootless=True)
    return {
        f"commands/{name}.txt": without_digests("\n".join(told(dialect, desired)))
        for name, dialect in (("docker", docker), ("podman-rootless", podman))
    }


def without_digests(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{16}\b", "DIGEST", text).replace(str(HERE), "/cases")


def told(dialect: Dialect, desired: Desired) -> Iterator[str]:
    target, who = desired.target, ("case", "coder")
    for network in target.networks:
        yield _shown(arguments.network_argv(dialect, *who, network))
    yield _shown(arguments.volume_argv(*who, "case_coder_home", "--opt", "o=uid=1000"))
    for service in target.services:
        create = arguments.create_argv(dialect, *who, service, "/state/coder", "/profiles")
        yield _shown(create)
        for attachment in service.attachments[1:]:
            yield _shown(arguments.connect_argv(dialect, "case", service, attachment))
        for network in service.joins:
            yield _shown(arguments.join_argv("case", service, network))


def _shown(argv: tuple[str, ...]) -> str:
    return re.sub(r" (?=--)", " \\\n  ", shlex.join(argv)) + "\n"
