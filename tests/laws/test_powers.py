"""What a user is asked for: everything at first, then what grows, and no edit of their own."""

import subprocess
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from companion.config.models import AgentConfig
from companion.errors import Position
from companion.project import discovery
from companion.project.model import Project
from companion.reconcile import trust
from companion.sandbox.powers import FENCED, Agreed, Kind, Power, digest_of, is_covered
from companion.sandbox.powers_text import lines
from companion.system.paths import Paths
from ssh import keys

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")
HOOKS = (
    "name: coder\nruntime: {{base_image: debian}}\ncontainer_runtime: podman\negress: listed\n{}"
)
CUSTOM = "features:\n  - plugin: custom-runtime\n    "
LONG = "9" * 5000
SERVICE = (
    "features:\n  - plugin: external-services\n"
    '    services: [{url: "http://%s", headers: {X: "${KEY}"}}]\n'
)

RULED = SERVICE.replace("headers", "%%s, headers") % "a.test"


@pytest.mark.parametrize(
    ("before", "after", "as_mine", "as_checkout"),
    [
        ("", "limits: {pids: 99}\n", False, False),
        ("", "limits: {memory: 900g, pids: 90000}\n", False, True),
        ("", CUSTOM + 'env: ["A=b"]\n', False, True),
        ("", CUSTOM + 'commands: ["true"]\n', False, True),
        ("", "packages: [jq]\n", False, True),
        ("", CUSTOM + "entrypoint_hooks: [start.sh]\n", False, True),
        ("", CUSTOM + 'ports: ["3000"]\n', False, True),
        ("", CUSTOM + 'ports: ["0.0.0.0:3000:3000"]\n', True, True),
        ("", CUSTOM + "root_hooks: [start.sh]\n", True, True),
        ("", CUSTOM + 'runtime_volumes: ["./work:/work"]\n', False, True),
        ("", CUSTOM + 'runtime_volumes: ["OUTSIDE:/work:ro"]\n', True, True),
        (CUSTOM + 'runtime_volumes: ["OUTSIDE:/work:ro"]\n',
         CUSTOM + 'runtime_volumes: ["OUTSIDE:/work"]\n', True, True),
        (CUSTOM + 'runtime_volumes: ["OUTSIDE:/work"]\n',
         CUSTOM + 'runtime_volumes: ["OUTSIDE:/work:ro"]\n', False, False),
        (CUSTOM + 'runtime_volumes: ["OUTSIDE:/work:ro"]\n',
         CUSTOM + 'runtime_volumes: ["OUTSIDE:/opt/tools:ro"]\n', True, True),
        ("", 'limits: {cpus: "64"}\n', False, True),
        (SERVICE % "a.test", SERVICE % "b.test", True, True),
        (SERVICE % "a.test", RULED % "deny: ['* /a']", False, False),
        (RULED % "deny: ['* /a', '* /b']", RULED % "deny: ['* /a']", False, True),
        (RULED % "allow: [GET /a]", RULED % "allow: [GET /a, GET /b]", False, True),
        (RULED % "allow: [GET /a]", SERVICE % "a.test", False, True),
        (RULED % "allow: [GET /a, GET /b]", RULED % "allow: [GET /b]", False, False),
        (SERVICE % "a.test", SERVICE % "a.test" + "limits: {pids: 99}\n", False, False),
    ],
)  # fmt: skip
def test_what_grows_is_asked_for_and_what_the_user_wrote_is_not(
    tmp_path: Path, before: str, after: str, as_mine: bool, as_checkout: bool
):
    outside = tmp_path / "outside"
    outside.mkdir()

    def text(rest: str) -> str:
        return HOOKS.format(rest).replace("OUTSIDE", str(outside))

    home, project = made(tmp_path, text(before))
    (project.directory / "agent.yaml").write_text(text(after))
    assert (not trust.review(home, project).is_trusted) == as_mine
    git(project.directory, "commit", "-qam", "two")
    assert (not trust.review(home, project).is_trusted) == as_checkout


def made(tmp_path: Path, text: str, **untracked: str) -> tuple[Paths, Project]:
    """Return a project in a repository, to which its user agreed."""
    directory = tmp_path / "project"
    (directory / "work").mkdir(parents=True)
    (directory / "agent.yaml").write_text(text)
    (directory / "start.sh").write_text("true\n")
    for words in (["init", "-q"], ["add", "agent.yaml", "start.sh"], ["commit", "-qm", "one"]):
        git(directory, *words)
    for name, content in untracked.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content)
    home = Paths(tmp_path, *(tmp_path / name for name in ("config", "data", "state", "programs")))
    project = discovery.project(directory)
    trust.agree(home, trust.review(home, project))
    return home, project


def opened(home: Paths, project: Project) -> tuple[Power, ...]:
    """Return what the only agent of a project opens."""
    (verdict,) = trust.review(home, project).verdicts
    return verdict.asked


def git(directory: Path, *words: str) -> None:
    subprocess.run([*GIT, *words], cwd=directory, check=True)


def test_a_hook_that_a_checkout_changed_is_asked_for_and_one_that_the_user_changed_is_not(
    tmp_path: Path,
):
    home, project = made(tmp_path, HOOKS.format(CUSTOM + "root_hooks: [start.sh]\n"))
    (project.directory / "start.sh").write_text("echo mine\n")
    assert trust.review(home, project).is_trusted
    git(project.directory, "commit", "-qam", "two")
    assert not trust.review(home, project).is_trusted


def test_a_link_that_a_checkout_set_is_asked_for_wherever_it_leads(tmp_path: Path):
    home, project = made(tmp_path, HOOKS.format(CUSTOM + "root_hooks: [start.sh]\n"))
    directory = project.directory
    (directory / "build").mkdir()
    (directory / "build/out.sh").write_text("echo theirs\n")
    (directory / "start.sh").unlink()
    (directory / "start.sh").symlink_to("build/out.sh")
    git(directory, "commit", "-qam", "two")
    assert [power.kind for power in asked(home, project)] == [Kind.ROOT_HOOK]


def test_an_edit_in_a_home_that_git_does_not_track_is_the_users_own(tmp_path: Path):
    text = CUSTOM + "home_override: home\n"
    home, project = made(tmp_path, HOOKS.format(text), **{"home/.profile": "true\n"})
    directory = project.directory
    (directory / "home/.profile").write_text("echo mine\n")
    assert trust.review(home, project).is_trusted
    (directory / "home/.bashrc").write_text("echo theirs\n")
    git(directory, "add", "home/.bashrc")
    git(directory, "commit", "-qm", "two")
    assert [power.kind for power in asked(home, project)] == [Kind.HOME]
    git(directory, "rm", "-qr", "--cached", "home")
    git(directory, "commit", "-qm", "three")
    assert trust.review(home, project).is_trusted
    (directory / "home/plugin/.git").mkdir(parents=True)
    (directory / "home/plugin/init.sh").write_text("echo another's\n")
    assert [power.kind for power in asked(home, project)] == [Kind.HOME]


def asked(home: Paths, project: Project) -> tuple[Power, ...]:
    """Return what the only agent of a project asks for."""
    (verdict,) = trust.review(home, project).verdicts
    return verdict.new


def test_what_the_user_wrote_is_remembered_and_asks_nothing_once_it_is_committed(tmp_path: Path):
    home, project = made(tmp_path, HOOKS.format(""))
    (project.directory / "agent.yaml").write_text(HOOKS.format(CUSTOM + 'commands: ["true"]\n'))
    trust.require(home, trust.check(home, *discovery.agent_refs(project)))
    git(project.directory, "commit", "-qam", "two")
    assert trust.review(home, project).is_trusted


@pytest.mark.parametrize(
    ("one", "agreed", "is_within"),
    [
        (Agreed(Kind.HOST, "a.x.test"), Agreed(Kind.WILDCARD, "*.x.test"), True),
        (Agreed(Kind.WILDCARD, "*.a.x.test"), Agreed(Kind.WILDCARD, "*.x.test"), True),
        (Agreed(Kind.HOST, "x.test"), Agreed(Kind.WILDCARD, "*.x.test"), False),
        (Agreed(Kind.HOST, "ax.test"), Agreed(Kind.WILDCARD, "*.x.test"), False),
        (Agreed(Kind.HOST, "a.test"), Agreed(Kind.OPEN_EGRESS, ""), True),
        (Agreed(Kind.SERVICE, "http://a.test:80"), Agreed(Kind.OPEN_EGRESS, ""), False),
        (Agreed(Kind.NO_GATEWAY, ""), Agreed(Kind.OPEN_EGRESS, ""), False),
        (Agreed(Kind.FOREIGN_READ, "/a:/x"), Agreed(Kind.FOREIGN_WRITE, "/a:/x"), True),
        (Agreed(Kind.FOREIGN_READ, "/a:/y"), Agreed(Kind.FOREIGN_WRITE, "/a:/x"), False),
        (Agreed(Kind.FOREIGN_READ, "/a/b:/x"), Agreed(Kind.FOREIGN_WRITE, "/a:/x"), False),
        (Agreed(Kind.FOREIGN_WRITE, "/a:/x"), Agreed(Kind.FOREIGN_READ, "/a:/x"), False),
        (Agreed(Kind.ROOT_HOOK, "a", "1"), Agreed(Kind.ROOT_HOOK, "a", "2"), False),
        (Agreed(Kind.HOST, "a.test"), Agreed(Kind.NO_GATEWAY, ""), True),
        (Agreed(Kind.WILDCARD, "*.test"), Agreed(Kind.OPEN_EGRESS, ""), True),
        (Agreed(Kind.OPEN_EGRESS, ""), Agreed(Kind.NO_GATEWAY, ""), True),
        (Agreed(Kind.OPEN_EGRESS, ""), Agreed(Kind.WILDCARD, "*.test"), False),
        (Agreed(Kind.PROJECT_READ, "a:/x"), Agreed(Kind.PROJECT_WRITE, "a:/x"), True),
        (Agreed(Kind.PROJECT_WRITE, "a:/x"), Agreed(Kind.PROJECT_READ, "a:/x"), False),
        (Agreed(Kind.PROJECT_READ, "a:/x"), Agreed(Kind.FOREIGN_WRITE, "a:/x"), False),
        (Agreed(Kind.BUILD_NETWORK, FENCED), Agreed(Kind.BUILD_NETWORK, ""), True),
        (Agreed(Kind.BUILD_NETWORK, ""), Agreed(Kind.BUILD_NETWORK, FENCED), False),
        (Agreed(Kind.SECRET, "${A} a.test"), Agreed(Kind.SECRET, "${A} a.test", "* /a"), False),
        (Agreed(Kind.SECRET, "${A} a.test", "* /a"), Agreed(Kind.SECRET, "${A} a.test"), True),
        (Agreed(Kind.SECRET, "${A} a.test", "* /a"), Agreed(Kind.SECRET, "${A} b.test"), False),
        (Agreed(Kind.SECRET, "${A} a.test", "* /a"), Agreed(Kind.SERVICE, "${A} a.test"), False),
    ],
)
def test_what_lies_within_an_agreement(one: Agreed, agreed: Agreed, is_within: bool):
    assert is_covered(one, [agreed]) == is_within


def test_every_kind_of_power_has_its_place_on_the_screen():
    every = [Power(Agreed(kind, kind), f"text-of-{kind}") for kind in Kind]
    words = " ".join(lines(every)).replace(",", "").split()
    assert {f"text-of-{kind}" for kind in Kind} <= {*words}


def test_each_sentence_names_the_lines_that_ask_for_it():
    def host(name: str, *place: str | int) -> Power:
        return Power(Agreed(Kind.HOST, name), f"reaches {name}", place=Position(*place, 1))

    hosts = [host("a.test", "agent.yaml", 7), host("b.test", "agent.yaml", 9)]
    assert lines(hosts, (), hosts) == ("  network reaches a.test, b.test [agent.yaml:7-9]",)
    hosts.append(host("c.test", "fleet.yaml", 3))
    assert lines(hosts, (), hosts[1:]) == (
        "  network reaches a.test, b.test, c.test [agent.yaml:9, fleet.yaml:3]",
    )


@pytest.mark.parametrize(
    "text",
    [
        "true " + "x" * 69 + "! root    runs nothing as root",
        " " * 90 + "x" * 200,
        "true" + " " * 70 + "! root    runs nothing",
        "日本" * 60,
        "a\n! root    runs nothing",
        "\u2800" * 90 + "\u3164" * 90,
        "\u00a0" * 90,
    ],
)
@pytest.mark.parametrize("kind", [Kind.BUILD, Kind.COMMAND, Kind.HOST])
def test_no_text_leaves_its_column_on_the_screen_or_loses_a_character(kind: Kind, text: str):
    def width(line: str) -> int:
        return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line)

    one = Power(Agreed(kind, text), text)
    page = lines([one], [one])
    assert all(width(line) <= 80 for line in page)
    assert [line for line in page if not line[1:].startswith(" " * 9)] == [page[0]]
    assert sum(line.startswith("!") for line in page) == (2 if kind is Kind.BUILD else 1)
    shown = "".join("".join(page).split())
    hidden = {*"\n\u2800\u3164\u00a0"}
    codes = (ascii(char)[1:-1] if char in hidden else char.strip() for char in text)
    assert "".join(codes) in shown


def test_no_two_sets_of_powers_have_one_digest():
    a, b = (Power(Agreed(Kind.HOST, host), "") for host in ("a.test", "b.test"))
    sets = [{}, {"x": []}, {"x": [a]}, {"x": [b]}, {"x": [a, b]}, {"y": [a]}, {"x": [a], "y": [b]}]
    assert len({digest_of(one) for one in sets}) == len(sets)
    assert digest_of({"x": [a, b]}) == digest_of({"x": [b, a]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limits": {"memory": LONG + "g"}}, "must be a size"),
        ({"limits": {"cpus": LONG}}, "must be a number of cores"),
        ({"runtime": {"base_image": "a", "ports": (LONG,)}}, "must be PORT"),
        ({"runtime": {"base_image": "a", "ports": (f"80:{LONG}",)}}, "must be PORT"),
        ({"runtime": {"base_image": "a", "ports": ("256.0.0.1:80:80",)}}, "must be PORT"),
        ({"runtime": {"base_image": "a", "ports": ("127.0.0.01:80:80",)}}, "must be PORT"),
    ],
)
def test_a_number_that_no_program_reads_is_refused_in_words_of_ours(
    given: Mapping[str, object], message: str
):
    with pytest.raises(ValidationError, match=message):
        AgentConfig.model_validate({"name": "a", "runtime": "codex", **given})


def test_an_empty_command_runs_nothing(tmp_path: Path):
    home, project = made(tmp_path, HOOKS.replace("debian}}", "debian, cmd: []}}").format(""))
    assert Kind.COMMAND not in {power.kind for power in opened(home, project)}


def test_every_choice_of_the_project_is_a_power_and_none_of_companions_own(tmp_path: Path):
    text = (
        HOOKS.format(SERVICE % "192.168.1.1")
        + """\
  - plugin: ssh
    port: 45432
  - plugin: github-pat
    token: ${KEY}
    domains: [github.com, git.corp.test]
  - plugin: git
    name: Ada
    email: a@b.test
    push: {gitlab.com: "${KEY}", "git.corp.test:3000": {token: "${KEY}", kind: gitea}}
    sign: true
  - plugin: custom-runtime
    env: ["LD_PRELOAD=/opt/x.so"]
    runtime_volumes: ["./work:/opt/tools:ro", "cache:/cache"]
"""
    )
    home, project = made(tmp_path, text)
    assert all(power.place for power in opened(home, project))
    assert {power.text for power in opened(home, project)} == {
        "starts from the image debian",
        "is built with access to the internet, but not to this desktop's services and network",
        "runs on podman",
        "reaches http://192.168.1.1:80, even in your own network",
        "sends KEY to 192.168.1.1:80 (header X, unencrypted)",
        "answers SSH on 127.0.0.1:45432 (open to this machine)",
        "sends KEY to github.com:443 (header Authorization)",
        "reaches https://git.corp.test:443, even in your own network",
        "sends KEY to git.corp.test:443 (header Authorization)",
        "sends KEY to gitlab.com:443 (header Authorization)",
        "reaches https://git.corp.test:3000, even in your own network",
        "sends KEY to git.corp.test:3000 (header Authorization)",
        "commits as Ada <a@b.test>",
        "signs its commits with a key of its own, which you may add at your forge",
        "sets LD_PRELOAD=/opt/x.so for the agent's programs",
        f"reads all files in {project.directory}/work (of the project, at /opt/tools)",
    }


def test_a_power_is_placed_at_the_line_that_opens_it(tmp_path: Path):
    text = "name: a\nruntime: {base_image: debian}\ncontainer_runtime: podman\ngateway: false\n"
    home, project = made(tmp_path, text)
    (power,) = (power for power in opened(home, project) if power.kind is Kind.NO_GATEWAY)
    assert power.place
    assert (power.place.line, power.place.column) == (4, 10)


FIRST = """\
name: coder
runtime: codex
container_runtime: podman
egress: {mode: listed, allow: [docs.example.com], presets: [npm]}
limits: {memory: 8g}
features:
  - plugin: ssh
  - plugin: codex
    api_key: ${KEY}
  - plugin: custom-runtime
    commands: ["apt-get update && apt-get install -y ripgrep"]
    entrypoint_hooks: [start.sh]
    runtime_volumes: ["./work:/work"]
    env: ["EDITOR=vim"]
"""
WEEK = (
    ("name: coder", "# my coder\nname: coder"),
    ("memory: 8g", "memory: 12g"),
    ("docs.example.com", "docs.example.com, crates.io"),
    ("crates.io", "crates.io, static.crates.io"),
    ("install -y ripgrep", "install -y ripgrep jq"),
    ("EDITOR=vim", "EDITOR=nano"),
    ("static.crates.io", "static.crates.io, index.crates.io"),
    ("presets: [npm]", "presets: [npm, pypi]"),
    ("install -y ripgrep jq", "install -y ripgrep jq fd-find python3"),
    ("limits: {memory: 12g}", "limits: {memory: 12g, pids: 2048}"),
    ('"]\n', '", "RUST_BACKTRACE=1"]\n'),
    ("    env:", '    ports: ["3000"]\n    env:'),
    ("egress: {mode: listed", "log_level: debug\negress: {mode: listed"),
    ('ports: ["3000"]', 'ports: ["3000", "8080:80"]'),
    ("log_level: debug\n", ""),
    ('["./work:/work"]', '["./work:/work", "cache:/cache"]'),
    ("docs.example.com, ", ""),
    ("crates.io, static", "docs.example.com, crates.io, static"),
    ("  - plugin: ssh\n", "  - plugin: ssh\n    port: 2299\n"),
    ("presets: [npm, pypi]", "presets: [npm, pypi, github]"),
    ("memory: 12g", "memory: 8g"),
    ("python3", "python3 nodejs"),
    ('["./work:/work", ', '["./work:/work", "./work:/src:ro", '),
    ("8080:80", "8081:80"),
    ("# my coder\n", "# my coder: rust and web\n"),
    ("index.crates.io", 'index.crates.io, "*.githubusercontent.com"'),
    ("  - plugin: codex\n", "  - plugin: github-pat\n    token: ${PAT}\n  - plugin: codex\n"),
    ("cache:/cache", "OUTSIDE:/models:ro"),
)
"""Edits such as people make of one agent.yaml in a week, each on top of the one before."""


def test_a_week_of_edits_asks_where_they_reach_further_and_nowhere_else(tmp_path: Path):
    """3 of 28: a wildcard, a secret to another host, and a directory of the desktop."""
    home, project = made(tmp_path, FIRST)
    (tmp_path / "models").mkdir()
    text, asked = FIRST, []
    for old, new in WEEK:
        assert old in text
        text = text.replace(old, new.replace("OUTSIDE", str(tmp_path / "models")), 1)
        (project.directory / "agent.yaml").write_text(text)
        found = trust.review(home, project)
        asked += [power.kind for verdict in found.verdicts for power in verdict.new]
        trust.agree(home, found)
    assert asked == [Kind.WILDCARD, Kind.SECRET, Kind.SECRET, Kind.FOREIGN_READ]


def test_the_version_of_a_program_that_a_checkout_brings_is_asked_for(tmp_path: Path):
    text = "name: coder\nruntime: codex\negress: listed\n"
    home, project = made(tmp_path, text)
    version = "0.0.1-of-theirs"
    pulled = text.replace("codex", f"{{name: codex, version: {version}}}")
    (project.directory / "agent.yaml").write_text(
        f"{pulled}features: [{{plugin: claude-code, api_key: '${{KEY}}', version: {version}}}]\n"
    )
    git(project.directory, "commit", "-qam", "two")
    named = {(Kind.VERSION, f"{name} {version}") for name in ("codex", "claude-code")}
    assert named <= asked_for(home, project)


def test_an_edit_of_the_users_does_not_hide_what_a_checkout_brought(tmp_path: Path):
    home, project = made(tmp_path, HOOKS.format(CUSTOM + "entrypoint_hooks: [start.sh]\n"))
    agent_yaml, hook = project.directory / "agent.yaml", project.directory / "start.sh"
    pulled = HOOKS.format(CUSTOM + 'entrypoint_hooks: [start.sh]\n    commands: ["curl|sh"]\n')
    agent_yaml.write_text(pulled)
    git(project.directory, "commit", "-qam", "two")
    agent_yaml.write_text(f"# mine\n{pulled}")
    assert asked_for(home, project) == {(Kind.BUILD, "curl|sh")}
    agent_yaml.write_text(f'{pulled}    ports: ["3000"]\n')
    assert asked_for(home, project) == {(Kind.BUILD, "curl|sh")}
    trust.agree(home, trust.review(home, project))
    hook.write_text("curl|sh\n")
    git(project.directory, "commit", "-qam", "three")
    hook.write_text("curl|sh # mine\n")
    assert asked_for(home, project) == {(Kind.HOOK, "start.sh")}


def test_where_gits_own_version_cannot_be_read_everything_new_is_asked_for(tmp_path: Path):
    home, project = made(tmp_path, HOOKS.format(""))
    agent_yaml = project.directory / "agent.yaml"
    agent_yaml.write_text("name: [\n")
    git(project.directory, "commit", "-qam", "two")
    agent_yaml.write_text(HOOKS.format(CUSTOM + 'commands: ["true"]\n'))
    assert asked_for(home, project) == {(Kind.BUILD, "true")}


def asked_for(home: Paths, project: Project) -> set[tuple[Kind, str]]:
    verdicts = trust.review(home, project).verdicts
    return {(p.kind, p.agreed.subject) for verdict in verdicts for p in verdict.new}


EVERYTHING = """\
name: coder
runtime:
  base_image: debian
  install: [pip install x]
  cmd: [tool, "a b"]
  acp_cmd: [tool, acp]
container_runtime: podman
packages: [jq]
egress: {mode: open}
limits: {memory: 900g, pids: 90000, cpus: "2.5"}
features:
  - plugin: ssh
    port: 2222
    host_key: host_key
    authorized_keys: keys
  - plugin: external-services
    services:
      - {url: "http://a.test", headers: {X: "${KEY}"}, allow: [GET /a]}
  - plugin: mcp-oauth
    providers:
      notion: {mcp_url: "https://mcp.notion.test/mcp", client_id: me, client_secret: "${SECRET}"}
  - plugin: custom-runtime
    commands: [make]
    env: ["A=b"]
    ports: ["3000", "0.0.0.0:3001:3000"]
    entrypoint_hooks: [start.sh]
    root_hooks: [start.sh]
    home_override: home
    runtime_volumes: ["./work:/work:ro"]
"""


SENTENCES = """\
9:1 reaches every public host on ports 443 and 80
18:9 sends KEY to a.test:80 (header X, unencrypted) (only GET /a)
18:9 reaches http://a.test:80, even in your own network (only GET /a)
21:7 sends the token for https://mcp.notion.test/mcp to mcp.notion.test:443 (header Authorization)
21:7 asks you to authorize it at https://mcp.notion.test/mcp
21:7 sends SECRET to https://mcp.notion.test/mcp (client secret)
29:23 reads all files in WORK (of the project, at /work)
13:11 answers SSH on 127.0.0.1:2222 (open to this machine)
25:13 answers on 127.0.0.1:3000 (open to this machine)
25:21 answers on 0.0.0.0:3001 (open to other machines, too)
3:15 starts from the image debian
2:1 is built with access to the internet, but not to this desktop's services and network
8:12 installs as root while it is built: Debian's jq
4:13 pip install x
23:16 make
27:18 runs start.sh as root in the container at each start
26:24 runs start.sh in the sandbox at each start
28:20 copies home into the agent's home
15:22 lets the keys in keys log in to the sandbox
14:15 uses the SSH host key host_key
5:3 runs in the sandbox: tool 'a b'
6:3 editors start in the sandbox: tool acp
24:11 sets A=b for the agent's programs
10:18 may use 900g of this machine's memory
10:30 may run 90000 processes at once
10:43 may use 2.5 of this machine's cores
7:20 runs on podman
"""
"""Line and column in that file, and what is asked there."""


def test_each_power_is_a_sentence_with_the_place_where_it_is_asked_for(tmp_path: Path):
    pair = keys.generate("host")
    files = {"home/file": "x", "host_key": pair.private, "keys": pair.public}
    home, project = made(tmp_path, EVERYTHING, **files)
    said = [f"{p.place.line}:{p.place.column} {p.text}" for p in opened(home, project) if p.place]
    assert said == SENTENCES.replace("WORK", str(project.directory / "work")).splitlines()
