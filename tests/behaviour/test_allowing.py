"""A user allows a host, always or once, and nothing else of any file changes."""

import json
import subprocess
from pathlib import Path

import pytest
from desk import Desk, make_desk
from fake_project import Fake, agree, changes

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")
BLOCK = """\
# my sandbox
name: coder
runtime: {base_image: "debian:bookworm-slim"}  # small
container_runtime: podman
egress:            # what it reaches
  mode: listed
  allow:
    - a.test       # docs

features: []
"""
EDITED = BLOCK.replace("features: []", "features: [{plugin: custom-runtime, env: [A=b]}]")
FLOW = BLOCK.replace("\n  mode: listed\n  allow:\n    - a.test       # docs", "").replace(
    "egress:    ", "egress: {mode: listed}"
)
SHORT = BLOCK.replace("egress:    ", "egress: listed").replace(
    "\n  mode: listed\n  allow:\n    - a.test       # docs", ""
)


def running(desk: Desk, text: str) -> Fake:
    fake = Fake(desk, desk.project(text))
    fake.companion("up", "--yes").ok()
    fake.set(met={})
    return fake


def hosts(fake: Fake) -> set[str]:
    """Return the hosts that the gateway was last told to let through."""
    (file,) = fake.desk.paths.projects.glob("*/coder/gateway/hosts.map")
    (wide,) = fake.desk.paths.projects.glob("*/coder/gateway/suffixes.map")
    rows = (*file.read_text().splitlines(), *(f"*{r}" for r in wide.read_text().splitlines()))
    return {row.split()[0] for row in rows}


def test_always_adds_one_line_and_denying_takes_it_back(desk: Desk):
    fake = running(desk, BLOCK)
    said = fake.companion("allow", "b.test").ok().out
    assert "coder may reach b.test: a new line in agent.yaml" in said
    text = (fake.project / "agent.yaml").read_text()
    assert text == BLOCK.replace("# docs\n", "# docs\n    - b.test\n")
    assert hosts(fake) == {"a.test", "b.test"}
    assert changes(fake) == ["exec"]
    assert "already" in fake.companion("allow", "coder", "B.test").ok().out
    fake.companion("deny", "coder", "b.test").ok()
    assert (fake.project / "agent.yaml").read_text() == BLOCK
    assert hosts(fake) == {"a.test"}


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (FLOW, "egress: {mode: listed, allow: ['*.b.test']}        # what it reaches\n"),
        (SHORT, "egress:        # what it reaches\n  mode: listed\n  allow:\n    - '*.b.test'\n"),
    ],
)
def test_any_way_to_write_the_list_takes_a_host(desk: Desk, text: str, after: str):
    fake = running(desk, text)
    fake.companion("allow", "*.b.test").ok()
    begin, _, end = text.partition("egress:")
    expected = begin + after + end.partition("\n")[2]
    assert (fake.project / "agent.yaml").read_text() == expected
    assert hosts(fake) == {"*.b.test"}
    assert fake.companion("plan", "--json").ok().agent["change"] == "none"


def test_once_is_in_no_file_of_the_user_and_ends_with_the_sandbox(desk: Desk):
    fake = running(desk, BLOCK)
    fake.companion("allow", "b.test", "--once").ok()
    assert hosts(fake) == {"a.test", "b.test"}
    assert changes(fake) == ["exec"]
    fake.companion("restart", "--yes").ok()
    assert hosts(fake) == {"a.test", "b.test"}
    assert (fake.project / "agent.yaml").read_text() == BLOCK
    fake.companion("down").ok()
    refused = fake.companion("allow", "b.test", "--once")
    assert (refused.code, "is not started" in refused.err) == (1, True)
    fake.companion("up", "--yes").ok()
    assert hosts(fake) == {"a.test"}


@pytest.mark.parametrize("host", ["10.0.0.1", "https://a.test", "a b", "*", "[::1]", "2130706433"])
def test_what_is_no_host_is_refused_and_nothing_changes(desk: Desk, host: str):
    fake = running(desk, BLOCK)
    for more in ((), ("--once",)):
        done = fake.companion("allow", host, *more)
        assert done.code == 1
        assert done.err.startswith("error: the host must")
    assert (fake.project / "agent.yaml").read_text() == BLOCK
    assert not changes(fake)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Foo.bar/x", "foo.bar"),
        ("https://*.foo.bar", "*.foo.bar"),
        ("foo.bar:443", "foo.bar"),
        ("foo.bar/", "foo.bar"),
    ],
)
def test_of_a_url_the_host_is_proposed(desk: Desk, url: str, host: str):
    done = Fake(desk, desk.project(BLOCK)).companion("allow", url)
    assert done.code == 1
    assert "the host must be a host name without scheme, port and path" in done.err
    assert f"tip: write {host}\n" in done.err


def test_a_sandbox_that_stands_where_the_host_does_is_not_taken_for_it(desk: Desk):
    fake = running(desk, BLOCK)
    other = Fake(desk, desk.project(BLOCK.replace("coder", "other"), "other"))
    other.companion("up", "--yes").ok()
    for verb, name in (("allow", "coder"), ("allow", "other"), ("deny", "coder")):
        done = fake.companion(verb, name)
        assert (done.code, f"{name} is a sandbox: which host?" in done.err) == (2, True)
        assert f"`companion {verb} {name} HOST` names it" in done.err
    assert (fake.project / "agent.yaml").read_text() == BLOCK
    assert "coder may reach coder" in fake.companion("allow", "coder", "coder").ok().out


def test_allowing_a_host_restarts_no_agent_for_what_else_was_saved(desk: Desk):
    fake = running(desk, BLOCK)
    (fake.project / "agent.yaml").write_text(EDITED)
    for words in (("allow", "b.test", "--once"), ("allow", "c.test"), ("deny", "a.test")):
        for _ in range(2):  # the second time, the file has it, and the gateway still does not
            done = fake.companion(*words)
            assert (done.code, done.out) == (1, "")
            assert "coder would have to restart (changed: env" in done.err
            assert "is kept; `companion up` applies all of it" in done.err
    (problem,) = json.loads(fake.companion("allow", "c.test", "--json").out)["problems"]
    assert problem["code"] == "restart-needed"
    assert changes(fake) == []
    assert hosts(fake) == {"a.test"}
    fake.companion("up").ok()
    assert hosts(fake) == {"b.test", "c.test"}


def test_an_agent_that_ended_is_started_with_all_that_was_saved(desk: Desk):
    fake = running(desk, BLOCK)
    (fake.project / "agent.yaml").write_text(EDITED)
    fake.crash()
    fake.companion("allow", "b.test").ok()
    assert hosts(fake) == {"a.test", "b.test"}
    fake.is_whole()


def test_a_host_is_not_written_for_a_gateway_whose_repair_would_restart_the_agent(desk: Desk):
    fake = running(desk, BLOCK)
    ended = {"Running": False, "Status": "exited", "ExitCode": 0, "StartedAt": ""}
    containers = fake.world["containers"]
    gone = {n: c | {"State": ended} for n, c in containers.items() if n.endswith(("-net", "way"))}
    fake.set(containers=containers | gone)
    for _ in range(2):
        done = fake.companion("allow", "b.test")
        assert "coder would have to restart (it shares the network of" in done.problems[0]
        assert hosts(fake) == {"a.test"}
    fake.companion("up").ok()
    assert hosts(fake) == {"a.test", "b.test"}


def test_a_list_of_the_fleet_is_changed_only_on_request(desk: Desk):
    shared = "agents: [coder]\nshared:\n  egress:\n    mode: listed # all\n"
    fake = Fake(desk, desk.project(BLOCK))
    (fake.project / "fleet.yaml").write_text(shared)
    (fake.project / "coder").mkdir()
    own = SHORT.replace("egress: listed        # what it reaches\n", "")
    (fake.project / "agent.yaml").rename(fake.project / "coder/agent.yaml")
    (fake.project / "coder/agent.yaml").write_text(own)
    fake.companion("up", "--yes").ok()
    done = fake.companion("allow", "coder", "b.test")
    assert done.code == 1
    assert "--fleet" in done.err
    fake.companion("allow", "coder", "b.test", "--fleet").ok()
    assert (fake.project / "fleet.yaml").read_text() == shared + "    allow:\n      - b.test\n"
    assert (fake.project / "coder/agent.yaml").read_text() == own
    assert hosts(fake) == {"b.test"}


def test_denying_says_what_else_lets_a_host_through(desk: Desk):
    fake = running(desk, BLOCK.replace("- a.test ", "- '*.test' "))
    done = fake.companion("deny", "a.test")
    assert done.code == 1
    assert "a preset or a wildcard in `egress` covers a.test" in done.err


def test_allowing_a_host_agrees_to_nothing_else_that_a_checkout_brought(tmp_path: Path):
    fake = Fake(make_desk(tmp_path / "home", trusting=False), tmp_path / "home/project")
    fake.project.mkdir()
    config_file = fake.project / "agent.yaml"
    config_file.write_text(BLOCK)
    agree(fake).ok()
    fake.companion("up", "--yes").ok()
    subprocess.run(["git", "init", "-q"], cwd=fake.project, check=True)
    config_file.write_text(BLOCK.replace("mode: listed\n", "mode: listed\n  presets: [npm]\n"))
    for words in (("add", "agent.yaml"), ("commit", "-qm", "brought")):
        subprocess.run([*GIT, *words], cwd=fake.project, check=True)
    done = fake.companion("allow", "b.test")
    assert done.code == 1
    assert "registry.npmjs.org" in done.err
    assert hosts(fake) == {"a.test"}


def test_a_config_behind_a_link_is_not_written(desk: Desk, tmp_path: Path):
    fake = running(desk, BLOCK)
    elsewhere = tmp_path / "elsewhere.yaml"
    (fake.project / "agent.yaml").rename(elsewhere)
    (fake.project / "agent.yaml").symlink_to(elsewhere)
    assert fake.companion("allow", "b.test").code == 1
    assert elsewhere.read_text() == BLOCK
