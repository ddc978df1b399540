"""An engine elsewhere sees no file of this desktop: found out by trying, once for each endpoint."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import fake_engine
import pytest
from desk import Desk
from fake_project import Fake, config

from companion.operations import engine_checks
from companion.operations.findings import Check


def fake(desk: Desk, name: str, **world: object) -> Fake:
    made = Fake(desk, desk.project(config().replace("podman", name)), name)
    made.companion("plan").ok()
    made.set(met={}, **world)
    return made


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_is_tried_once_and_a_second_agent_asks_nothing(desk: Desk, name: str):
    one = fake(desk, name)
    one.companion("up").ok()
    one.set(met={})
    one.companion("up").ok()
    probing = {"import", "create", "info", "rmi"}
    assert not probing & set(one.world["met"])
    two = Fake(desk, desk.project(config().replace("podman", name), "other"), name)
    one.set(met={})
    two.companion("up").ok()
    assert "import" not in one.world["met"]


def test_a_directory_of_the_desktop_is_refused_where_it_is_asked_for(desk: Desk):
    one = fake(desk, "docker", elsewhere=True)
    text = (one.project / "agent.yaml").read_text()
    (one.project / "agent.yaml").write_text(f'{text}    runtime_volumes: ["./work:/work"]\n')
    done = one.companion("up")
    line = text.count("\n") + 1
    said = f"error: agent.yaml:{line}:23: ./work is on this desktop, and docker cannot mount it"
    assert done.code == 1
    assert said in done.err
    assert not one.world["containers"]


def secrets(one: Fake) -> dict[str, bytes]:
    """Return the secrets that the engine's volumes hold, besides those that are empty."""
    volumes = (files for name, files in one.world["files"].items() if ".secrets" in name)
    return {name: value for held in volumes for name, value in held.items() if value}


def test_a_removed_secret_goes_from_there_whatever_failed_in_between(desk: Desk):
    def configure(service: str, *, command: str = "2") -> None:
        text = config(service=service, command=command).replace("podman", "docker")
        (one.project / "agent.yaml").write_text(text)

    one = fake(desk, "docker", elsewhere=True)
    (one.project / ".env").write_text("KEY=one\n")
    configure("api")
    one.companion("up").ok()
    assert len(secrets(one)) == 1
    set_hosts = (one.project / "agent.yaml").read_text().replace("h0.test", "i0.test")
    (one.project / "agent.yaml").write_text(set_hosts)
    one.companion("up").ok()
    assert set(one.world["copied"]) == {"gateway", "reach"}, "a reload brings what changed"
    configure("")
    one.dies(("cp", 1), "before", "up")
    assert len(secrets(one)) == 1
    one.companion("up").ok()
    assert secrets(one) == {}, "the process was killed before it was carried"
    configure("api", command="3")
    one.dies(("start", 1), "before", "up")
    assert len(secrets(one)) == 1
    configure("", command="4")
    one.set(refuse=["build"])
    assert one.companion("up").code == 1
    assert secrets(one) == {}, "the change failed, and its roll-back knows nothing of the secret"
    one.companion("down").ok()
    assert not [name for name in one.world["volumes"] if "." in name]


@pytest.mark.parametrize("forgotten", [("down", "--abandon"), ("remove",)])
def test_a_secret_removed_while_its_engine_was_silent_is_gone_at_the_next_start(
    desk: Desk, forgotten: tuple[str, ...]
):
    one = fake(desk, "docker", elsewhere=True)
    (one.project / ".env").write_text("KEY=one\n")
    text = config(service="api").replace("podman", "docker")
    (one.project / "agent.yaml").write_text(text)
    one.companion("up").ok()
    assert len(secrets(one)) == 1
    one.set(refuse=["version"])
    one.companion("down", "--abandon").ok()
    if forgotten == ("remove",):
        desk.companion("remove", str(one.project)).ok()
    one.set(refuse=[])
    (one.project / "agent.yaml").write_text(config().replace("podman", "docker"))
    one.companion("plan").ok()
    one.companion("up").ok()
    assert secrets(one) == {}
    assert one.companion("plan", "--json").ok().agent["change"] == "none"


def mounting(desk: Desk) -> tuple[Fake, Path]:
    """Return a project that mounts ./work, and that directory; the place `box` has it copied."""
    one = fake(desk, "docker", elsewhere=True)
    text = (one.project / "agent.yaml").read_text().replace("container_runtime: docker\n", "")
    (one.project / "agent.yaml").write_text(f'{text}    runtime_volumes: ["./work:/work"]\n')
    with desk.paths.settings.open("a") as settings:
        settings.write("places: {box: {docker: 'unix:///box.sock', seed: true}}\n")
    work = one.project / "work"
    (work / "inner").mkdir(parents=True)
    (work / "inner/file").write_text("mine")
    (work / "secret").symlink_to("/etc/hostname")
    return one, work


COPY = {"inner/file": b"mine", "secret": b"-> /etc/hostname"}
"""What is in such a directory, as the fake engine holds it."""


def seeds(one: Fake) -> dict[str, bytes]:
    """Return what was copied of the only directory."""
    held = one.world.get("files", {})
    return next((files for name, files in held.items() if "seed" in name), {})


def test_a_mounted_directory_is_copied_once_to_a_place_that_wants_it(desk: Desk):
    one, work = mounting(desk)
    settings = desk.paths.settings
    settings.write_text(settings.read_text().replace(", seed: true", ""))
    refused = one.companion("up", "--on", "box")
    assert "or have it copied there once: `seed: true` for box in settings.yaml" in refused.err
    settings.write_text(settings.read_text().replace("box.sock'", "box.sock', seed: true"))
    said = one.companion("up", "--on", "box").ok().err
    assert f"copying {work} to box (docker), once" in said
    assert seeds(one) == COPY, "no link is followed"
    assert len(one.world["containers"]) == 4, "three of the sandbox, and one for our files"
    (work / "inner/file").write_text("changed here")
    assert "copy" not in one.companion("restart").ok().err
    one.companion("down").ok()
    said = one.companion("up").ok().err
    assert f"using the copy of {work} that is on box (docker) already" in said
    assert seeds(one) == COPY
    one.companion("down", "--volumes").ok()
    assert one.world["volumes"] == []


def test_an_engine_that_was_left_is_forgotten_with_its_volumes(desk: Desk):
    one = fake(desk, "docker")
    one.companion("up").ok()
    other = Fake(desk, one.project)
    (one.project / "agent.yaml").write_text(config())
    other.companion("up").ok()
    (record,) = desk.paths.projects.glob("*/coder/agent.json")
    written = json.loads(record.read_text())
    assert ([one["name"] for one in written["left"]], written["others"]) == (["docker"], [])
    one.set(calls=[])
    other.companion("up").ok()
    other.companion("down").ok()
    assert not one.world["calls"], "it has volumes only, and may be slow to answer"
    other.companion("down", "--volumes").ok()
    assert json.loads(record.read_text())["left"] == []


def test_a_copy_that_was_killed_is_begun_anew(desk: Desk):
    one, work = mounting(desk)
    wanted = dict(COPY)
    for call, moment in ((("cp", 1), "before"), (("cp", 1), "after"), (("rm", 4), "before")):
        one.dies(call, moment, "up", "--on", "box")
        marks = [name for name in one.world["containers"] if name.endswith(".begun")]
        assert len(marks) == 1
        assert seeds(one) == ({} if moment == "before" and call[0] == "cp" else wanted)
        (work / f"{call[0]}-{moment}").write_text("added meanwhile")
        wanted[f"{call[0]}-{moment}"] = b"added meanwhile"
    one.companion("up", "--on", "box").ok()
    assert seeds(one) == wanted
    assert len(one.world["containers"]) == 4, "three of the sandbox, and one for our files"


def test_a_copy_that_fails_leaves_the_sandbox_as_it_is(desk: Desk):
    one, work = mounting(desk)
    text = (one.project / "agent.yaml").read_text()
    (one.project / "agent.yaml").write_text(
        text.replace('    runtime_volumes: ["./work:/work"]\n', "")
    )
    (work / "/".join("d" * 140)).mkdir(parents=True)
    one.companion("up", "--on", "box").ok()
    before = one.world["containers"]
    (one.project / "agent.yaml").write_text(text)
    failed = one.companion("up")
    assert f"cannot copy {work}/d/d/d" in failed.err
    assert "the previous version is still running" in failed.err
    now = one.world["containers"]
    assert {name: now[name] for name in before} == before
    one.companion("down").ok()
    assert one.companion("up").code == 1
    assert not one.world["networks"]


def before(one: Fake, calls: str, does: str) -> None:
    """Have a command of the shell run before the engine's work at calls that fit a pattern."""
    real = one.program.parent / "real"
    real.mkdir()
    one.program.rename(real / one.program.name)
    engine, pattern = real / one.program.name, calls.replace(" ", "\\ ")
    one.program.write_text(
        f'#!/bin/sh\ncase "$*" in {pattern}) {does};; esac\nexec {engine} "$@"\n'
    )
    one.program.chmod(0o755)


def test_a_sandbox_that_moves_from_here_stops_before_its_directory_is_copied(desk: Desk):
    one, work = mounting(desk)
    one.set(elsewhere=False)
    there = desk.home / "box.podman"
    there.write_bytes(one.file.read_bytes())
    fake_engine.save(there, fake_engine.read(there) | {"elsewhere": True})
    Fake(desk, one.project, "podman")
    place = f"{{podman: 'unix://{desk.home}/box', seed: true}}"
    settings = desk.paths.settings.read_text().partition("places:")[0]
    desk.paths.settings.write_text(
        f"{settings}build: {{network: open}}\nplaces: {{box: {place}}}\n"
    )
    one.companion("up").ok()
    before(one, "rm *-coder", f"touch {work}/late")
    (work / "/".join("d" * 140)).mkdir(parents=True)
    failed = one.companion("up", "--on", "box")
    assert "the previous version is running again" in failed.err
    one.is_whole(planned=False)
    shutil.rmtree(work / "d")
    (work / "late").unlink()
    one.companion("up", "--on", "box").ok()
    (copy,) = (c for n, c in fake_engine.read(there)["files"].items() if "_seed-" in n)
    assert copy == COPY | {"late": b""}
    assert not one.world["containers"]


def test_a_link_on_the_way_to_a_directory_is_reported_with_the_directory(desk: Desk):
    one, work = mounting(desk)
    above = one.project / "above"
    above.mkdir()
    work.rename(above / "work")
    file = one.project / "agent.yaml"
    file.write_text(file.read_text().replace("./work:/work", "./above/work:/work"))
    swap = f"test -L {above} || {{ mv {above} {above}.moved; ln -s {above}.moved {above}; }}"
    before(one, "*build*", swap)
    failed = one.companion("up", "--on", "box")
    assert (failed.code, above.is_symlink()) == (1, True)
    assert f"cannot copy {above}/work: Not a directory" in failed.err


def test_a_worktree_that_git_would_not_find_there_is_refused(desk: Desk):
    one, _ = mounting(desk)
    tree = one.project / "work"
    shutil.rmtree(tree)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a", "-C", str(one.project))
    for words in ("init -q app", "-C app commit -q --allow-empty -m one"):
        subprocess.run((*git, *words.split()), check=True)
    subprocess.run((*git, "-C", "app", "worktree", "add", "-q", str(tree)), check=True)
    text = (one.project / "agent.yaml").read_text()
    both = '["./work:/work", "./app/.git:/app/.git"]'
    (one.project / "agent.yaml").write_text(text.replace('["./work:/work"]', both))
    refused = one.companion("up", "--on", "box")
    said = "git would not find the repository of ./work on box (docker)"
    assert f"error: agent.yaml:{text.count(chr(10))}:23: {said}" in refused.err
    assert not one.world["containers"]


def test_doctor_finds_and_removes_secrets_that_were_left_elsewhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    one = fake(desk, "docker")
    one.companion("up").ok()
    one.companion("down").ok()
    (file,) = desk.home.glob("**/agent.json")
    record = json.loads(file.read_text())
    record["engine"]["shares_files"] = False
    file.write_text(json.dumps(record))
    left = f"{file.parents[1].name}_coder.secrets"
    one.set(volumes=["another_volume", left])
    for name in os.environ.keys() - desk.environment.keys():
        monkeypatch.delenv(name)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    (found,) = (f for f in engine_checks.examine(desk.paths) if f.check is Check.STRAYS)
    assert found.what == f"docker holds secrets of coder in {one.project}, which is stopped"
    assert found.repair
    found.repair()
    assert one.world["volumes"] == ["another_volume"]
    one.set(volumes=[left])
    one.companion("down").ok()
    assert one.world["volumes"] == []
