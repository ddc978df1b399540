"""What the commands that need no engine, or hardly one, say and write."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from desk import AGENT, COMPANION, ROOT, Desk
from fake_project import fresh

from companion import __version__
from ssh import keys


def test_the_version_is_printed_without_loading_what_it_does_not_need(desk: Desk):
    code = (
        "import sys; from companion.cli.main import main; main(['--version']);"
        "heavy = {'pydantic', 'yaml', 'paramiko', 'watchdog', 'cryptography', 'pystray'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"companion {__version__}", "[]"]


SLOW = {
    "asyncio", "concurrent.futures", "cryptography", "dbus_fast", "dotenv", "email", "filelock",
    "http", "importlib.metadata", "logging", "paramiko", "PIL", "pydantic", "pystray", "ssl",
    "watchdog", "yaml",
}  # fmt: skip
"""Modules that cost a command more than it does itself; `companion status` has a budget (B9)."""
UNUSED = {
    "companion.engine.build_output", "companion.engine.failures", "companion.project.runs",
    "companion.operations.container_logs", "companion.system.builds", "companion.traffic.log",
    "companion.system.worktrees", "csv", "queue", "secrets", "socket",
}  # fmt: skip
"""Modules that `status` needs only where something failed, or runs without a watcher."""


@pytest.mark.parametrize(
    "command", ["status", "list", "exec coder true", "logs coder", "resume", "status --json"]
)
def test_a_command_that_reads_our_records_loads_nothing_slow(desk: Desk, command: str):
    fake = fresh(desk)
    fake.companion("up").ok()
    for _ in range(2):  # the configs are read, and then their validation is confirmed
        fake.companion("status").ok()
    argv = [sys.executable, "-X", "importtime", "-m", "companion", "-C", str(fake.project)]
    done = subprocess.run(
        [*argv, *command.split()], env=desk.environment, capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "companion.project.store" in loaded
    assert not (SLOW | UNUSED if command.startswith("status") else SLOW) & loaded


def test_status_asks_the_engine_once_and_for_a_list_only_if_a_container_is_missing(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    asked = fake.calls_of("status")
    assert asked == [("inspect", 1)]
    fake.set(containers={n: c for n, c in fake.world["containers"].items() if "-net" not in n})
    fake.set(met={})
    assert fake.companion("status", "--json").ok().agent["state"] == "broken"
    assert {kind for kind, _ in fake.met()} > {"ps"}


def test_status_answers_though_nothing_can_be_kept_for_the_next_time(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    (project,) = (desk.home / ".local/state/companion/projects").iterdir()
    (project / "validation.json").mkdir()
    assert fake.companion("status", "--json").ok().agent["state"] == "running"


def test_init_writes_a_project_that_is_valid_and_never_overwrites(desk: Desk):
    target = desk.home / "new"
    desk.companion("init", str(target), "--name", "helper").ok()
    text = (target / "agent.yaml").read_text()
    assert "mode: listed" in text
    made = {path.name for path in target.iterdir()}
    assert made == {"agent.yaml", ".gitignore", "work", ".build"}
    assert ".env" in (target / ".gitignore").read_text()
    desk.companion("-C", str(target), "validate").ok()
    again = desk.companion("init", str(target))
    assert again.code == 1
    assert "exists already" in again.err
    assert (target / "agent.yaml").read_text() == text


def test_init_refuses_a_name_that_no_config_may_have_and_writes_nothing(desk: Desk):
    done = desk.companion("init", str(desk.home / "new"), "--name", "No Good")
    assert done.code == 1
    assert "'name' must be" in done.err
    assert not (desk.home / "new").exists()


def test_an_example_is_copied_without_what_python_compiled(desk: Desk):
    compiled = ROOT / "assets/examples/local-coding/__pycache__/model_server.test.pyc"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(b"")
    try:
        desk.companion("init", "new", "--example", "local-coding").ok()
    finally:
        compiled.unlink()
    assert (desk.home / "new/model_server.py").exists()
    assert not (desk.home / "new/__pycache__").exists()


def test_compose_of_podman_is_podmans_own(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    assert fake.companion("compose", "ps").ok().out.startswith("podman compose --project-name")
    own = fake.program.with_name("podman-compose")
    own.write_text("#!/bin/sh\necho podman-compose\n")
    own.chmod(0o755)
    assert fake.companion("compose", "ps").ok().out == "podman-compose\n"
    lacking = fake.companion("compose", "top")
    assert (lacking.code, lacking.out) == (1, "")
    assert lacking.problems == ["podman-compose has no command 'top'; run `companion top` instead"]


def test_compose_reads_no_file_that_a_repository_brought(desk: Desk):
    fake = fresh(desk)
    fake.companion("up").ok()
    own = fake.program.with_name("podman-compose")
    own.write_text('#!/bin/sh\nwhile [ "$1" != --file ]; do shift; done; cat "$2"\n')
    own.chmod(0o755)
    build = fake.project / ".build/coder"
    good = (build / "docker-compose.yml").read_text()
    (build / "docker-compose.yml").write_text("include: ['https://evil.test/compose.yml']\n")
    (build / ".env").write_text("COMPOSE_FILE=evil.yml\n")
    assert fake.companion("compose", "config").ok().out == good


def test_every_example_is_valid(desk: Desk):
    for example in ("local-coding", "local-coding-ssh", "multi-agent"):
        target = desk.home / example
        desk.companion("init", str(target), "--example", example).ok()
        desk.companion("-C", str(target), "validate").ok()
    unknown = desk.companion("init", str(desk.home / "x"), "--example", "local-coding-shh")
    assert "did you mean 'local-coding-ssh'?" in unknown.err


def test_plan_says_start_of_a_first_start_and_what_changes_of_a_later_one(desk: Desk):
    fake = fresh(desk)
    assert fake.companion("plan").ok().out.startswith("start: nothing exists yet")
    fake.companion("up").ok()
    with (fake.project / "agent.yaml").open("a") as config:
        config.write("workdir: /srv\n")
    assert fake.companion("plan").ok().out.startswith("recreate: ")


def test_the_end_of_input_is_an_answer(desk: Desk):
    ours, theirs = pty.openpty()
    os.write(ours, b"helper\n\x04")
    done = subprocess.run(
        [COMPANION, "init", "new"], env=desk.environment, cwd=desk.home, stdin=theirs, check=False
    )
    assert done.returncode == 0
    text = (desk.home / "new/agent.yaml").read_text()
    assert "name: helper\nruntime: codex\n" in text


def test_a_name_on_the_disk_does_not_steer_the_terminal(desk: Desk):
    desk.companion("add", str(desk.project(name="\x1b]0;owned\x07"))).ok()
    assert "\\x1b]0;owned\\x07" in desk.companion("list").ok().out


def test_usage_errors_exit_with_2(desk: Desk):
    assert desk.companion().code == 2
    assert desk.companion("frobnicate").code == 2
    assert desk.companion("oauth").code == 2


def test_a_directory_without_a_config_is_said(desk: Desk):
    done = desk.companion("-C", str(desk.home), "validate")
    assert done.code == 1
    assert "there is no agent.yaml" in done.err
    assert "companion run" in done.err
    assert desk.companion("-C", "/nowhere/at/all", "status").code == 1


def test_generate_writes_the_build_and_no_secret(desk: Desk):
    project = desk.project(
        "name: coder\nruntime: codex\nfeatures:\n  - plugin: external-services\n    services:\n"
        '      - url: https://x.test\n        headers: {X-Key: "${SOME_KEY}"}\n',
        __env="SOME_KEY=canary-5e1f\n",
    )
    desk.companion("-C", str(project), "generate").ok()
    whole = b"".join(p.read_bytes() for p in (project / ".build").rglob("*") if p.is_file())
    assert b"canary-5e1f" not in whole
    assert b"PRIVATE KEY" not in whole
    assert (project / ".build/.gitignore").read_text() == "*\n"


def test_keys_are_added_and_rotated_before_the_first_start(desk: Desk):
    project = desk.project()
    desk.companion("-C", str(project), "generate").ok()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", desk.home / "mine"], check=True
    )
    added = desk.companion("-C", str(project), "keys", "add", "coder", f"{desk.home}/mine.pub")
    assert [line.split()[-1] for line in added.ok().out.splitlines()] == ["own", "added"]
    made = desk.companion("-C", str(project), "keys", "rotate", "coder", "--json").ok().data
    assert set(made) == {"host_key", "client_key"}
    own, _ = desk.companion("-C", str(project), "keys", "list", "coder", "--json").ok().data
    assert own["fingerprint"] == made["client_key"]
    pins = (desk.home / ".local/share/companion/ssh/known_hosts").read_text()
    assert keys.fingerprint(pins.partition(" ")[2].strip()) == made["host_key"]


def test_a_host_key_that_is_none_is_said_before_anything_is_touched(desk: Desk):
    project = desk.project(f"{AGENT}    host_key: mine\n", mine="")
    done = desk.companion("-C", str(project), "generate")
    assert done.code == 1
    assert done.problems[0].startswith(
        "mine is not an Ed25519 private key without a passphrase; remove "
    )
    assert not (project / ".build").exists()
    (project / "agent.yaml").write_text(AGENT)
    desk.companion("-C", str(project), "generate").ok()
    desk.companion("-C", str(project), "keys", "rotate", "coder").ok()
    (kept,) = desk.home.rglob("sshd/host_key")
    kept.write_text("torn")
    assert (
        f"{kept} is not an Ed25519 private key"
        in desk.companion("-C", str(project), "generate").err
    )


def test_plugins_are_listed(desk: Desk):
    names = {row["name"] for row in desk.companion("plugins", "--json").ok().data}
    assert names == {
        "claude-code", "codex", "custom-runtime", "external-services", "gemini-cli", "git",
        "github-pat", "mcp-oauth", "opencode", "pi", "ssh",
    }  # fmt: skip


def test_a_bug_of_ours_exits_with_3_and_leaves_a_report(desk: Desk):
    """The bug: the package was installed without its assets."""
    broken = desk.home / "broken"
    for package in ("companion", "ssh", "editors"):
        shutil.copytree(ROOT / package, broken / package)
    argv = [sys.executable, "-m", "companion", "init", str(desk.home / "new")]
    done = subprocess.run(
        argv, env=desk.environment, cwd=broken, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    report = desk.home / ".local/state/companion/reports/last.txt"
    assert done.stderr.startswith("error: this is a bug in companion: FileNotFoundError: ")
    assert f"{broken}/assets/" in done.stderr
    assert done.stderr.endswith(f"please report {report}\n")
    text = report.read_text()
    assert "Traceback" in text
    assert repr(argv[3:]) in text
    assert not (desk.home / "new").exists()


def test_a_file_where_the_state_belongs_is_named(desk: Desk):
    (desk.home / ".local/state").mkdir(parents=True)
    state = desk.home / ".local/state/companion"
    state.write_text("a file where a directory belongs")
    project = desk.project()
    done = desk.companion("-C", str(project), "generate")
    assert done.code == 1
    assert f"cannot write {state}/" in done.err
    assert "Traceback" not in done.err
    assert not (project / ".build").exists()


@pytest.mark.parametrize("option", [[], ["--follow"]])
def test_logs_end_quietly_when_their_reader_does(desk: Desk, option: list[str]):
    fake = fresh(desk)
    fake.companion("up").ok()
    fake.set(said="it works\n" * 100_000)
    logs = desk.start("-C", str(fake.project), "logs", "coder", *option)
    assert logs.stdout
    assert logs.stdout.readline().rstrip().endswith(" | it works")
    logs.stdout.close()
    assert (logs.wait(30), logs.stderr and logs.stderr.read()) == (141, "")


@pytest.mark.parametrize("command", ["plugins", "plugins --json", "status --json"])
def test_an_answer_that_nobody_reads_is_no_failure_of_ours(desk: Desk, command: str):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [COMPANION, *command.split()],
        env=desk.environment,
        cwd=desk.home,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_gateway_that_ends_is_named_and_not_the_firewall(desk: Desk):
    fake = fresh(desk)
    fake.companion("plan").ok()
    words = "dnsmasq: failed to create listening socket: Permission denied"
    end = "gateway: resolver ended with exit code 2"
    fake.set(refuse=["exec"], said=f"{words}\n{end}\n")
    done = fake.companion("up")
    assert done.code == 1
    assert f"the gateway keeps exiting: {words}; {end}" in done.err
    fake.set(said="")
    assert "the check of the sandbox's network failed" in fake.companion("up").err


def test_start_up_stays_within_four_times_the_interpreter(desk: Desk):
    both = [
        (once([sys.executable, "-c", "pass"]), once([COMPANION, "--version"])) for _ in range(12)
    ]
    floor, ours = map(min, zip(*both, strict=True))
    assert ours <= 4 * floor + 0.01, f"{ours * 1000:.0f} ms, floor {floor * 1000:.0f} ms"


LOADS = """
import os
from companion.cli.catalogue import COMMANDS
import cryptography.x509, paramiko, pydantic.types, yaml
for module in {command.handler.partition(":")[0]: command for command in COMMANDS}.values():
    pid = os.fork()
    if not pid:
        module.load()
        os._exit(0)
    assert not os.waitpid(pid, 0)[1], module.handler
"""


def test_the_module_of_each_command_can_be_imported_first():
    argv = [sys.executable, "-c", LOADS]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def once(argv: list[str | Path]) -> float:
    """Return the seconds of CPU that one run takes; of many the least counts: machines are shared.

    With compiled modules, as everybody has them after the first run.
    """
    compiled = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(argv, env=compiled, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0
    return used.ru_utime + used.ru_stime
