"""`companion run` at a place that gets a copy of the repository; git and `cp` bring work back."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from desk import Desk, Done, make_desk
from far import Machine

pytestmark = pytest.mark.reach


@dataclass(frozen=True)
class Repository:
    """A user's repository, and a place on the second machine that their settings call `far`."""

    desk: Desk
    machine: Machine
    top: Path

    def companion(self, *words: str) -> Done:
        return self.desk.companion(*words, cwd=self.top)

    def git(self, *words: str) -> str:
        own = ("git", "-c", "safe.directory=*", *words)
        variables = {"GIT_SSH_COMMAND": f"ssh -F {self.desk.paths.ssh_config}"}
        env = self.desk.environment | variables
        done = subprocess.run(
            own, cwd=self.top, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def inside(self, script: str) -> list[str]:
        return self.companion("exec", "app", "--", "bash", "-c", script).ok().out.splitlines()

    @property
    def volumes(self) -> list[str]:
        labeled = ("--filter", "label=dev.companion.agent=app")
        return self.machine.run("docker", "volume", "ls", "--quiet", *labeled).split()


@pytest.fixture(scope="module")
def repository(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    desk = make_desk(tmp_path_factory.mktemp("run") / "home", trusting=False, engines=True)
    (desk.home / ".ssh/known_hosts").write_text(machine.known_hosts)
    (desk.home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    places = {"far": {"docker": machine.docker, "seed": True}}
    with desk.paths.settings.open("a") as settings:
        settings.write(f"places: {json.dumps(places)}\n")
    made = Repository(desk, machine, desk.home / "code/app")
    made.top.mkdir(parents=True)
    (made.top / "file").write_text("one\n")
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", ".")
    made.git("commit", "--quiet", "--message=one")
    subprocess.run(["chown", "-R", "1000:1000", made.top], check=True)
    with tempfile.TemporaryDirectory() as runtime:  # paths of sockets are short
        path = f"{machine.ssh}/bin:{desk.environment['PATH']}"
        desk.environment.update(PATH=path, XDG_RUNTIME_DIR=runtime)
        try:
            yield made
        finally:
            with machine.shared():
                made.companion("remove", "app", "--volumes", "--discard")


def test_an_agent_works_on_a_copy_there_and_its_work_comes_back(repository: Repository):
    repository.companion("run", "codex", "--yes", "--on", "far").ok()
    (there,) = repository.inside("pwd")
    look = "stat -c %U . .git/config && cat file && git status --short"
    assert repository.inside(look) == ["agent", "agent", "one"]
    repository.inside("echo two >>file && git commit --quiet --all --message=two")
    assert repository.git("log", "--format=%s").split() == ["one"]
    repository.git("fetch", "--quiet", f"app.sandbox:{there}", "main")
    assert repository.git("log", "--format=%s by %an", "FETCH_HEAD").splitlines()[0] == "two by Ada"
    repository.git("push", "--quiet", f"app.sandbox:{there}", "main:refs/heads/from-desktop")
    assert repository.inside("git log --format=%s from-desktop") == ["one"]
    repository.companion("cp", f"app:{there}/file", str(repository.desk.home / "copied")).ok()
    assert (repository.desk.home / "copied").read_text() == "one\ntwo\n"
    assert (repository.top / "file").read_text() == "one\n"


def test_it_comes_back_there_until_it_is_removed_with_its_copy(repository: Repository):
    repository.companion("down").ok()
    assert repository.volumes
    repository.companion("run", "--yes").ok()
    assert repository.companion("status", "--json").ok().agent["place"] == "far"
    assert repository.inside("cat file") == ["one", "two"]
    repository.companion("remove", "app", "--volumes").ok()
    assert repository.volumes == []
