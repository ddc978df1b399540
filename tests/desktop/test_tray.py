"""The real tray without an engine: menu, clicks, notifications, and what is missing."""

import subprocess
from contextlib import chdir
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket

import pytest
from desk import AGENT, CANARY, COMPANION, Desk, make_desk, no_secret_in
from fake_project import Fake, agree, changes, config
from panel import until
from trays import Tray, tray

PASTED = [
    f"{AGENT}  - plugin: github-pat\n    token: {CANARY}\n",
    f"{AGENT}  - plugin: pi\n    provider_keys: {{openai {CANARY}}}\n",
    f"{AGENT}{CANARY}: \n",
    f"{AGENT}    authorized_keys: {CANARY}\n",
    f"KEY {CANARY}",
]
DASH = "\N{EN DASH}"
BROKEN = AGENT.replace("egress: listed", "egress: lsited")


def texts(rows) -> list[str]:
    return [row.text for row in rows]


def test_without_a_project_the_menu_offers_to_add_one(alone: Tray):
    assert texts(alone.panel.rows()) == [
        *("No project yet", "-", "Add project…", "-", "Recent events", "Settings", "Help", "-"),
        "Quit (sandboxes keep running)",
    ]
    settings = ["Pause watching", "Start at login", "Edit settings.yaml"]
    assert texts(alone.panel.find("Settings").rows) == settings
    properties = alone.panel.properties()
    assert properties["Title"] == "Companion: No project yet"
    assert properties["Status"] == "Active"
    sizes = [(width, len(data)) for width, _, data in properties["IconPixmap"]]
    assert sizes == [(n, n * n * 4) for n in (16, 22, 24, 32, 48, 64)]


def test_one_project_lies_flat_and_several_have_a_submenu_each(alone: Tray):
    desk, panel = alone.desk, alone.panel
    desk.companion("add", str(desk.project())).ok()
    until(lambda: "Start" in texts(panel.rows()))
    assert texts(panel.rows())[:13] == [
        *(f"○ project {DASH} stopped", "-", "Open in VS Code", "Open in", "Terminal", "Logs"),
        *("Edit agent.yaml", "-", "Start", "Upgrade its agent program", "Stop", "Remove…", "-"),
    ]
    assert texts(panel.find("Open in").rows) == ["VS Code", "Zed"]
    second = desk.project(AGENT.replace("coder", "aaa"), name="second")
    desk.companion("add", str(second)).ok()
    shown = [f"○ project {DASH} stopped", f"○ second {DASH} stopped"]
    until(lambda: texts(panel.rows())[2:4] == shown)
    assert panel.rows()[0].text == "○ 2 stopped"
    assert not {"Start", "Restart"} <= {*texts(panel.find("second").rows)}
    assert panel.find("Start all").enabled
    assert not panel.find("Stop all").enabled
    desk.companion("remove", str(second)).ok()
    until(lambda: "Start" in texts(panel.rows()))
    assert second.joinpath("agent.yaml").exists()


def test_clicks_start_the_desktops_programs(alone: Tray):
    desk, panel = alone.desk, alone.panel
    project = desk.project()
    asks = alone.programs / "zenity"
    asks.write_text(f"{asks.read_text()}echo {project}\n")
    panel.click("Add project…")
    until(lambda: "Edit agent.yaml" in texts(panel.rows()))
    panel.click("Edit agent.yaml")
    until(lambda: alone.called("xdg-open") == [str(project / "agent.yaml")])
    panel.click("Logs")
    until(lambda: alone.called("x-terminal-emulator")[-3:] == ["logs", "coder", "--follow"])
    panel.click("Help/Run doctor")
    until(lambda: alone.called("x-terminal-emulator")[-1:] == ["doctor"])
    panel.click("Remove…")
    until(lambda: "--text=Remove the sandbox project?" in alone.called("zenity"))
    panel.wait_for_note("project was removed")
    until(lambda: panel.rows()[0].text == "No project yet")
    assert (project / "agent.yaml").exists()


def test_a_mistake_is_shown_with_its_place_and_a_click_leads_there(alone: Tray):
    desk, panel = alone.desk, alone.panel
    project = desk.project(BROKEN)
    desk.project(AGENT)
    desk.companion("add", str(project)).ok()
    until(lambda: "Start" in texts(panel.rows()))
    idle = panel.properties()["IconPixmap"]
    (project / "agent.yaml").write_text(BROKEN)
    note = panel.wait_for_note("project: change not applied")
    assert note.text.startswith("agent.yaml:3:9: ")
    assert note.actions == ["default", "Open agent.yaml"]
    assert panel.properties()["Title"].startswith("Companion: project: agent.yaml:3:9: ")
    assert panel.properties()["IconPixmap"] != idle
    panel.click_note(note)
    until(lambda: alone.called("xdg-open") == [str(project / "agent.yaml")])
    (project / "agent.yaml").write_text(AGENT)
    until(lambda: panel.properties()["IconPixmap"] == idle)


@pytest.mark.parametrize("mistake", PASTED)
def test_a_secret_in_the_wrong_place_is_shown_nowhere(alone: Tray, mistake: str):
    desk, panel = alone.desk, alone.panel
    project = desk.project(AGENT)
    desk.companion("add", str(project)).ok()
    until(lambda: "Start" in texts(panel.rows()))
    (project / ("agent.yaml" if "\n" in mistake else ".env")).write_text(mistake)
    note = panel.wait_for_note("project: change not applied")
    shown = (note.text, panel.properties()["Title"], *texts(panel.rows()))
    assert note.text.startswith((".env:1:1", "agent.yaml:"))
    no_secret_in(*shown)


def test_what_a_notification_says_is_not_markup(alone: Tray):
    project = alone.desk.project(AGENT)
    alone.desk.companion("add", str(project)).ok()
    until(lambda: "Start" in texts(alone.panel.rows()))
    (project / "agent.yaml").write_text(AGENT.replace("egress: listed", "'<b>x</b>&': 1"))
    assert "&lt;b&gt;x&lt;/b&gt;&amp;" in alone.panel.wait_for_note("change not applied").text


def test_an_mcp_server_without_a_token_is_shown_beside_the_sandbox_that_runs(
    desk: Desk, tmp_path: Path
):
    server = "mcp-oauth\n    providers: {n: {mcp_url: 'https://mcp.test'}}"
    text = AGENT.replace("plugin: ssh", f"plugin: {server}")
    fake = Fake(desk, desk.project(f"{text}container_runtime: podman\n"))
    desk.companion("-C", str(fake.project), "add").ok()
    with tray(desk, tmp_path) as running:
        running.panel.wait_for_icon()
        until(lambda: "Start" in texts(running.panel.rows()))
        running.panel.click("Start")
        note = running.panel.wait_for_note("project: needs attention")
        assert note.text == "agent.yaml:6:17: n is not authorized yet\nRun `companion oauth n`"
        running.panel.click_note(note)
        until(lambda: running.called("x-terminal-emulator")[-2:] == ["oauth", "n"])
        title = running.panel.properties()["Title"]
        assert title.startswith("Companion: project: agent.yaml:6:17: n is not authorized yet")


def test_what_a_checkout_opens_waits_for_the_users_answer(tmp_path: Path):
    """*Show* leads to the whole question, *Ignore* leaves it, *Apply* agrees to what was shown."""
    desk = make_desk(tmp_path / "home", trusting=False)
    fake = Fake(desk, desk.project(config(), __env="KEY=one\n"))
    agree(fake).ok()
    fake.companion("up").ok()
    with tray(desk, tmp_path) as running:
        panel = running.panel
        panel.wait_for_icon()
        until(lambda: panel.properties()["Title"] == "Companion: project is running")
        idle = panel.properties()["IconPixmap"]
        agent_yaml = fake.project / "agent.yaml"
        agent_yaml.write_text(config(pids=600) + '    ports: ["0.0.0.0:4809:80"]\n')
        note = panel.wait_for_note("project asks for more than you agreed to")
        assert note.text == "• answers on 0.0.0.0:4809 (open to other machines, too)"
        assert note.actions == ["default", "Show", "0", "Show", "1", "Apply", "2", "Ignore"]
        assert panel.properties()["IconPixmap"] != idle
        panel.click_note(note, "2")
        panel.click("Review what it asks for…")
        asked = ["-C", str(fake.project), "trust"]
        until(lambda: running.called("x-terminal-emulator")[-3:] == asked)
        agent_yaml.write_text(config(pids=601) + '    ports: ["0.0.0.0:4810:80"]\n')
        until(lambda: "4810" in panel.wait_for_note("asks for more").text)
        read = agent_yaml.read_text()
        panel.click("Settings/Pause watching")
        agent_yaml.write_text(read.replace("4810", "4811"))
        panel.answer(panel.wait_for_note("asks for more"), "1")
        assert "its files changed since it asked" in panel.wait_for_note("Action failed").text
        agent_yaml.write_text(read)
        panel.click("Settings/Pause watching")
        panel.answer(panel.wait_for_note("asks for more"), "1")
        panel.wait_for_note("project is ready")
        until(lambda: panel.properties()["IconPixmap"] == idle)


def test_a_refused_host_is_asked_about_once_and_a_click_lets_it_through(desk: Desk, tmp_path: Path):
    fake = Fake(desk, desk.project(config(), __env="KEY=one\n"))
    fake.companion("up").ok()
    agent = fake.desk.paths.project(next(desk.paths.projects.iterdir()).name).agent("coder")
    text = (fake.project / "agent.yaml").read_text()

    def log(host: str, why: str = "egress") -> None:
        """Do as the gateway does when an agent asks for a host."""
        line = f"tls {host} port=443 to=tls why={why} bytes=517/0 ms=3 term=PR"
        with chdir(agent.control), socket(AF_UNIX, SOCK_DGRAM) as gateway:
            gateway.sendto(line.encode(), "log.sock")  # a whole path may be too long

    def once() -> str:
        return agent.once.read_text() if agent.once.exists() else ""

    with tray(desk, tmp_path) as running:
        panel = running.panel
        panel.wait_for_icon()
        until((agent.control / "log.sock").exists)
        for host in ("10.0.0.1", "db", "printer.local", "astral.sh", "astral.sh"):
            log(host)
        note = panel.wait_for_note("project was refused astral.sh")
        assert note.actions == ["default", "Show", *("0", "Show", "1", "Allow once", "2", "Always")]
        assert texts(panel.find("Refused hosts (1)").rows)[:1] == ["astral.sh"]
        panel.answer(note, "1")
        until(lambda: "astral.sh" in once())
        until(lambda: "astral.sh" in (agent.gateway / "hosts.map").read_text())
        until(lambda: "Refused hosts (1)" not in texts(panel.rows()))
        assert (fake.project / "agent.yaml").read_text() == text
        log("pypi.org")
        panel.answer(panel.wait_for_note("project was refused pypi.org"), "2")
        until(lambda: "pypi.org" in (agent.gateway / "hosts.map").read_text())
        assert (
            "allow: [h0.test, h1.test, h2.test, pypi.org]"
            in (fake.project / "agent.yaml").read_text()
        )
        for number in range(40):
            log(f"n{number}.test")
        panel.wait_for_note("project was refused more hosts")
        shown = [n for n in panel.notes if "was refused n" in n.title]
        assert len(shown) <= 3
        assert len([n for n in panel.notes if "was refused astral.sh" in n.title]) == 1


def test_a_sandbox_that_something_else_removed_is_announced_once(desk: Desk, tmp_path: Path):
    fake = Fake(desk, desk.project(config(), __env="KEY=one\n"))
    fake.companion("up").ok()
    with tray(desk, tmp_path) as running:
        panel = running.panel
        panel.wait_for_icon()
        until(lambda: "nothing to do" in running.log.read_text())
        until(lambda: panel.rows()[0].text.endswith("running"))
        fake.set(containers={})
        note = panel.wait_for_note("project was stopped")
        assert note.text == "Its container was removed outside Companion"
        panel.click_note(note)
        panel.wait_for_note("project is ready")
        until(lambda: panel.rows()[0].text.endswith("running"))
        fake.companion("down").ok()
        until(lambda: panel.rows()[0].text.endswith("stopped"))
        assert panel.said.count("was stopped") == 1
        happened = texts(panel.find("Recent events").rows)
        assert any("project: its container was removed" in text for text in happened)


def test_a_project_that_somebody_else_wrote_is_not_started_from_the_menu(tmp_path: Path):
    desk = make_desk(tmp_path / "home", trusting=False)
    fake = Fake(desk, desk.project(config(), __env="KEY=one\n"))
    with tray(desk, tmp_path) as running:
        panel = running.panel
        panel.wait_for_icon()
        (running.programs / "zenity").write_text(f"#!/bin/sh\necho {fake.project}\n")
        panel.click("Add project…")
        until(
            lambda: running.called("x-terminal-emulator")[-3:] == ["-C", str(fake.project), "trust"]
        )
        until(lambda: "Start" in texts(panel.rows()))
        panel.click("Start")
        note = panel.wait_for_note("project is not trusted yet")
        assert note.actions == ["default", "Show", "0", "Show", "1", "Ignore"]
        assert not changes(fake)


def test_pausing_and_starting_at_login_are_remembered(alone: Tray):
    desk, panel = alone.desk, alone.panel
    panel.click("Settings/Pause watching")
    until(lambda: panel.find("Settings/Pause watching").checked)
    assert panel.rows()[0].text == "Watching is paused"
    desk.companion("resume", "--all").ok()
    until(lambda: not panel.find("Settings/Pause watching").checked)
    panel.click("Settings/Start at login")
    until(lambda: panel.find("Settings/Start at login").checked)
    entry = desk.home / ".config/autostart/companion.desktop"
    subprocess.run(["desktop-file-validate", entry], check=True)
    assert "starts at login" in desk.companion("autostart", "status").ok().out
    desk.companion("autostart", "off").ok()
    assert not entry.exists()
    assert not panel.find("Settings/Start at login").checked


def test_a_second_start_says_that_it_runs(alone: Tray):
    second = alone.desk.companion("tray")
    assert second.code == 1
    assert "companion is running already" in second.err
    alone.panel.wait_for_note("already running")
    assert alone.process.poll() is None


def test_an_engine_that_falls_silent_is_shown_until_it_is_back(alone: Tray):
    silent, panel = alone.programs / "silent", alone.panel
    docker = alone.programs / "docker"
    docker.write_text(
        f"#!/bin/sh\n[ -e {silent} ] && {{ echo no daemon >&2; exit 1; }}\n"
        'case "$1 $2" in version*) echo 28;; info*) echo "[]";; ps*|images*|*" ls") ;;\n'
        "image*) echo No such image >&2; exit 1;;\n"
        "import*|create*) echo 1;;\n"
        f"events*) until [ -e {silent} ]; do sleep 0.1; done;;\n"
        "*) echo step 1 >&2; echo refused >&2; exit 1;; esac\n"
    )
    docker.chmod(0o755)
    project = alone.desk.project(f"container_runtime: docker\n{AGENT}")
    assert "refused" in alone.desk.companion("-C", str(project), "up").err
    until(lambda: "refused" in panel.properties()["Title"], 30)
    attention = panel.properties()["IconPixmap"]
    silent.touch()
    until(lambda: panel.rows()[0].text == "⊘ docker does not answer · 1 unknown · 1 needs you")
    assert panel.wait_for_note("docker is not responding")
    assert panel.properties()["IconPixmap"] != attention
    silent.unlink()
    until(lambda: "refused" in panel.properties()["Title"], 30)


def test_quit_ends_the_tray(alone: Tray):
    alone.panel.click("Quit (sandboxes keep running)")
    assert alone.process.wait(timeout=60) == 0


def test_a_panel_that_comes_later_gets_the_icon(desk: Desk, tmp_path: Path):
    with tray(desk, tmp_path, has_tray=False) as running:
        assert "has no tray" in running.panel.wait_for_note("no tray").title
        running.panel.show_up()
        running.panel.wait_for_icon()


def test_without_a_desktop_session_it_watches_all_the_same(desk: Desk, tmp_path: Path):
    project = desk.project()
    desk.companion("add", str(project)).ok()
    kept = {k: v for k, v in desk.environment.items() if not k.startswith(("DBUS", "DISPLAY"))}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([COMPANION, "tray"], env=kept, stdout=out, stderr=out)
    try:
        until(lambda: "watching" in log.read_text() and "not started" in log.read_text())
        assert "without an icon" in log.read_text()
        (project / "agent.yaml").write_text(BROKEN)
        until(lambda: "agent.yaml:3:9" in log.read_text())
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 130
