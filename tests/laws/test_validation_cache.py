"""`status` reads no config while nothing changed; whatever changes, it says what reading would."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from companion.engine.model import EngineChoice
from companion.errors import CompanionError
from companion.keychain import store as secrets
from companion.oauth import grant_store
from companion.oauth.grants import Grant
from companion.operations import validation_cache
from companion.operations.validation_cache import Found, ValidAgent
from companion.project import discovery, store
from companion.project.model import Project
from companion.project.record import AgentRecord, ConfigSummary
from companion.reconcile.validate import Checked, check
from companion.sandbox.allocation import Allocation
from companion.system import mount_table
from companion.system.paths import Paths

CONFIG = """\
name: coder
runtime: {base_image: "debian:bookworm-slim"}
egress: listed
features:
  - plugin: ssh
    authorized_keys: keys.pub
  - plugin: external-services
    services:
      - url: https://api.example.com
        headers: {Authorization: "${KEY}", X-Other: "${FROM_OUTSIDE}"}
  - plugin: mcp-oauth
    providers:
      notion: {mcp_url: "https://notion.example.com"}
  - plugin: custom-runtime
    entrypoint_hooks: [hook.sh]
    home_override: overlay
    runtime_volumes: ["./work:/srv/work"]
"""
NEIGHBOUR = AgentRecord(Allocation("other", "10.1.0.0/28", "10.1.0.16/28"), wanted="up")


@dataclass(frozen=True)
class World:
    home: Paths
    project: Project
    neighbor: Project

    @property
    def directory(self) -> Path:
        return self.project.directory

    def grant(self, *, lifetime: float) -> None:
        url, now = "https://notion.example.com", time.time()
        given = Grant("notion", url, url, url, url, "me", "", "none", "a", "", now, now + lifetime)
        grant_store.keep(self.home, self.project.id, url, given)

    def record_neighbor(self, engine_socket: str = "", **config: tuple[str, ...]) -> None:
        agent_paths = self.home.project(self.neighbor.id).agent("other")
        variables = (("DOCKER_HOST", f"unix://{engine_socket}"),) if engine_socket else ()
        engine = EngineChoice("docker", "/usr/bin/docker", variables)
        store.write(agent_paths, replace(NEIGHBOUR, engine=engine, config=ConfigSummary(**config)))

    def find(self) -> Found:
        return validation_cache.find(self.home, self.project)

    def read(self) -> list[Checked]:
        return [check(self.home, ref) for ref in discovery.agent_refs(self.project)]

    def outcome(self) -> object:
        """Return what `status` shows of the configs, from reading them."""
        try:
            found = self.read()
        except CompanionError as error:
            return error.problems
        return tuple(
            problems
            or ValidAgent(c.ref.folder, c.config.name, c.egress, c.config.container_runtime)
            for c in found
            if (problems := (*c.missing, *c.login_problems)) or True
        )

    def learn(self) -> None:
        for _ in range(2):
            before = self.find()
            validation_cache.keep(self.home, self.project, before, self.read())


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have only the root mounted on this machine, and what a test mounts of it elsewhere."""
    table = tmp_path / "mountinfo"

    def mounted(*binds: tuple[str, Path]) -> None:
        lines = (f"1 1 8:1 {root} {at} rw - ext4 x rw\n" for root, at in (("/", "/"), *binds))
        table.write_text("".join(lines))

    monkeypatch.setattr(mount_table, "_TABLE", table)
    mounted()
    return mounted


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: Callable[..., None]) -> World:
    monkeypatch.setenv("FROM_OUTSIDE", "two")
    top = tmp_path.resolve()
    home = Paths(top / "home", *(top / name for name in ("config", "data", "state", "programs")))
    directories = [top / "src" / name for name in ("project", "neighbor")]
    for path in (
        home.home,
        home.config,
        *(d / n for d in directories for n in ("work", "overlay")),
    ):
        path.mkdir(parents=True)
    mine, other = (discovery.project(directory) for directory in directories)
    for project in (mine, other):
        store.register(home.project(project.id), project.directory)
    made = World(home, mine, other)
    texts = {"agent.yaml": CONFIG, ".env": "KEY=sk-7c1e90Kx\n", "hook.sh": "", "keys.pub": "",
             "overlay/.profile": "", "company.pem": ""}  # fmt: skip
    for name, text in texts.items():
        (mine.directory / name).write_text(text)
    certificate = mine.directory / "company.pem"
    home.settings.write_text(
        f"trusted_certificates: [{certificate}]\nenvironment: [FROM_OUTSIDE]\n"
    )
    made.record_neighbor()
    made.grant(lifetime=1000)
    return made


def edit(name: str, old: str, new: str) -> Callable[[World], object]:
    def change(world: World) -> None:
        path = world.directory / name
        path.write_text(path.read_text().replace(old, new))

    return change


def redirected(world: World) -> None:
    (world.directory / "hook.sh").rename(world.directory.parent / "hook.sh")
    (world.directory / "hook.sh").symlink_to("../hook.sh")


def replaced_by_a_link(file: Path) -> None:
    file.rename(file.parent.parent / "secrets")
    file.symlink_to("../secrets")


def moved_to(directory: Path, target: Path) -> None:
    directory.rmdir()
    directory.symlink_to(target)


def part_of_a_fleet(world: World) -> None:
    (world.directory.parent / "fleet.yaml").write_text("agents: [project]\n")


CHANGES: dict[str, Callable[[World], object]] = {
    "a wrong config": edit("agent.yaml", "egress: listed", "egress: lost"),
    "another name": edit("agent.yaml", "name: coder", "name: other"),
    "another egress": edit("agent.yaml", "egress: listed", "egress: open"),
    "a secret without a value": edit(".env", "KEY=sk-7c1e90Kx", "KEY="),
    "a secret that cannot be sent": edit(".env", "sk-7c1e90Kx", "\u20ac"),
    "no hook": lambda world: (world.directory / "hook.sh").unlink(),
    "a hook from elsewhere": redirected,
    "a wrong key": edit("keys.pub", "", "no key\n"),
    "a hook with two names": lambda w: (w.directory.parent / "name").hardlink_to(
        w.directory / "hook.sh"
    ),
    "secrets from a link": lambda w: replaced_by_a_link(w.directory / ".env"),
    "another name in the overlay": lambda w: (w.directory.parent / "name").hardlink_to(
        w.directory / "overlay/.profile"
    ),
    "a mount that leads to a neighbor": lambda w: moved_to(
        w.directory / "work", w.neighbor.directory
    ),
    "a link in the overlay": lambda w: (w.directory / "overlay/link").symlink_to("/etc/passwd"),
    "nothing to mount": lambda world: (world.directory / "work").rmdir(),
    "a secret that is bound to another host": lambda w: secrets.put(
        w.home, "FROM_OUTSIDE", "x", ("other.example.com",), in_file=True
    ),
    "wrong settings": lambda world: world.home.settings.write_text("imagse: {}\n"),
    "no CA of the company": lambda world: (world.directory / "company.pem").unlink(),
    "a fleet": lambda world: (world.directory / "fleet.yaml").write_text("agents: [a, b]\n"),
    "a fleet above": part_of_a_fleet,
    "a neighbor that writes here": lambda w: w.record_neighbor(writes=(str(w.directory),)),
    "a neighbor that is set up here": lambda w: w.record_neighbor(
        steered_by=(str(w.directory / "work/agent.yaml"),)
    ),
    "a neighbor whose engine listens here": lambda w: w.record_neighbor(
        str(w.directory / "work/docker.sock")
    ),
    "a token that expired": lambda world: world.grant(lifetime=-1),
    "no token": lambda world: grant_store.forget(world.home, world.project.id),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_kept_validation_is_not_used_after_a_change(world: World, change: Callable[..., object]):
    world.learn()
    before = world.outcome()
    assert world.find().agents == before
    change(world)
    assert world.outcome() != before
    assert world.find().agents is None


def test_a_variable_that_is_gone_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch):
    world.learn()
    assert world.find().agents
    monkeypatch.delenv("FROM_OUTSIDE")
    assert world.find().agents is None


@pytest.mark.parametrize(
    "variable",
    [
        *("DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "CONTAINERS_CONF"),
        *("CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF", "PODMAN_CONNECTIONS_CONF"),
    ],
)
def test_a_variable_that_leads_an_engine_into_a_mount_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, variable: str
):
    monkeypatch.delenv(variable, raising=False)
    world.learn()
    before = world.outcome()
    monkeypatch.setenv(variable, str(world.directory / "work/inside"))
    assert world.outcome() != before
    assert world.find().agents is None


@pytest.mark.parametrize("is_shared", [False, True], ids=["in it", "in a mount in it"])
def test_a_part_of_a_guarded_directory_that_comes_to_be_mounted_is_noticed(
    world: World, mount: Callable[..., None], *, is_shared: bool
):
    work, keys = world.directory / "work", world.home.home / ".ssh"
    always = (("/srv/one", work / "one"), ("/srv/keys", keys / "more"))
    mount(*always)
    world.learn()
    before = world.outcome()
    mount(*always, ("/srv/keys/new" if is_shared else f"{keys}/some", work / "two"))
    assert world.outcome() != before
    assert world.find().agents is None


def test_what_each_container_mounts_below_a_guarded_directory_changes_nothing(
    world: World, mount: Callable[..., None]
):
    world.learn()
    before = world.outcome()
    layers = "/var/lib/containers/storage/overlay"
    mount((layers, Path(layers)))
    assert world.find().agents == before == world.outcome()


def test_a_change_while_the_configs_are_read_is_not_sealed(world: World):
    world.learn()
    CHANGES["another egress"](world)
    before = world.find()
    read = world.read()
    CHANGES["no hook"](world)
    validation_cache.keep(world.home, world.project, before, read)
    assert world.find().agents is None


def test_the_seal_covers_every_file_that_a_validation_reads(world: World):
    world.learn()
    opened: set[Path] = set()
    is_listening = True

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if is_listening and event == "open" and isinstance(arguments[0], str):
            opened.add(Path(arguments[0]))

    sys.addaudithook(listen)
    world.read()
    validation = {path for path in opened if path.is_relative_to(world.home.home.parent)}
    opened.clear()
    world.find()
    sealed, is_listening = set(opened), False
    contents = {path for path in validation if path.is_file() and path.parent.name != "overlay"}
    assert len(contents) > 8  # of an overlay only names and modes matter
    assert contents <= sealed


def kept(world: World) -> str:
    world.learn()
    text = world.home.project(world.project.id).validation.read_text()
    assert json.loads(text)["seal"]
    return text


def test_what_is_kept_tells_nothing_of_a_secret(world: World):
    text = kept(world)
    (world.directory / ".env").write_text("KEY=two\n")
    again = kept(world)
    assert json.loads(text)["seal"] != json.loads(again)["seal"]
    assert "sk-7c1e90Kx" not in text
    world.home.project(world.project.id).validation.unlink()
    other = json.loads(kept(world))
    assert other["seal"] != json.loads(again)["seal"]  # its key is another one


def test_a_project_that_is_not_registered_leaves_nothing(world: World):
    project_paths = world.home.project(world.project.id)
    project_paths.state.unlink()
    world.learn()
    assert not project_paths.validation.exists()
