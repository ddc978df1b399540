"""Bad input gets one clear message with file, line and column, exit code 1, and nothing written."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import fake_engine
import pytest
from desk import AGENT, COMPANION, Desk
from fake_project import Fake

HEAD = "name: coder\nruntime: codex\n"

CASES = {
    "name: coder\n": ["agent.yaml:1:1: 'runtime' is missing; add it"],
    "name: Coder X\nruntime: codex\n": ["agent.yaml:1:7: 'name' must be 1 to 40 of a-z"],
    "name: coder\nruntime: codx\n": [
        "agent.yaml:2:10: there is no runtime 'codx'; did you mean 'codex'?"
    ],
    HEAD + "egres: open\n": ["agent.yaml:3:1: unknown key 'egres'; did you mean 'egress'?"],
    HEAD + "name: again\n": ["agent.yaml:3:1: 'name' is given twice; the first is on line 1"],
    HEAD + "egress: [\n": ["agent.yaml:4:1: not valid YAML"],
    HEAD + "workdir: .evil.test/x\n": ["agent.yaml:3:10: 'workdir' must be an absolute path"],
    HEAD + "log_level: loud\n": ["agent.yaml:3:12: 'log_level' must be 'info' or 'debug'"],
    HEAD + "gateway: no\n": ["agent.yaml:3:10: 'gateway' must be true or false; it is text"],
    HEAD + "gateway: false\negress: listed\n": ["agent.yaml:4:9: only the gateway can restrict"],
    HEAD + "gateway: false\nfeatures:\n  - plugin: external-services\n    services:\n"
    "      - url: https://x.test\n": [
        "agent.yaml:7:9: features[0].services[0] (external-services) needs the gateway"
    ],
    HEAD + "features:\n  - plugin: sshd\n": [
        "agent.yaml:4:13: there is no plugin 'sshd'; did you mean 'ssh'?"
    ],
    HEAD + "features:\n  - plugin: telegram\n": [
        "agent.yaml:4:13: the plugin 'telegram' is not supported: a chat channel"
    ],
    HEAD
    + "features:\n  - plugin: mcp-oauth\n    providers: {n: {mcp_url: 'https://m.test', a: b}}\n": [
        "agent.yaml:5:48: unknown key 'a'; known are: client_id, client_secret, mcp_url"
    ],
    HEAD + "features:\n  - plugin: mcp-oauth\n    providers: {}\n": [
        "agent.yaml:5:5: 'providers' is empty; give at least one"
    ],
    HEAD + "features:\n  - plugin: mcp-oauth\n    providers:\n"
    "      a: {mcp_url: 'https://mcp.test/a'}\n      b: {mcp_url: 'https://MCP.test:443/b'}\n": [
        "agent.yaml:4:5: the plugin has two providers on one host and port, which can have only one"
    ],
    HEAD + "features:\n  - plugin: mcp-oauth\n    providers:\n"
    "      n: {mcp_url: 'https://mcp.test', client_secret: '${A}'}\n": [
        "agent.yaml:6:7: 'n' gives a client_secret, but no client_id"
    ],
    HEAD
    + "features:\n  - plugin: mcp-oauth\n    providers: {'a b': {mcp_url: 'https://m.test'}}\n": [
        "agent.yaml:5:17: 'a b' must be 1 to 40 of letters, digits, - and _"
    ],
    HEAD + "features:\n  - plugin: mcp-oauth\n    providers: {n: {mcp_url: 'http://mcp.test'}}\n": [
        "agent.yaml:5:30: 'mcp_url' must begin with https:// and have no user"
    ],
    HEAD
    + "features:\n  - plugin: mcp-oauth\n    providers: {n: {mcp_url: 'https://10.0.0.5/mcp'}}\n": [
        "agent.yaml:5:30: 'mcp_url' must have a host name: TLS to an address sends no name"
    ],
    HEAD + "features:\n  - plugin: mcp-oauth\n    providers: {n: {mcp_url: 'https://[::1]'}}\n": [
        "agent.yaml:5:30: 'mcp_url' must have a host name: TLS to an address sends no name"
    ],
    HEAD + "features:\n  - plugin: github-pat\n    token: ${A}\n    domains: [10.0.0.5]\n": [
        "agent.yaml:6:15: entry 1 of 'domains' must have a host name: TLS to an address sends no "
    ],
    HEAD + "egress: {allow: [a.test, 10.0.0.5, '*.0.5', '::1']}\n": [
        "agent.yaml:3:26: entry 2 of 'allow' must be a host name: TLS to an address sends no name",
        "agent.yaml:3:36: entry 3 of 'allow' must be a host name: TLS to an address sends no name",
        "agent.yaml:3:45: entry 4 of 'allow' must be a host name: TLS to an address sends no name",
    ],
    HEAD + "egress: {allow: ['https://a.test/x', 'https://10.0.0.5']}\n": [
        "agent.yaml:3:18: entry 1 of 'allow' must be a host name without scheme, port and path",
        "agent.yaml:3:38: entry 2 of 'allow' must be a host name: TLS to an address sends no name",
    ],
    HEAD + "features:\n  - plugin: custom-runtime\n    capabilities: [NET_ADMIN]\n": [
        "agent.yaml:5:20: entry 1 of 'capabilities' must be one of CHOWN, DAC_OVERRIDE, FOWNER:"
    ],
    HEAD + "features:\n  - plugin: custom-runtime\n    capabilities: [CHOWN]\n": [
        "agent.yaml:4:5: the plugin gives capabilities but no root_hooks"
    ],
    HEAD + "features:\n  - plugin: ssh\n    port: 3000\n"
    "  - plugin: custom-runtime\n    ports: ['3000:80']\n": [
        (
            "agent.yaml:4:5: features[1].ports[0] (custom-runtime) and features[0] (ssh) both "
            "define the desktop's port 3000; remove one of them; the first is at agent.yaml:7:13"
        )
    ],
    HEAD
    + "features:\n  - plugin: external-services\n    services:\n      - url: http://a.test:8443\n"
    "      - url: https://b.test:8443\n      - url: http://a.test:443\n": [
        (
            "agent.yaml:7:9: https://b.test:8443 is on a port of http services; give one of them "
            "another port: a port has one scheme; the first is at agent.yaml:6:9"
        ),
        "agent.yaml:8:9: http://a.test:443 is on a port of https services",
    ],
    HEAD + "features:\n  - plugin: github-pat\n    token: ghp_pasted\n": [
        "agent.yaml:5:12: 'token' must be a variable such as ${API_KEY}: put the secret itself"
    ],
    HEAD + "features:\n  - plugin: pi\n    provider_keys: {openai: '${A}'}\n": [
        "agent.yaml:4:5: the plugin has no key in provider_keys for anthropic"
    ],
    HEAD + "features:\n  - plugin: claude-code\n": [
        "agent.yaml:4:5: the plugin needs exactly one of api_key and oauth_token"
    ],
    HEAD + "features:\n  - plugin: claude-code\n    api_key: ${A}\n    oauth_token: ${B}\n": [
        "agent.yaml:4:5: the plugin needs exactly one of api_key and oauth_token"
    ],
    HEAD + "features:\n  - plugin: claude-code\n    api_key: ${A}\n"
    "  - plugin: pi\n    provider_keys: {anthropic: '${B}'}\n": [
        "agent.yaml:6:5: features[0] (claude-code) and features[1] (pi) both define the service"
    ],
    HEAD + "features:\n  - plugin: ssh\n    port: 70000\n": [
        "agent.yaml:5:11: 'port' should be less than or equal to 65535"
    ],
    HEAD + "features:\n  - plugin: ssh\n    authorized_keys: ../../k.pub\n": [
        "agent.yaml:5:22: '../../k.pub' is outside the project"
    ],
    HEAD + "features:\n  - plugin: ssh\n    authorized_keys: work\n": [
        "agent.yaml:5:22: 'work' is a directory; give a file"
    ],
    HEAD + "features:\n  - plugin: ssh\n    authorized_keys: k.pub\n": [
        "agent.yaml:5:22: there is no file 'k.pub'; create it or correct the path"
    ],
    HEAD + "features:\n  - plugin: ssh\n    authorized_keys: agent.yaml\n": [
        "agent.yaml:5:22: 'agent.yaml' is agent.yaml, which is kept out of the sandbox; give a file"
    ],
    HEAD + "features:\n  - plugin: ssh\n    host_key: .\n": [
        "agent.yaml:5:15: '.' contains agent.yaml, which is kept out of the sandbox; give a file"
    ],
    HEAD + "features:\n  - plugin: custom-runtime\n    home_override: ./\n": [
        "agent.yaml:5:20: './' contains agent.yaml, which is kept out of the sandbox; give a"
    ],
    HEAD + "features:\n  - plugin: ssh\n  - plugin: ssh\n    port: 22\n": [
        (
            "agent.yaml:5:5: features[0] (ssh) and features[1] (ssh) both define the ssh server; "
            "remove one of them; the first is at agent.yaml:4:5"
        )
    ],
    HEAD + "packages: [jq, jq-, -oDebug=1, ./a.deb, jq/sid, 'jq*', 'jq; id', g++=1.2]\n": [
        f"agent.yaml:3:{column}: entry {number} of 'packages' must be the name of a Debian package"
        for number, column in enumerate((16, 21, 32, 41, 49, 56), 2)
    ],
    HEAD + "egress: loud\nlimits: {pids: 1}\nfoo: 1\n": [
        "agent.yaml:3:9: 'mode' must be 'open' or 'listed'",
        "agent.yaml:4:16: 'pids' should be greater than or equal to 16",
        "agent.yaml:5:1: unknown key 'foo'",
    ],
}


@pytest.mark.parametrize("text", CASES, ids=[messages[0][:60] for messages in CASES.values()])
def test_a_mistake_is_named_with_its_place(desk: Desk, text: str):
    project = desk.project(text)
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1
    for line, start in zip(done.problems, CASES[text], strict=True):
        assert line.startswith(start)


def test_several_mistakes_are_named_each_with_its_place_and_tip(desk: Desk):
    done = desk.companion("-C", str(desk.project("name: coder\nruntmie: codex\n")), "validate")
    assert done.err.splitlines() == [
        "error: agent.yaml:1:1: 'runtime' is missing",
        "tip: add it",
        "error: agent.yaml:2:1: unknown key 'runtmie'",
        "tip: did you mean 'runtime'?",
    ]


EVERYTHING = """\
name: app
runtime: codexx
egres: listed
features:
  - plugin: sshh
  - plugin: ssh
    prt: 22
  - plugin: custom-runtime
    entrypoint_hooks: [missing.sh]
"""


def test_wrong_keys_plugins_options_and_files_are_named_in_one_round(desk: Desk):
    done = desk.companion("-C", str(desk.project(EVERYTHING)), "validate")
    assert done.code == 1
    assert [problem.partition(";")[0] for problem in done.problems] == [
        "agent.yaml:2:10: there is no runtime 'codexx'",
        "agent.yaml:3:1: unknown key 'egres'",
        "agent.yaml:5:13: there is no plugin 'sshh'",
        "agent.yaml:7:5: unknown key 'prt'",
        "agent.yaml:9:24: there is no file 'missing.sh'",
    ]


SERVICE = HEAD + "features:\n  - plugin: external-services\n    services:\n      - url: {}\n"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x.test", "must begin with http://, https:// or docker://"),
        ("https://user:pw@x.test", "must have no user"),
        ("http://", "must begin with"),
        ("http://x.test:99999", "must be a URL such as"),
        ("http://a b", "must be a URL such as"),
        ("https://x.test:1", "must have another port: 1 is reserved for the gateway"),
        ("http://x.test:53", "must have another port: 53 is reserved for the gateway"),
        ("https://10.0.0.5/v1", "in your DNS, or http:// if the service speaks it"),
        ("https://[2001:db8::5]:8443", "use a name that leads to it, such as an entry in your DNS"),
        ("https://10.5", "must have a host name: TLS to an address sends no name"),
        ("https://0xA000005", "must have a host name: TLS to an address sends no name"),
        ("https://012.0.0.5", "must have a host name: TLS to an address sends no name"),
        ("https://167772165", "must have a host name: TLS to an address sends no name"),
        ("http://[::1]", "must have a host name or an IPv4 address: the gateway has no IPv6"),
        ("http://167772165", "must have its address as four decimal numbers, such as 10.0.0.5"),
    ],
)
def test_a_service_url_that_cannot_be_followed_is_refused(desk: Desk, url: str, message: str):
    done = desk.companion("-C", str(desk.project(SERVICE.format(f"'{url}'"))), "validate")
    assert done.code == 1
    assert done.problems[0].startswith("agent.yaml:6:14: 'url' ")
    assert message in done.err


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("GET", "must be a method and a path, such as"),
        ("GET https://x.test/a", "must be a method and a path, such as"),
        ("PSOT /a", "has an unknown method 'PSOT': did you mean 'POST'?"),
        ("post /a", "has an unknown method 'post': did you mean 'POST'?"),
        ("GET,POST /a", "must begin with a method in capitals"),
        ("GET /a?b=c", "must have no query and no fragment"),
        ("GET /a%20b", "must have its path without percent-encoding"),
        ("GET /a//b", "must have no empty segment"),
        ("GET /a/../b", "must have no empty segment and no `.` or `..`"),
        ("GET /a b", "must have a path of letters, digits"),
        ("GET /a/**b", "must have `**` only as a whole segment"),
        ("GET /**/a/**/b", "must have `**` at most once before its last segment"),
        ("GET /*a*", "must have `*` at most once in a segment"),
        ("GET /a\\nhttp-request", "must have a path of letters, digits"),
    ],
)
def test_a_mistake_in_a_request_rule_is_named(desk: Desk, rule: str, message: str):
    text = f"{SERVICE.format('http://x.test')}        deny: ['* /fine', '{rule}']\n"
    done = desk.companion("-C", str(desk.project(text)), "validate")
    assert done.code == 1
    assert done.problems[0].startswith("agent.yaml:7:27: entry 2 of 'deny' ")
    assert message in done.err


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.5:8000", "docker://10.0.0.5", "https://10.test", "https://0.5.x", "http://5.a"],
)
def test_an_address_by_plain_http_and_a_name_that_begins_with_numbers_are_fine(
    desk: Desk, url: str
):
    network = "        network: shared\n" if url.startswith("docker") else ""
    desk.companion("-C", str(desk.project(SERVICE.format(url) + network)), "validate").ok()


@pytest.mark.parametrize("value", ["sk-very-secret", "${A} ${B}", "${A}$B", "é ${A}", ""])
def test_a_header_takes_exactly_one_variable_and_a_pasted_secret_is_not_repeated(
    desk: Desk, value: str
):
    text = SERVICE.format("https://x.test") + f"        headers: {{X-Key: '{value}'}}\n"
    done = desk.companion("-C", str(desk.project(text)), "validate")
    assert done.code == 1
    assert "agent.yaml:7:" in done.err
    assert "sk-very-secret" not in done.err + done.out


CUSTOM = f"{AGENT}  - plugin: custom-runtime\n"
PASTED = {
    "a command": "test -d /srv || git clone git@git.test/some/tools.git /srv/tools; " * 6,
    "a key": f"ssh-ed25519 {'AAAAC3NzaC1lZDI1NTE5AAAAIB' * 12} me@desk",
    "a token": "q7Zk3X9vB2mN8pL4wR6t" * 15,
    "a deep path": "deep/" * 1000,
}
"""What the system does not even take for the name of a file."""


def test_a_name_that_is_empty_is_no_file_and_not_the_whole_directory(desk: Desk):
    text = f"{AGENT}    authorized_keys: ''\n    host_key: ' '\n" + CUSTOM.removeprefix(AGENT)
    project = desk.project(f"{text}    home_override: ''\n")
    done = desk.companion("-C", str(project), "validate")
    said = "' must name a file or directory; leave the key out for none"
    assert (done.code, done.err.count(said), done.err.count("error:")) == (1, 3, 3), done.err


@pytest.mark.parametrize("text", PASTED.values(), ids=PASTED)
@pytest.mark.parametrize(
    "option",
    [
        f"{AGENT}    authorized_keys: '{{}}'\n",
        f"{AGENT}    host_key: '{{}}'\n",
        f"{CUSTOM}    entrypoint_hooks: ['{{}}']\n",
        f"{CUSTOM}    home_override: '{{}}'\n",
        f"{CUSTOM}    runtime_volumes: ['./{{}}:/srv/x']\n",
    ],
)
def test_what_is_too_long_to_be_a_path_is_not_there_and_not_repeated(
    desk: Desk, option: str, text: str
):
    project = desk.project(option.replace("{}", text))
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1, done.err
    assert done.problems[0].startswith("agent.yaml:")
    assert ": there is no " in done.err
    assert len(done.err) < 200
    assert text[:60] not in done.err
    assert "q7Zk3X9" not in done.err


@pytest.mark.parametrize("path", ["circle", "circle/on", "~nobody-of-this-name/hook.sh"])
def test_a_path_that_leads_nowhere_is_not_there(desk: Desk, path: str):
    project = desk.project(f"{CUSTOM}    entrypoint_hooks: ['{path}']\n")
    (project / "circle").symlink_to("circle")
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1, done.err
    assert f"there is no file '{path}'" in done.err


@pytest.mark.parametrize("name", ["circle", "nowhere", "x" * 300])
def test_a_project_that_cannot_be_looked_at_is_not_there(desk: Desk, name: str):
    (desk.home / "circle").symlink_to("circle")
    done = desk.companion("-C", name, "validate")
    assert done.code == 1, done.err
    assert done.problems[0].startswith("there is no directory ")


def test_a_missing_hook_is_not_repeated_by_the_mount_that_it_would_lie_in(desk: Desk):
    secret = "q7Zk3X9vB2mN8pL4wR6t"
    text = (
        f"{CUSTOM}    entrypoint_hooks: [work/{secret}]\n    runtime_volumes: ['./work:/srv/x']\n"
    )
    done = desk.companion("-C", str(desk.project(text)), "validate")
    assert done.code == 1
    assert "there is no file 'work/…'" in done.err
    assert secret not in done.err


MOUNT = AGENT + "  - plugin: custom-runtime\n    runtime_volumes: ['{}:/srv/x']\n"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (".", "contains agent.yaml"),
        ("./.build", "is .build"),
        ("./link-to-here", "contains agent.yaml"),
        ("./link-out", "is outside the project"),
        ("..", "is or contains your home directory"),
        ("/", "belongs to the system"),
        ("/etc/ssl", "belongs to the system"),
        ("/var/run", "belongs to the system"),
        ("{home}", "is or contains your home directory"),
        ("{home}/.local/share/companion", "is companion"),
        ("{home}/.ssh", "is .ssh"),
        ("./overlay", "is overlay"),
        ("./overlay/deep", "lies in overlay"),
        ("./missing", "there is no directory './missing' to mount"),
    ],
)
def test_a_mount_from_which_the_agent_could_rewrite_its_cage_is_refused(
    desk: Desk, source: str, why: str
):
    text = MOUNT.replace("{}", source.format(home=desk.home)) + "    home_override: overlay\n"
    project = desk.project(text)
    (project / ".build").mkdir()
    (project / "overlay/deep").mkdir(parents=True)
    (desk.home / ".local/share/companion").mkdir(parents=True)
    (project / "link-to-here").symlink_to(project)
    (project / "link-out").symlink_to("/usr/share")
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1, done.out
    assert why in done.err
    assert done.problems[0].startswith("agent.yaml:7:23: ")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{home}/.SSH", "is .ssh"),
        ("{home}/.Local/Share", "contains companion"),
        ("{HOME}", "is or contains your home directory"),
        ("/ETC/ssl", "belongs to the system"),
    ],
)
def test_where_the_file_system_ignores_case_no_spelling_leads_past_a_refusal(
    desk: Desk, source: str, why: str
):
    """A home of two spellings stands for such a file system: that is how one is told."""
    (desk.home.parent / "HOME").symlink_to(desk.home)
    for name in (".SSH", ".Local/Share", ".local/share/companion"):
        (desk.home / name).mkdir(parents=True)
    upper = desk.home.parent / "Home"
    upper.mkdir()
    where = source.format(home=desk.home, HOME=upper)
    done = desk.companion("-C", str(desk.project(MOUNT.replace("{}", where))), "validate")
    assert (done.code, why in done.err) == (1, True), done.err
    (desk.home.parent / "HOME").unlink()
    assert why not in desk.companion("-C", str(desk.home / "project"), "validate").err


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("    runtime_volumes: ['./work:/w', './work/data:/d']\n", "work/data' leads through"),
        ("    runtime_volumes: ['./work/data:/d:ro', './work:/w']\n", "work/data' leads through"),
        ("    runtime_volumes: ['./work:/w', './a:/a']\n", "the mount './a' leads through"),
        (
            "    runtime_volumes: ['./work:/w']\n    entrypoint_hooks: [work/start]\n",
            "contains start",
        ),
        ("    runtime_volumes: ['./work:/w']\n    entrypoint_hooks: [hook]\n", "contains start"),
    ],
)
def test_what_an_agent_could_lead_elsewhere_is_not_followed(desk: Desk, lines: str, why: str):
    """It may replace what lies in a directory that it may write to, by a link for example."""
    project = desk.project(f"{AGENT}  - plugin: custom-runtime\n{lines}", start="true\n")
    for name in ("work/data", "elsewhere"):
        (project / name).mkdir()
    for link, target in {
        "a": "work/b",
        "work/b": "../elsewhere",
        "work/start": "../start",
        "hook": "work/start",
    }.items():
        (project / link).symlink_to(target)
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1, done.out
    assert why in done.err


def test_no_agent_is_given_what_steers_another_nor_steered_by_what_another_is_given(desk: Desk):
    text = MOUNT.replace("  - plugin: ssh\n", "").replace("{}", str(desk.home / "code"))
    (desk.home / "code").mkdir()
    fake = Fake(desk, desk.project(f"{text}container_runtime: podman\n", "outer"))
    fake.companion("up").ok()
    inner = desk.project(AGENT, "code/inner")
    said = desk.companion("-C", str(inner), "validate").problems[0]
    what = f"{inner}/agent.yaml lies in {desk.home}/code, which is writable for coder of "
    assert said.startswith(f"{what}{fake.project}; keep an agent's ")
    desk.companion("add", str(inner)).ok()
    said = fake.companion("validate").err
    assert f"contains {inner}/agent.yaml, which configures another agent" in said
    desk.companion("remove", str(inner)).ok()
    fake.companion("validate").ok()


def test_a_mount_of_a_sub_directory_is_fine(desk: Desk):
    desk.companion("-C", str(desk.project(MOUNT.replace("{}", "./work"))), "validate").ok()


def test_a_private_key_among_the_authorized_keys_is_refused_without_being_shown(desk: Desk):
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"
    project = desk.project(AGENT + "    authorized_keys: keys\n", keys=key)
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1
    assert done.problems[0].startswith("keys:1:1: ")
    assert "private key" in done.err.lower()
    assert "c2VjcmV0" not in done.err


def test_a_file_without_a_key_is_one_message_however_long_it_is(desk: Desk):
    project = desk.project(AGENT + "    authorized_keys: keys\n", keys="# Title\nprose\n" * 9)
    (said,) = desk.companion("-C", str(project), "validate").problems
    assert said.startswith("keys:2:1: not a public key: one looks like `ssh-ed25519 AAAA")
    assert said.endswith("; so are 8 further lines; give a file of public keys")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1LhQ7JHvm7Gr9SNmyFPsYxAKnHm0uJJd1YfVtbT1rN me\n"
    (project / "keys").write_text(f"{key}first\nsecond\n")
    said = desk.companion("-C", str(project), "validate").problems
    assert [line[:10] for line in said] == ["keys:2:1: ", "keys:3:1: "]


def test_a_missing_variable_is_named_with_its_use_and_stops_only_what_needs_it(desk: Desk):
    text = SERVICE.format("https://x.test") + '        headers: {X-Key: "${SOME_KEY}"}\n'
    project = desk.project(text)
    done = desk.companion("-C", str(project), "validate").ok()
    message = (
        "agent.yaml:6:9: SOME_KEY has no value; it is needed for the header X-Key for x.test:443"
    )
    assert message in done.err
    desk.companion("-C", str(project), "generate").ok()
    assert "SOME_KEY=\n" in (project / ".env.example").read_text()
    done = desk.companion("-C", str(project), "up")
    assert done.code == 1
    assert message in done.err


def test_a_broken_env_file_is_named_with_its_line_and_no_value(desk: Desk):
    project = desk.project(AGENT, __env="A=1\n\nthis is not = right at all'\nB=s3cret'x\n")
    done = desk.companion("-C", str(project), "validate")
    assert done.code == 1
    assert done.problems[0].startswith(".env:")
    assert "s3cret" not in done.err


def test_a_failing_generate_leaves_the_previous_build_as_it_was(desk: Desk):
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    before = {p: p.read_bytes() for p in (project / ".build").rglob("*") if p.is_file()}
    (project / "agent.yaml").write_text("name: coder\n")
    assert desk.companion("-C", str(project), "generate").code == 1
    assert {p: p.read_bytes() for p in (project / ".build").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("home", [None, "here"])
def test_a_user_without_a_home_is_told_what_to_set(desk: Desk, home: str | None):
    """In a user namespace in which no passwd entry has our id, as in a container of another uid."""
    environment = {k: v for k, v in desk.environment.items() if k != "HOME"}
    environment |= {"HOME": home} if home else {}
    stranger = ["unshare", "--user", "--map-user=54321"]
    if subprocess.run([*stranger, "true"], check=False).returncode:
        pytest.skip("this needs user namespaces: sysctl kernel.unprivileged_userns_clone=1")
    argv = [*stranger, COMPANION, "list"]
    done = subprocess.run(
        argv, env=environment, cwd=desk.home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = f"your user has no home directory: HOME is {home or 'not set'}"
    assert said in done.stderr
    assert "set HOME to a directory of yours" in done.stderr


@pytest.mark.parametrize("command", ["-C ~nobody-here status", "remove ~nobody-here"])
def test_the_home_of_an_unknown_user_is_not_there(desk: Desk, command: str):
    done = desk.companion(*command.split())
    assert done.code == 1
    assert "~nobody-here" in done.err


def test_no_engine_is_reported_with_a_tip(desk: Desk, tmp_path: Path):
    bare = empty_path(desk, tmp_path)
    said = bare.companion("doctor").out
    assert "neither docker nor podman is installed [engine]" in said
    assert "tip: install podman, or install docker\n" in said
    done = bare.companion("-C", str(desk.project()), "up")
    assert done.code == 1
    assert (
        done.err
        == "error: neither docker nor podman is installed\ntip: install podman, or install docker\n"
    )


def test_a_wanted_engine_that_is_missing_is_said(desk: Desk, tmp_path: Path):
    project = desk.project(AGENT + "container_runtime: podman\n")
    done = empty_path(desk, tmp_path).companion("-C", str(project), "up")
    assert done.problems[0].startswith(
        "container_runtime is podman, which is not installed; install"
    )


def failing_docker(desk: Desk, tmp_path: Path, words: str) -> Desk:
    """Return a desk whose only engine is a docker client that ends with these words."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho {shlex.quote(words)} >&2; exit 1\n")
    docker.chmod(0o755)
    return Desk(desk.home, desk.environment | {"PATH": f"{docker.parent}:{basics(tmp_path)}"})


ON_DOCKER = AGENT + "container_runtime: docker\n"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (AGENT, "Cannot connect to the Docker daemon at unix:///x.sock. Is the daemon running?"),
        (ON_DOCKER, "failed to connect to the docker API at unix:///x.sock; check if it exists"),
    ],
    ids=["28", "29"],
)
def test_a_silent_daemon_is_reported_in_the_words_of_its_client(
    desk: Desk, tmp_path: Path, config: str, words: str
):
    done = failing_docker(desk, tmp_path, words).companion("-C", str(desk.project(config)), "up")
    assert done.code == 1
    assert done.err == (
        f"error: docker does not answer: {words}\ntip: start the docker daemon, or use podman\n"
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (AGENT, 'Docker daemon socket at unix://SOCKET: Get "http://x": dial unix: denied'),
        (ON_DOCKER, "docker API at unix://SOCKET"),
    ],
    ids=["28", "29"],
)
def test_a_user_whom_the_socket_refuses_learns_why_and_which_group_may(
    desk: Desk, tmp_path: Path, config: str, words: str
):
    socket = tmp_path / "docker.sock"
    socket.touch()
    said = f"permission denied while trying to connect to the {words}"
    said = said.replace("SOCKET", str(socket))
    refused = failing_docker(desk, tmp_path, said)
    done = refused.companion("-C", str(desk.project(config)), "up", "--json")
    (problem,) = json.loads(done.out)["problems"]
    assert problem["code"] == "engine-denied"
    assert problem["what"] == f"docker refuses your user: {said}"
    assert str(socket) in problem["hint"]
    assert "docker refuses your user" in refused.companion("doctor").out


def test_a_docker_that_maps_user_ids_is_refused_before_anything_is_built(desk: Desk):
    fake = Fake(desk, desk.project(AGENT + "container_runtime: docker\n"), "docker")
    fake_engine.save(fake.file, fake_engine.NEW | {"mapped": " name=userns"})
    done = fake.companion("up")
    assert done.code == 1
    (problem,) = done.problems
    assert problem.startswith("docker maps user IDs (userns-remap), so no sandbox could read")
    assert 'remove "userns-remap" from /etc/docker/daemon.json' in problem
    probe = ["create", "rm", "rmi"]
    assert [call[0] for call in fake.world["calls"]] == probe, "it was only tried"
    assert "failed   docker: docker maps user IDs" in fake.companion("doctor").out


def empty_path(desk: Desk, tmp_path: Path) -> Desk:
    """A desk without engines on its PATH."""
    return Desk(desk.home, desk.environment | {"PATH": basics(tmp_path)})


def basics(tmp_path: Path) -> str:
    """A PATH with what a shell script needs and no engine."""
    directory = tmp_path / "basics"
    directory.mkdir(exist_ok=True)
    for name in ("sh", "ip"):
        for place in ("/usr/bin", "/bin", "/sbin", "/usr/sbin"):
            if (Path(place) / name).exists() and not (directory / name).exists():
                (directory / name).symlink_to(Path(place) / name)
    return str(directory)


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("{url: 'docker://db:80'}", "needs `network`: the engine network of its container"),
        ("{url: 'http://db', network: x}", "takes `network` only with a docker:// url"),
        ("{url: 'docker://db', network: host}", "'network' must be the name of a network"),
        ("{url: 'docker://db', network: 'a b'}", "'network' must be the name of a network"),
    ],
)
def test_a_docker_service_names_its_network(desk: Desk, service: str, message: str):
    text = f"{AGENT}  - plugin: external-services\n    services: [{service}]\n"
    done = desk.companion("-C", str(desk.project(text)), "validate")
    assert done.code == 1
    assert done.problems[0].startswith(
        "agent.yaml:7:16: " if "'" not in message else "agent.yaml:7:"
    )
    assert message in done.err


def test_a_file_of_agent_sandboxs_newer_format_gets_one_message(desk: Desk):
    text = (Path(__file__).parents[2] / "docs/migrating.md").read_text()
    theirs, ours = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    done = desk.companion("-C", str(desk.project(theirs)), "validate")
    assert len(done.problems) == 1
    problem = done.err
    assert problem.startswith("error: agent.yaml:3:1: this is agent-sandbox's newer format")
    for line in (
        "core_version (line 3) → remove it",
        "runtime_engine (line 4) → container_runtime",
        "runtime.image (line 6) → runtime: codex",
        "runtime.cwd (line 7) → workdir",
        "gateway.egress[].headers (line 14)",
        "@builtin/github-pat (line 19) → plugin: github-pat",
    ):
        assert line in problem
    assert "Bearer" not in done.err, "a value may be a secret"
    desk.companion("-C", str(desk.project(ours, name="coder")), "validate").ok()


@pytest.mark.parametrize(
    "theirs",
    [
        "agents: [coder]\nshared:\n  installations: [{plugin: ./mine}]\n",
        "agents: [coder]\nshared:\n  gateway: {egress: [{hosts: ['*'], deny: true}]}\n",
    ],
)
def test_so_does_a_fleet_of_that_format(desk: Desk, theirs: str):
    project = desk.project(fleet__yaml=theirs)
    (problem,) = desk.companion("-C", str(project), "validate").problems
    assert problem.startswith("fleet.yaml:3:")
    assert "newer format" in problem


def test_a_name_is_resolved_on_one_network(desk: Desk):
    services = (
        "docker://db:80', network: a",
        "docker://db:81', network: a",
        "docker://db:82', network: b",
    )
    text = ", ".join(f"{{url: '{service}}}" for service in services)
    text = f"{AGENT}  - plugin: external-services\n    services: [{text}]\n"
    done = desk.companion("-C", str(desk.project(text)), "validate")
    assert done.code == 1
    (problem,) = done.problems
    assert "both define the network of db" in problem


@pytest.mark.parametrize(
    ("name", "command", "why"),
    [
        ("agent.yaml", "ln -s /dev/zero", "it is not a regular file"),
        ("agent.yaml", "mkfifo", "it is not a regular file"),
        ("agent.yaml", "truncate -s 9G", "it is larger than 4 MiB"),
        ("fleet.yaml", "ln -s /dev/zero", "it is not a regular file"),
        (".env", "truncate -s 9G", "it is larger than 4 MiB"),
        ("start.sh", "truncate -s 9G", "it is larger than 64 MiB"),
    ],
)
def test_a_file_without_an_end_is_refused_in_one_message(
    desk: Desk, name: str, command: str, why: str
):
    features = (
        "features:\n  - {plugin: custom-runtime, root_hooks: [start.sh]}\n"
        "  - plugin: external-services\n"
        "    services: [{url: 'http://a.test', headers: {X: '${KEY}'}}]\n"
    )
    project = desk.project(HEAD + features, **{"start.sh": "true\n"})
    (project / name).unlink(missing_ok=True)
    subprocess.run([*command.split(), project / name], check=True)
    for words in ("validate", "plan", "up"):
        argv = ["prlimit", "--as=4000000000", COMPANION, "-C", project, words]
        done = subprocess.run(
            argv, env=desk.environment, capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: cannot read {project / name}: {why}\ntip: "), words


def test_a_current_directory_that_was_removed_is_one_message(desk: Desk):
    (desk.home / "gone").mkdir()
    script = 'cd gone && rmdir ../gone && exec "$0" status'
    done = subprocess.run(
        ["sh", "-c", script, COMPANION],
        env=desk.environment, cwd=desk.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: the current directory was removed",
        "tip: change to another one",
    ]
