"""What a sandbox may be made of, and what may be mounted: each verdict with its words and tip."""

from dataclasses import replace

import pytest

from companion.config.origin import Origin
from companion.errors import Position, Problem
from companion.plugins.contribution import Contribution, Mount, ProjectFile, SshServer
from companion.sandbox import path_policy
from companion.sandbox.bounds import Bounds
from companion.sandbox.model import Neighbor, PathFacts, mount_file
from companion.sandbox.places import Guard, Place
from companion.sandbox.repositories import GitFacts
from companion.spec.containers import File

HERE = Origin(("features", 0))
REPLACE = "replace it with a file of the project"
COPY = "replace it with a copy of itself"
NAMES = "has several names (hard links), so it may change by another one"
SUB = "mount a subdirectory such as ./work"
TARGET = "must be an absolute path below /, without `..`"
SYSTEM = "belongs to the container's system"


def at(path: str) -> Place:
    return Place(path if path.startswith("/") else f"/p/{path}")


def facts(path: str, kind: str = "file", **others: object) -> PathFacts:
    place = at(path)
    return PathFacts(kind, place, place.path.startswith("/p/"), **others)  # type: ignore[arg-type]


BOUNDS = Bounds(
    at("/p"),
    tuple(map(at, ("agent.yaml", ".env"))),
    siblings=(at("sibling"),),
    private=(at("/home/me/.ssh"),),
    system=(Guard(at("/run"), "where programs have their sockets"),),
    programs=(Guard(at("/usr"), "", read_only=True),),
    searched=(at("/home/me/bin"),),
    neighbors=(
        Neighbor("other", (at("/q/agent.yaml"),), (at("/q/work"),), directory=at("/q")),
        Neighbor("sister", (at("sibling/x"),), (at("shared"),), is_sibling=True),
    ),
)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (facts("agent.yaml"), None),
        (facts("/elsewhere.yaml"), None),
        (facts(".env", "missing", holds_secrets=True), None),
        (facts(".env", holds_secrets=True), None),
        (facts("agent.yaml", hard_linked="/p/agent.yaml"), (f"FILE {NAMES}", COPY)),
        (facts(".env", "directory", holds_secrets=True),
         ("FILE is a directory", "make it a plain file")),
        (facts("/home/me/x", holds_secrets=True),
         ("FILE leads to /home/me/x, out of the project", REPLACE)),
        (facts("sibling/.env", holds_secrets=True, links=(at(".env"),)),
         ("FILE lies in sibling, which is another agent", REPLACE)),
        (facts("/q/agent.yaml", holds_secrets=True, links=(at(".env"),)),
         ("FILE leads to /q/agent.yaml, which configures another agent", REPLACE)),
        (facts("/q/.env", holds_secrets=True),
         ("FILE lies in /q, which is another project", REPLACE)),
    ],
)  # fmt: skip
def test_what_may_configure_an_agent(found: PathFacts, problem: tuple[str, str] | None):
    said = list(path_policy.check_configuring({"FILE": found}, BOUNDS))
    assert said == ([Problem(*problem, Position("FILE", 1, 1))] if problem else [])


def test_no_neighbor_may_write_to_what_configures_an_agent():
    own = (at("agent.yaml"), at("/q/WORK/hook"), at("/q/work/hook"))
    (problem,) = path_policy.check_control(own, BOUNDS)
    tip = "keep an agent's configuration out of other agents' mounts"
    assert problem == Problem("/q/work/hook lies in /q/work, which is writable for other", tip)


@pytest.mark.parametrize(
    ("found", "what", "tip"),
    [
        (facts("x"), "", ""),
        (facts("/elsewhere/x"), "is outside the project", "give a path inside it"),
        (facts("/q/agent.yaml"), "is outside the project", "give a path inside it"),
        (facts("x", "missing"), "WANTED", "create it or correct the path"),
        (facts(".env"), "is .env, which is kept out of the sandbox", "give a FILE of its own"),
        (facts(".env", links=(at("x"),)), "leads to .env, which is kept out of the sandbox",
         "give a FILE of its own"),
        (facts(".env/x", links=(at("x"),)), "lies in .env, which is kept out of the sandbox",
         "give a FILE of its own"),
        (facts("/", "directory"), "contains agent.yaml, which is kept out of the sandbox",
         "give a FILE of its own"),
        (facts("sibling/x"), "lies in sibling, which is kept out of the sandbox",
         "give a FILE of its own"),
        (facts("key"), "is key, which is a private key", "give a FILE of its own"),
        (facts("x", "special file"), "is a special file", "give a FILE"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wanted", ["file", "directory"])
def test_what_becomes_part_of_a_sandbox(found: PathFacts, what: str, tip: str, wanted: str):
    named, key = ProjectFile("x", HERE), ProjectFile("key", HERE.at("key"))
    kind = wanted if found.kind == "file" else found.kind
    files = {named: facts(found.real, kind, links=found.links), key: facts("key")}
    is_file = wanted == "file"
    parts = Contribution(
        hooks=(named,) if is_file else (),
        overlays=() if is_file else (named,),
        ssh=(SshServer(None, None, key, HERE),),
    )
    said = list(path_policy.check_files(parts, files, BOUNDS))
    missing = f"there is no {wanted} 'x'"
    expected = missing if what == "WANTED" else f"'x' {what}"
    assert said == ([(HERE, Problem(expected, tip.replace("FILE", wanted)))] if what else [])


def test_a_file_with_several_names_is_named_in_a_directory_too():
    file, tree = ProjectFile("x", HERE), ProjectFile("home", HERE.at("home"))
    files = {
        file: facts("x", hard_linked="/p/x"),
        tree: facts("home", "directory", hard_linked="/p/home/y"),
    }
    parts = Contribution(root_hooks=(file,), overlays=(tree,))
    said = [problem for _, problem in path_policy.check_files(parts, files, BOUNDS)]
    assert sorted(said) == [Problem(f"'x' {NAMES}", COPY), Problem(f"/p/home/y {NAMES}", COPY)]
    obstacle = Problem("it is too much")
    files = {tree: facts("home", "directory", obstacle=obstacle)}
    assert [*path_policy.check_files(Contribution(overlays=(tree,)), files, BOUNDS)] == [
        (tree.origin, obstacle)
    ]


def mount(source: str, target: str = "/w", *, read_only: bool = False) -> Mount:
    return Mount(source, target, read_only, HERE)


WORK = facts("work", "directory")
GIT = GitFacts(".git", "/p/work/.git")


@pytest.mark.parametrize(
    ("asked", "found", "what", "tip"),
    [
        (mount("data"), None, "", ""),
        (mount("./work"), WORK, "", ""),
        (mount("/home/me/code"), facts("/home/me/code", "directory"), "", ""),
        (mount("/home/me/code", "//X//etc"), facts("/home/me/code", "directory"), "", ""),
        (mount("data", "//etc"), None, f"target '//etc' {SYSTEM}", "choose another"),
        (mount("data", "/usr/lib/x"), None, f"target '/usr/lib/x' {SYSTEM}", "choose another"),
        (mount("data", "/var"), None, f"target '/var' {SYSTEM}", "choose another"),
        (mount("data", "/"), None, f"target '/' {TARGET}", "choose another"),
        (mount("data", "w"), None, f"target 'w' {TARGET}", "choose another"),
        (mount("data", "/w/../etc"), None, f"target '/w/../etc' {TARGET}", "choose another"),
        (mount("./work"), facts(".env", links=(at("work"),)),
         "'./work' is .env, which is kept out of the sandbox", SUB),
        (mount("."), facts("/p", "directory"),
         "'.' contains agent.yaml, which is kept out of the sandbox", SUB),
        (mount("./hooks"), facts("hooks", "directory"),
         "'./hooks' contains start, which the agent must not change", SUB),
        (mount("../x"), facts("/x", "directory"), "'../x' is outside the project",
         "give a path inside it, or an absolute path"),
        (mount("/run"), facts("/run", "directory"),
         "'/run' where programs have their sockets", SUB),
        (mount("/usr/lib"), facts("/usr/lib", "directory"),
         "'/usr/lib' belongs to the system, which agents must not change",
         "mount it read-only: /usr/lib:/w:ro"),
        (mount("/usr/lib", read_only=True), facts("/usr/lib", "directory"), "", ""),
        (mount("/home/me/bin"), facts("/home/me/bin", "directory"),
         "'/home/me/bin' is /home/me/bin, where your shell looks for programs",
         "look at it, or mount it read-only: /home/me/bin:/w:ro"),
        (mount("/home/me/bin/x"), facts("/home/me/bin/x", "directory"), "", ""),
        (mount("./work"), facts("work", "directory", git=replace(GIT, obstacle="was spoilt")),
         "'./work' was spoilt", "look at it, or mount it read-only: ./work:/w:ro"),
        (mount("./work"), facts("work", "missing"), "no directory './work'", "create it"),
        (mount("./work"), facts("work"), "no directory './work'", "create it"),
        (mount("./shared/x"), facts("shared/x", "directory"),
         "'./shared/x' leads through /p/shared, where an agent can redirect it", SUB),
        (mount("./a"), facts("a/b", "directory", links=(at("shared/l"),)),
         "'./a' leads through /p/shared, where an agent can redirect it", SUB),
    ],
)  # fmt: skip
def test_what_may_be_mounted(asked: Mount, found: PathFacts | None, what: str, tip: str):
    hook = ProjectFile("hooks/start", HERE.at("hook"))
    known = {hook: facts("hooks/start")}
    if found:
        known[mount_file(asked)] = found
    parts = Contribution(hooks=(hook,), mounts=(asked,))
    said = list(path_policy.check_files(parts, known, BOUNDS))
    if what.startswith("no directory"):
        what = f"there is {what} to mount"
    elif what:
        what = f"the mount {what}"
    assert said == ([(HERE, Problem(what, tip))] if what else [])


def test_a_writable_mount_and_its_repository_are_known():
    bare = GitFacts("", "/p/bare")
    tree = GitFacts(".git", "/r/.git/worktrees/t", (File(".git", b"gitdir: x"),))
    found = {
        "./work": facts("work", "directory", git=GIT),
        "./bare": facts("bare", "directory", git=bare),
        "./tree": facts("tree", "directory", git=tree),
        "./read": facts("read", "directory", git=GitFacts(".git", "/p/read/.git")),
    }
    mounts = [mount(source, read_only=source == "./read") for source in found]
    known = {mount_file(one): found[one.source] for one in mounts}
    parts = Contribution(mounts=(*mounts, mount("data")))
    assert path_policy.writes(parts, known) == (at("work"), at("bare"), at("tree"))
    assert [*path_policy.holds(parts, known)] == ["/p/work/.git", "/p/bare"]
    assert [*path_policy.repositories(parts, known)] == ["/p/bare"]


def test_an_agent_is_steered_by_what_it_is_made_of_and_by_the_links_to_it():
    hook, gone = ProjectFile("x", HERE), ProjectFile("gone", HERE.at(1))
    found = {hook: facts("y", links=(at("x"),)), gone: facts("gone", "missing")}
    parts = Contribution(hooks=(hook, gone))
    assert [*path_policy.steered_by(parts, found)] == [at("x"), at("y")]


def verdict(asked: Mount, found: PathFacts, bounds: Bounds = BOUNDS) -> str:
    """Return why a mount is refused; "" if it is not."""
    hook = ProjectFile("hooks/start", HERE.at("hook"))
    known = {hook: facts("hooks/start"), mount_file(asked): found}
    parts = Contribution(hooks=(hook,), mounts=(asked,))
    return "".join(problem.what for _, problem in path_policy.check_files(parts, known, bounds))


@pytest.mark.parametrize(
    "path", ["/RUN", "/home/me/.SSH", "/p/.Env", "/p/Hooks", "/Q/Work", "/USR/lib", "/home/me/BIN"]
)
def test_a_spelling_in_another_case_is_refused_where_the_file_system_ignores_it(path: str):
    asked, found = mount(path), facts(path, "directory")
    assert verdict(asked, found) == ""
    assert verdict(asked, found, replace(BOUNDS, ignores_case=True))
    named = ProjectFile("x", HERE)
    files, known = Contribution(hooks=(named,)), {named: facts("AGENT.yaml")}
    assert [*path_policy.check_files(files, known, replace(BOUNDS, ignores_case=True))]
    secrets = {".env": facts("/p/Sibling/.env", holds_secrets=True)}
    assert not [*path_policy.check_configuring(secrets, BOUNDS)]
    assert [*path_policy.check_configuring(secrets, replace(BOUNDS, ignores_case=True))]
    control = (at("/Q/Work/hook"),)
    assert not [*path_policy.check_control(control, BOUNDS)]
    assert [*path_policy.check_control(control, replace(BOUNDS, ignores_case=True))]


def test_some_guards_are_for_the_place_itself_or_have_exceptions():
    guards = (
        Guard(at("/var"), "which holds sockets", below=False),
        Guard(at("/home"), "which others own", but=(at("/home/me"),)),
        Guard(at("/home/me/.ssh/agent"), "where a program listens"),
    )
    bounds = replace(BOUNDS, system=guards)
    said = {
        "/var/lib/x": "",
        "/var": "'/var' which holds sockets",
        "/home/me/x": "",
        "/home/you": "'/home/you' which others own",
        "/home": "'/home' which others own",
        "/home/me/.ssh": "'/home/me/.ssh' is .ssh, which is kept out of the sandbox",
    }
    for path, why in said.items():
        found = verdict(mount(path), facts(path, "directory"), bounds)
        assert found == (f"the mount {why}" if why else "")


def test_a_repository_that_its_agent_cannot_exchange_is_mounted_for_another_one():
    shared = Neighbor("a", (), (at("/c"),), holds=(at("/c/repo"),), is_sibling=True)
    bounds = replace(BOUNDS, neighbors=(shared,))
    through = "leads through /c, where an agent can redirect it"
    assert verdict(mount("/c/repo"), facts("/c/repo", "directory"), bounds) == ""
    assert through in verdict(mount("/c/repo/x"), facts("/c/repo/x", "directory"), bounds)
    link = facts("/elsewhere", "directory", links=(at("/c/repo"),))
    assert through in verdict(mount("/l"), link, bounds)


def test_a_project_in_the_directory_of_another_one_has_its_own_files():
    outer = Neighbor("outer", (), directory=at("/"))
    bounds = replace(BOUNDS, neighbors=(outer,))
    assert verdict(mount("./work"), WORK, bounds) == ""
    assert "lies in /, which is another project" in verdict(mount("/x"), facts("/x"), bounds)
    own, others = facts(".env", holds_secrets=True), facts("/x", holds_secrets=True)
    assert not [*path_policy.check_configuring({".env": own}, bounds)]
    (problem,) = path_policy.check_configuring({".env": others}, bounds)
    assert problem.what == ".env lies in /, which is another project"
    hook = ProjectFile("x", HERE)
    assert not [*path_policy.check_files(Contribution(hooks=(hook,)), {hook: facts("x")}, bounds)]


def test_what_an_agent_could_redirect_itself_is_not_mounted():
    work, other = mount("./work"), mount("./l", "/l")
    parts = Contribution(mounts=(work, other))
    known = {
        mount_file(work): WORK,
        mount_file(other): facts("x", "directory", links=(at("Work/link"),)),
    }
    assert not [*path_policy.check_files(parts, known, BOUNDS)]
    ((_, problem),) = path_policy.check_files(parts, known, replace(BOUNDS, ignores_case=True))
    assert problem.what == "the mount './l' leads through /p/work, where an agent can redirect it"
