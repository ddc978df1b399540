"""An engine on another machine gets our files as volumes, which go with the sandbox."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from far import Machine

from companion.engine import machine as far_machine
from companion.engine.client import Engine
from companion.engine.model import EngineChoice
from companion.engine.shared_files import are_shared
from companion.kubernetes.images import refusing
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import Directory, File
from companion.system import pack

pytestmark = pytest.mark.reach
IMAGE = "localhost/companion/debian:bookworm-slim"
OWNER = 4242
LOOK = "cd /x; stat -c '%n %u:%g %a' . *; cat KEY"


@pytest.fixture(params=["docker", "podman"])
def engine(
    machine: Machine,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Engine]:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(machine.known_hosts)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{machine.ssh}/bin:{os.environ['PATH']}")
    variables = tuple(machine.environment(request.param).items())
    choice = EngineChoice(
        request.param, shutil.which(request.param) or "", variables, shares_files=False
    )
    made = Engine(choice, f"reach-{os.getpid()}", "coder", str(tmp_path))
    yield made
    made.remove_files()


def seen(machine: Machine, engine: Engine, directory: Directory) -> str:
    volume = f"{engine.project}_{engine.agent}.{directory}:/x"
    run = ("run", "--rm", "--network", "none", "--volume", volume, IMAGE, "sh", "-c", LOOK)
    return machine.run(engine.choice.name, *run)


def test_files_are_carried_with_owner_and_mode_again_and_removed(
    machine: Machine, engine: Engine, tmp_path: Path
):
    assert not are_shared(engine, tmp_path)
    own = File("KEY", b"one\n", 0o600)
    contents = {Directory.SECRETS: (own,), Directory.GATEWAY: (own,), Directory.CONTROL: ()}
    engine.carry(IMAGE, contents, OWNER)
    expected = f". {OWNER}:{OWNER} 700\nKEY {OWNER}:{OWNER} 600\n"
    assert seen(machine, engine, Directory.SECRETS) == expected + "one\n"
    engine.carry(IMAGE, contents | {Directory.SECRETS: (File("KEY", b"two\n", 0o600),)}, OWNER)
    assert seen(machine, engine, Directory.SECRETS) == expected + "two\n"
    assert seen(machine, engine, Directory.GATEWAY) == expected + "one\n"
    wider = contents | {Directory.SSHD: (own,)}
    engine.carry(IMAGE, wider, OWNER)
    assert seen(machine, engine, Directory.SSHD) == expected + "one\n"
    assert engine.holds_any()
    engine.remove_files()
    assert not engine.holds_any()
    for listing in (("volume", "ls"), ("ps", "--all")):
        assert engine.project not in machine.run(engine.choice.name, *listing)


def test_a_seeded_volume_belongs_to_its_owner(machine: Machine, engine: Engine, tmp_path: Path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/KEY").write_text("one\n")
    handle = os.open(tmp_path, os.O_RDONLY)

    def send(stream: IO[bytes], name: str) -> None:
        pack.pack(stream, handle, "work", name, owner=OWNER)

    assert engine.seed(IMAGE, "coder_seed-x", OWNER, send)
    volume = f"{engine.project}_coder_seed-x"
    run = ("run", "--rm", "--network", "none", "--volume", f"{volume}:/x", IMAGE, "sh", "-c", LOOK)
    owners = [line.split()[1] for line in machine.run(engine.choice.name, *run).splitlines()[:2]]
    assert owners == [f"{OWNER}:{OWNER}"] * 2
    assert not engine.seed(IMAGE, "coder_seed-x", OWNER, send)
    engine.remove_volumes()
    assert engine.project not in machine.run(engine.choice.name, "ps", "--all")


def test_the_networks_of_the_other_machine_are_its_own(machine: Machine, engine: Engine):
    found = far_machine.networks(engine, IMAGE)
    links = json.loads(machine.run("ip", "-json", "-4", "address"))
    own = {one["local"] for link in links for one in link["addr_info"]}
    assert {one.removesuffix("/32") for one in found if one.endswith("/32")} >= own
    assert engine.project not in machine.run(engine.choice.name, "ps", "--all")


def test_a_build_for_a_cluster_refuses_the_networks_of_the_machine_that_builds(
    machine: Machine, engine: Engine
):
    network = BuildNetwork(refused=("10.0.0.0/8",), router=IMAGE)
    links = json.loads(machine.run("ip", "-json", "-4", "address"))
    own = {f"{one['local']}/32" for link in links for one in link["addr_info"]}
    assert set(refusing(engine, network).refused) > own
