"""A disk that takes no more is the user's problem, said in one line; nothing is half-written."""

import subprocess
from pathlib import Path

from desk import AGENT, COMPANION, Desk


def generate_on_a_full_disk(desk: Desk, project: Path) -> "subprocess.CompletedProcess[str]":
    """Generate where every write of a byte fails, as on a full disk."""
    script = 'ulimit -f 0 && exec "$0" -C "$1" generate'
    return subprocess.run(
        ["bash", "-c", script, COMPANION, project],
        env=desk.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def everything(top: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in top.rglob("*") if p.is_file()}


def test_a_full_disk_is_reported_with_a_tip_and_the_next_run_goes_on(desk: Desk):
    project = desk.project()
    done = generate_on_a_full_disk(desk, project)
    assert done.returncode == 1, done.stderr
    error, tip = done.stderr.splitlines()
    assert error.startswith("error: cannot write ")
    assert tip.startswith("tip: make room ")
    assert not (project / ".build").exists()
    assert not [p for p in desk.home.rglob("*") if p.name.endswith((".new", ".old"))]
    desk.companion("-C", str(project), "generate").ok()


def test_a_full_disk_leaves_what_was_generated_before(desk: Desk):
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    (project / "agent.yaml").write_text(AGENT.replace("listed", "open"))
    before = everything(desk.home)
    assert generate_on_a_full_disk(desk, project).returncode == 1
    assert everything(desk.home) == before
    desk.companion("-C", str(project), "generate").ok()
    assert everything(desk.home) != before
