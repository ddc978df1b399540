"""companion uninstall: nothing of ours stays, nothing of the user's goes."""

from pathlib import Path

from desk import Desk
from fake_project import fresh

VSCODE = '{\n  // mine\n  "editor.fontSize": 14\n}\n'


def files(home: Path) -> dict[str, bytes]:
    """Return every file of a home but what the fake engine and the project hold."""
    ours = ("world.", "programs/")
    found = {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}
    return {name: text for name, text in found.items() if not name.startswith(ours)}


def test_after_uninstall_the_home_is_as_it_was(desk: Desk):
    settings = desk.home / ".config/Code/User/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(VSCODE)
    (desk.home / ".ssh/config").write_text("Host mine\n  Port 7\n")
    fake = fresh(desk)
    before = files(desk.home)
    fake.companion("up", "--yes").ok()
    desk.companion("editors", "sync").ok()
    desk.companion("autostart", "on").ok()
    assert files(desk.home) != before
    refused = desk.companion("uninstall")
    assert refused.code == 1
    assert "--yes" in refused.err
    desk.companion("uninstall", "--yes").ok()
    after = files(desk.home)
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) <= {"project/.env.example"}
    world = fake.world
    assert not world["containers"]
    assert not world["networks"]
    assert not world["images"]
    assert desk.companion("uninstall", "--yes").ok().out.startswith("forgot 0 projects")
