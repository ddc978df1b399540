"""The second machine is another one: tests of remote engines say nothing if it shares ours."""

import os
import subprocess
from pathlib import Path

import pytest
from far import Machine

pytestmark = pytest.mark.reach


def test_it_shares_neither_files_nor_processes_nor_networks(machine: Machine, tmp_path: Path):
    (tmp_path / "here").write_text("")
    seen = machine.run("sh", "-c", f"ls -d {tmp_path} {Path(__file__)} {Path.home()}/* || true")
    assert seen == ""
    for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup"):
        file = f"/proc/self/ns/{kind}"
        assert machine.run("readlink", file).strip() != str(Path(file).readlink())


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_its_engines_answer_over_ssh_and_are_not_ours(
    machine: Machine, engine: str, tmp_path: Path
):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(machine.known_hosts)
    variables = machine.environment(engine) | {"HOME": str(tmp_path)}
    path = f"{machine.ssh}/bin:{os.environ['PATH']}"
    name = "{{.Name}}" if engine == "docker" else "{{.Host.Hostname}}"
    argv = [engine, "info", "--format", name]
    there = subprocess.run(
        argv,
        env=os.environ | variables | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == machine.run("hostname")
