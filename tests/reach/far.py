"""A second machine as tests see it: how to reach its engines, and what is on them."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from desk import ROOT

SCRIPT = ("bash", str(ROOT / "scripts/second_machine.sh"))


@dataclass(frozen=True)
class Machine:
    """Where the second machine's engines answer, and the directory with what ssh needs for it."""

    ssh: str
    docker: str
    podman: str

    @contextmanager
    def shared(self, *, alone: bool = False) -> Iterator[None]:
        """Use it beside other processes, or `alone`: tests of the other engine reach it, too."""
        with Path(self.ssh, "users").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield

    def environment(self, engine: str) -> dict[str, str]:
        """Return the variables by which a client finds an engine there; PATH has an ssh for it."""
        if engine == "docker":
            return {"DOCKER_HOST": self.docker}
        return {"CONTAINER_HOST": self.podman, "CONTAINER_SSHKEY": f"{self.ssh}/id"}

    @property
    def known_hosts(self) -> str:
        """The public keys of its sshd."""
        return Path(self.ssh, "known_hosts").read_text()

    def run(self, *command: str) -> str:
        """Run a command there, not through ssh, and return what it prints."""
        done = subprocess.run(
            [*SCRIPT, "exec", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
