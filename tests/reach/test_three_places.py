"""One project on a laptop, on an engine behind SSH and on a cluster, as its user types it.

With `--update`, what the user types and sees is kept in docs/three-places.md.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import place
import pytest
from desk import ROOT, Desk, make_desk
from far import Machine
from node import Cluster
from place import Place
from sandboxes import wait_until
from shell import Shell, at_terminal

pytestmark = [pytest.mark.reach, pytest.mark.timeout(2400)]
ADA = Path("/home/ada")
KEY = "sk-canary-openai-3a77"
AGENT = """\
name: coder
runtime: codex
egress: {mode: listed, allow: [pypi.org]}
features:
  - plugin: ssh
  - plugin: codex
    api_key: ${OPENAI_API_KEY}
"""
PLACES = """\
places:
  build: {{docker: "ssh://build.example"}}
  team:
    kubernetes:
      context: work
      namespace: {0}
      registry: {1}/{0}
"""
SSH = """\
Host build.example
  HostName {address}
  User root
  IdentityFile {machine.ssh}/id
  UserKnownHostsFile {machine.ssh}/known_hosts
"""
CLOSED = "ssh coder.sandbox 'curl -s example.com | fold -s'"


@dataclass
class Recording:
    """A shell in a project, and what was typed and shown there."""

    place: Place
    shell: Shell
    pages: list[str] = field(default_factory=list)

    def types(self, command: str, *questions: str) -> str:
        """Type a command, and yes at each question; return what it showed."""
        before = self.shell.transcript()
        self.shell.type(command, "Enter")
        for question in questions:
            self.shell.expect(question, 400)
            self.shell.type("y", "Enter")
        prompts = before.count("ada@desk:") + 1
        wait_until(lambda: self._is_done(prompts), 400, self.shell.transcript)
        return self.shell.transcript().removeprefix(f"{before} {command}")

    def _is_done(self, prompts: int) -> bool:
        text = self.shell.transcript()
        return text.count("ada@desk:") == prompts and text.endswith("$")

    def keep(self, title: str) -> None:
        """Keep what was shown since the last page, and begin another one."""
        text = self.shell.transcript().rpartition("\n")[0]
        self.pages.append(f"## {title}\n\n```text\n{text}\n```\n")
        self.shell.clear()


@pytest.fixture
def laptop(
    machine: Machine, cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Recording]:
    home, name = tmp_path / "home", f"three-{os.getpid()}"
    with ExitStack() as stack:
        if request.config.getoption("--update"):
            home, name = ADA, "agents"
            ADA.mkdir()
            stack.callback(shutil.rmtree, ADA)
        desk = make_desk(home, trusting=False, engines=True)
        made = stack.enter_context(place.made(cluster, name, tmp_path, desk))
        prepare(desk, machine, made, stack)
        project = desk.project(AGENT, "code/app", __env=f"OPENAI_API_KEY={KEY}\n")
        stack.callback(desk.companion, "-C", str(project), "down", "--volumes")
        yield Recording(made, stack.enter_context(at_terminal(desk, project, tmp_path / "tmux")))


def prepare(desk: Desk, machine: Machine, made: Place, stack: ExitStack) -> None:
    """Give a user what reaches the machine and the cluster: files of ssh and kubectl, and places.

    OpenSSH ignores HOME, so the first `ssh` on the path names the user's own file.
    """
    address = machine.docker.partition("@")[2]
    (desk.home / ".ssh/config").write_text(SSH.format(address=address, machine=machine))
    programs = desk.home / ".local/bin"
    programs.mkdir(parents=True)
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {desk.home}/.ssh/config "$@"\n')
    ssh.chmod(0o755)
    config = desk.home / ".kube/config"
    config.parent.mkdir()
    user = made.space.cluster.config.with_name("user.conf").read_text()
    config.write_text(re.sub(r"\btest\b", "work", user))
    settings = desk.home / ".config/companion/settings.yaml"
    kept = settings.read_text().partition("places:\n")[0]
    settings.write_text(kept + PLACES.format(made.space.name, made.space.cluster.registry))
    runtime = stack.enter_context(tempfile.TemporaryDirectory())  # paths of sockets are short
    path = f"{programs}:{desk.environment['PATH']}"
    del desk.environment["KUBECONFIG"]
    desk.environment |= {"PATH": path, "XDG_RUNTIME_DIR": runtime}


def test_it_moves_from_place_to_place_and_keeps_its_alias(
    laptop: Recording, request: pytest.FixtureRequest
):
    laptop.shell.clear()
    answers = [on_the_laptop(laptop), behind_ssh(laptop), on_a_cluster(laptop)]
    assert len(set(answers)) == 1
    assert "refused, this host is not in the egress list" in answers[0]
    text = "\n".join(laptop.pages)
    strange = (KEY, str(ROOT), "companion-dev", "pytest", "Traceback")
    assert not [word for word in strange if word in text]
    if request.config.getoption("--update"):
        page = ROOT / "docs/three-places.md"
        head = page.read_text().partition("\n## ")[0]
        page.write_text(f"{head.rstrip()}\n\n{text}")


def on_the_laptop(laptop: Recording) -> str:
    laptop.types("cat agent.yaml")
    laptop.types("tail -n 7 ~/.config/companion/settings.yaml")
    laptop.types("companion up", "Start it?", "Add it at the top?")
    laptop.types("ssh coder.sandbox hostname")
    said = laptop.types(CLOSED)
    laptop.types("ssh coder.sandbox 'echo half done >notes.md'")
    laptop.types("companion cp coder:notes.md .")
    laptop.keep("On the laptop")
    return said


def behind_ssh(laptop: Recording) -> str:
    assert "leaving podman" in laptop.types("companion up --on build")
    laptop.types("ssh coder.sandbox hostname")
    said = laptop.types(CLOSED)
    assert "coder-gateway" in laptop.types("ssh build.example docker ps --format '{{.Names}}'")
    laptop.types("companion cp notes.md coder:")
    assert "\nhalf done\n" in laptop.types("ssh coder.sandbox cat notes.md")
    laptop.keep("On a machine behind SSH")
    return said


def on_a_cluster(laptop: Recording) -> str:
    assert "leaving build" in laptop.types("companion up --on team")
    laptop.types("ssh coder.sandbox hostname")
    said = laptop.types(CLOSED)
    namespace = laptop.place.space.name
    assert "pod/coder-" in laptop.types(f"kubectl -n {namespace} get pods -o name")
    assert "kubernetes at team" in laptop.types("companion status")
    laptop.types("companion down")
    laptop.keep("On a cluster")
    return said
