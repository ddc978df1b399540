"""What does a test drive? The real command as a user with a home of their own."""

import atexit
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import forked

from companion.engine.dialect import DIALECTS
from companion.system.paths import Paths

ROOT = Path(__file__).parent.parent
COMPANION = Path(sys.executable).parent / "companion"
CANARY = "sk-canary-7c1e90Kx4Vq2"
TRACES = (CANARY, base64.b64encode(CANARY.encode()).decode()[:16])
"""What a secret looks like, as it is and as the gateway is given it."""
STAND_INS = (
    "images:\n"
    "  docker.io/library/node:24-slim: localhost/companion/node:24-slim\n"
    "  docker.io/library/debian:bookworm-slim: localhost/companion/debian:bookworm-slim\n"
)
AGENT = """\
name: coder
runtime: {base_image: "debian:bookworm-slim"}
egress: listed
features:
  - plugin: ssh
"""


@dataclass
class Done:
    """What one run of companion left."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)["data"]

    @property
    def agent(self) -> Any:
        """What a command said of a project's one agent."""
        (only,) = self.data["agents"]
        return only

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each: `where: what; what to do`."""
        lines = re.sub(r"\ntip: ", "; ", self.err).splitlines()
        return [line.partition(": ")[2] for line in lines if re.match("(error|warning): ", line)]

    def ok(self) -> "Done":
        assert self.code == 0, f"exit code {self.code}\n{self.err}\n{self.out}"
        return self


@dataclass
class Desk:
    """A desktop user with a home of their own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def companion(self, *arguments: str, cwd: Path | None = None, stdin: str = "") -> Done:
        if "MUTANT_UNDER_TEST" in os.environ:
            return self._within(*arguments, cwd=cwd or self.home)
        argv, cwd = [str(COMPANION), *arguments], cwd or self.home
        if forked.can_run(self.environment):
            done = forked.run(argv, self.environment, cwd, stdin)
        else:
            done = subprocess.run(
                argv,
                env=self.environment,
                cwd=cwd,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
            )
        no_secret_in(done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def _within(self, *arguments: str, cwd: Path) -> Done:
        """Run companion in this process: `make mutants` changes the code that is loaded here."""
        from companion.cli.main import main

        out, err, kept, mutant = StringIO(), StringIO(), dict(os.environ), "MUTANT_UNDER_TEST"
        os.environ.clear()
        os.environ.update(self.environment | {mutant: kept[mutant]})
        try:
            with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
                code = main(arguments)
        finally:
            os.environ.clear()
            os.environ.update(kept)
        return Done(code, out.getvalue(), err.getvalue())

    @property
    def paths(self) -> Paths:
        """The user's places, for calls in this process."""
        inner = (".config", ".local/share", ".local/state")
        ours = (self.home / directory / "companion" for directory in inner)
        return Paths(self.home, *ours, self.home / ".config")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a run of companion and do not wait for it."""
        return subprocess.Popen(
            [COMPANION, *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def project(self, text: str = AGENT, name: str = "project", **others: str) -> Path:
        """Make a project; `others` are further files, `__` in a name stands for a dot."""
        directory = self.home / name
        (directory / "work").mkdir(parents=True, exist_ok=True)
        (directory / "agent.yaml").write_text(text)
        for other, content in others.items():
            (directory / other.replace("__", ".")).write_text(content)
        return directory

    def ssh(self, alias: str, command: str, *options: str) -> Done:
        argv = ["ssh", "-F", self.home / ".ssh/config", "-o", "BatchMode=yes", *options, alias]
        done = subprocess.run(
            [*argv, command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


RENAMES = "?rename,renameat,renameat2"
"""Each file of ours is replaced by one of these."""
SPAWNS = "?vfork,?fork,clone"
"""Each program is started by one of these; threads are made by clone3."""


def killed_at(
    desk: Desk, calls: str, number: int, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """Run companion, and kill it as it is about to make such a system call for the n-th time.

    Only its main thread is traced: what it starts is left alone.
    """
    kill = f"inject={calls}:signal=KILL:when={number}"
    argv = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", kill]
    return subprocess.run(
        [*argv, COMPANION, *arguments],
        env=desk.environment,
        cwd=desk.home,
        capture_output=True,
        text=True,
        check=False,
    )


def no_secret_in(*texts: str) -> None:
    """Whatever a test is about: what companion says to anybody has no secret in it."""
    assert not [text for text in texts for trace in TRACES if trace in text]


def make_desk(home: Path, *, trusting: bool = True, engines: bool = False) -> Desk:
    """Make a home; its owner trusts whatever lies in it, unless a test is about that.

    The engines of this machine are found from it only if a test is about them: asking them takes
    seconds, and what they answer depends on what else they store.
    """
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / ".config/companion").mkdir(parents=True)
    settings = f"trust: {{always: [{json.dumps(str(home))}]}}\n" if trusting else ""
    if needs_stand_ins():
        settings += STAND_INS
    (home / ".config/companion/settings.yaml").write_text(settings)
    strange = ("XDG_", "COMPANION", "PYTHON")  # users keep compiled modules
    kept = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    programs = kept["PATH"] if engines else programs_but(*DIALECTS)
    return Desk(home, kept | {"HOME": str(home), "PATH": programs})


@cache
def programs_but(*left_out: str) -> str:
    """Return a PATH that leads to all programs of this machine except these."""
    top = Path(tempfile.mkdtemp(prefix="companion-programs-"))
    atexit.register(shutil.rmtree, top)
    entries = os.environ["PATH"].split(":")
    for number, entry in enumerate(entries):
        if any(Path(entry, name).exists() for name in left_out):
            entries[number] = str(top / str(number))
            Path(entries[number]).mkdir()
            for program in Path(entry).iterdir():
                if program.name not in left_out:
                    Path(entries[number], program.name).symlink_to(program)
    return ":".join(entries)


@cache
def needs_stand_ins() -> bool:
    """Tell whether base-images.sh made local stand-ins: where a registry answers it makes none."""
    return any(has_image(e, "localhost/companion/debian:bookworm-slim") for e in answering())


def has_image(engine: str, image: str) -> bool:
    argv = [engine, "image", "inspect", image]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@cache
def answering() -> list[str]:
    probes = {"docker": "{{.Server.Version}}", "podman": "{{.Client.Version}}"}
    return [e for e, f in probes.items() if shutil.which(e) and _answers(e, f)]


def _answers(engine: str, shape: str) -> bool:
    argv = [engine, "version", "--format", shape]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
