"""What is private stays private: under any umask, beside planted links, in a strange directory."""

import os
import stat
from pathlib import Path

import pytest
from desk import Desk
from fake_project import fresh


def private_roots(desk: Desk) -> list[Path]:
    return [desk.home / ".local" / name for name in ("state/companion", "share/companion")]


def modes(root: Path) -> dict[Path, int]:
    found = (path for path in (root, *root.rglob("*")) if not path.is_symlink())
    return {path: stat.S_IMODE(path.lstat().st_mode) for path in found}


def is_secret(path: Path) -> bool:
    return path.is_file() and (path.parent.name == "secrets" or b"PRIVATE KEY" in path.read_bytes())


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_no_umask_opens_or_closes_what_we_write(desk: Desk, mask: int):
    fake = fresh(desk)
    before = os.umask(mask)
    try:
        fake.companion("up", "--yes").ok()
    finally:
        os.umask(before)
    for root in (*private_roots(desk), fake.project / ".build"):
        found = modes(root)
        assert not {path: f"{mode:o}" for path, mode in found.items() if mode & 0o022}
        assert {mode for path, mode in found.items() if is_secret(path)} <= {0o600}
        for_the_gateway = [
            m for p, m in found.items() if p.is_file() and p.parent.name == "gateway"
        ]
        assert set(for_the_gateway) <= {0o644}
    assert {modes(root)[root] for root in private_roots(desk)} == {0o700}
    context = fake.project / ".build/coder/agent"
    assert {modes(context)[p] for p in (context, *context.rglob("*")) if p.is_dir()} == {0o755}


def test_a_planted_link_is_replaced_and_what_it_leads_to_is_left(desk: Desk):
    fake = fresh(desk)
    fake.companion("up", "--yes").ok()
    state = next((desk.home / ".local/state/companion/projects").glob("*/coder"))
    victim = desk.home / "victim"
    victim.write_text("mine\n")
    victim.chmod(0o644)
    planted = [path for path in state.rglob("*") if path.is_file() and path.suffix != ".lock"]
    for path in planted:
        path.unlink()
        path.symlink_to(victim)
    fake.companion("down")
    (fake.project / ".env").write_text("KEY=two\n")
    fake.companion("up", "--yes")
    assert victim.read_text() == "mine\n"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert not [path for path in planted if is_secret(path) and path.is_symlink()]


@pytest.mark.parametrize(
    ("what", "says"), [("owner", "{} belongs to another user"), ("mode", "others may write to {}")]
)
def test_a_state_directory_that_somebody_else_could_fill_is_not_used(
    desk: Desk, what: str, says: str
):
    state = desk.home / ".local/state/companion"
    state.mkdir(parents=True)
    if what == "mode":
        state.chmod(0o770)
    elif os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    else:
        pytest.skip("only root can give a directory away")
    project = desk.project()
    done = desk.companion("-C", str(project), "up", "--yes")
    assert done.code == 1
    assert says.format(state) in done.err
    assert not list(state.iterdir())
