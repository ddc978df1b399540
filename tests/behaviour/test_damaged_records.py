"""A record that cannot be read: what the desktop knows of its sandbox stays as it is."""

import json
from pathlib import Path

from desk import AGENT, Desk
from fake_project import fresh

from companion.desktop import ssh_config
from companion.system import files
from companion.system.project_paths import AgentPaths
from ssh import keys

CONFIG = AGENT.replace(
    'runtime: {base_image: "debian:bookworm-slim"}',
    'runtime: {base_image: "debian:bookworm-slim", acp_cmd: [acp]}',
)


def test_entries_of_a_damaged_record_stay_until_the_agent_is_removed(desk: Desk):
    settings = [
        desk.home / ".config" / name for name in ("Code/User/settings.json", "zed/settings.json")
    ]
    for file in settings:
        file.parent.mkdir(parents=True)
    project = desk.project(CONFIG)
    desk.companion("-C", str(project), "generate").ok()

    record = the_record(desk)
    agent_paths = AgentPaths(record.parent)
    files.write(agent_paths.host_key.with_suffix(".pub"), keys.generate("host").public)

    def entries() -> list[str]:
        ssh_config.sync(desk.paths)
        desk.companion("editors", "sync")
        return [file.read_text() if file.exists() else "" for file in settings]

    before = entries()
    assert all("coder.sandbox" in text for text in before)
    assert "agent_servers" in before[1]
    text = record.read_text()
    record.write_text("{")
    assert entries() == before
    record.write_text(text)
    assert entries() == before
    record.unlink()
    assert entries() == ["", ""]


def test_a_sandbox_of_version_0_1_goes_on_and_the_state_of_a_newer_one_is_left_alone(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    record = the_record(desk)
    now = json.loads(record.read_text())
    nested = ("applied", "config")
    flat = {name: value for name, value in now.items() if name not in ("version", *nested)}
    applied = {name: held for name, held in now["applied"].items() if name != "version"}
    record.write_text(json.dumps(flat | applied | now["config"]))
    before = fake.world["containers"]
    assert fake.companion("status", "--json").ok().agent["state"] == "running"
    fake.companion("up").ok()
    assert fake.world["containers"] == before, "nothing is made again"
    newer = json.dumps(now | {"version": 99})
    record.write_text(newer)
    refused = fake.companion("up")
    assert refused.code == 1
    assert "coder/agent.json was written by a newer Companion" in refused.err
    assert "tip: update Companion" in refused.err
    assert fake.world["containers"] == before
    fake.companion("down").ok()
    assert not fake.world["containers"]
    assert record.read_text() == newer


def the_record(desk: Desk) -> Path:
    (record,) = (desk.home / ".local/state/companion/projects").glob("*/coder/agent.json")
    return record
