"""companion doctor: what is wrong on this machine, and what --fix mends."""

import json
import subprocess
from dataclasses import replace

import pytest
from desk import COMPANION, Desk
from fake_project import Fake, fresh

from companion.engine import network_probe
from companion.operations import doctor
from companion.system import inotify, network, packages
from companion.system.inotify import Holder


@pytest.fixture
def fake(desk: Desk) -> Fake:
    fake = fresh(desk)
    fake.companion("up").ok()
    return fake


def levels(fake: Fake, *arguments: str) -> dict[str, str]:
    done = fake.desk.companion("doctor", *arguments, "--json")
    found = {one["what"]: one["level"] for one in done.data}
    assert not [one for one in found if str(fake.desk.home) in one]
    assert done.code == (1 if "failed" in found.values() else 0)
    return found


def test_a_healthy_machine_has_nothing_that_failed(fake: Fake):
    found = levels(fake)
    assert "failed" not in found.values()
    assert found["podman answers"] == "ok"
    assert found["coder in ~/project is running"] == "ok"


def test_fix_includes_the_sandboxes_and_makes_private_what_others_could_read(fake: Fake):
    own = fake.desk.home / ".ssh/config"
    own.write_text("Host mine\n")
    key = fake.desk.home / ".local/share/companion/ca/ca.key"
    key.chmod(0o644)
    found = levels(fake)
    assert found["others may read ~/.local/share/companion/ca/ca.key"] == "failed"
    assert found["~/.ssh/config does not include the sandboxes"] == "warning"
    mended = levels(fake, "--fix")
    assert "failed" not in mended.values()
    assert mended["~/.ssh/config includes the sandboxes"] == "ok"
    assert key.stat().st_mode & 0o077 == 0
    assert own.read_text().endswith("Host mine\n")
    own.write_text(own.read_text().replace(f"{fake.desk.home}/", "~/"))  # as doctor prints it
    assert levels(fake)["~/.ssh/config includes the sandboxes"] == "ok"


def test_what_is_broken_is_named_with_what_to_do(fake: Fake):
    world = fake.world
    agent = next(c for n, c in world["containers"].items() if n.endswith("-coder"))
    agent["State"] |= {"Running": False, "Status": "exited", "ExitCode": 3}
    fake.set(containers=world["containers"])
    found = levels(fake)
    assert found["coder in ~/project is crashed (exit code 3)"] == "failed"
    (fake.project / "agent.yaml").write_text("name: [\n")
    assert any("agent.yaml:" in what and level == "warning" for what, level in levels(fake).items())
    fake.project.rename(fake.desk.home / "elsewhere")
    said = fake.desk.companion("doctor").out
    gone = (
        "~/project is gone, but its project is still registered [projects]\n"
        "         tip: run `companion remove"
    )
    assert gone in said


def test_an_engine_that_does_not_answer_is_no_crash(fake: Fake):
    fake.set(refuse=["version", "ps"])
    assert any("podman" in what for what, level in levels(fake).items() if level != "ok")


def test_a_fleet_that_cannot_be_read_hides_no_other_project(fake: Fake):
    fleet = fake.desk.home / "a-fleet"
    (fleet / "one").mkdir(parents=True)
    (fleet / "one/agent.yaml").write_text("runtime: codex\n")
    (fleet / "fleet.yaml").write_text("agents: [one]\n")
    fake.desk.companion("add", str(fleet)).ok()
    (fleet / "fleet.yaml").write_text("agents: [one\n")
    found = levels(fake)
    assert any(what.startswith("~/a-fleet: fleet.yaml:") for what in found), found
    assert found["coder in ~/project is running"] == "ok"


def test_a_silent_engine_hides_no_other_check(fake: Fake):
    fake.set(refuse=["version", "ps", "network", "info"])
    found = levels(fake)
    assert found["podman does not answer: version is refused"] == "warning"
    assert found["only you can read the keys and secrets that Companion keeps"] == "ok"
    assert any(what.startswith("~/project: podman") for what in found), found


def test_a_repair_that_fails_hides_no_other(fake: Fake):
    own = fake.desk.home / ".ssh/config"
    own.symlink_to("/dev/null/config")
    key = fake.desk.home / ".local/share/companion/ca/ca.key"
    key.chmod(0o644)
    found = levels(fake, "--fix")
    assert any(what.startswith("not repaired: ~/.ssh/config does not include") for what in found), (
        found
    )
    line = 'Include "~/.local/share/companion/ssh/config"'
    assert f"need `{line}` at its top" in fake.desk.companion("doctor").out
    assert key.stat().st_mode & 0o077 == 0


def test_a_tool_that_the_engines_networks_lack_is_named(fake: Fake):
    fake.set(probe="netavark: No such file or directory (os error 2)")
    done = fake.desk.companion("doctor")
    assert "ok       podman answers" in done.out
    assert "failed   podman cannot run a container on a network of its own" in done.out
    assert f"tip: {packages.advice('iptables')}" in done.out


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("netavark: nftables error: unable to execute nft: No such file", "nftables"),
        ('could not find "netavark" in one of [/usr/libexec/podman]', "netavark"),
        ("could not find slirp4netns, the network namespace can", "slirp4netns"),
        ("could not find pasta, the network namespace cannot be configured", "passt"),
        ("something else", ""),
    ],
)
def test_the_package_of_a_missing_tool_is_known_from_the_engines_words(said: str, hint: str):
    assert network_probe.missing(said) == hint


def test_storage_that_copies_every_layer_is_a_warning(fake: Fake):
    fake.set(storage="vfs")
    what = "podman stores a whole copy for each layer of an image (driver vfs)"
    assert levels(fake)[what] == "warning"


def test_a_machine_that_slirp4netns_hides_from_its_sandboxes_is_a_warning(fake: Fake):
    address = network.outward_address()
    if not address:
        pytest.skip("this machine has no network: give it an address and a default route")
    line = "2: tap0    inet {}/24 brd {} scope global tap0\\       valid_lft forever\n"
    fake.set(rootless=True, addresses=line.format(address, address))
    assert any("slirp4netns uses" in what for what in levels(fake))
    fake.set(addresses=line.format("203.0.113.100", "203.0.113.255"))
    assert not any("slirp4netns uses" in what for what in levels(fake))
    fake.set(refuse=["unshare"])
    assert "failed" not in levels(fake).values()


HOARDER = """\
import ctypes
held = [ctypes.CDLL(None).inotify_init() for _ in range(5)]
print(flush=True)
input()
"""


def test_a_container_that_takes_inotify_instances_is_named():
    """Without a user namespace of its own, it shares the few that the desktop's user has."""
    apart = ["unshare", "--pid", "--fork", "--kill-child", "python3", "-c", HOARDER]
    with subprocess.Popen(apart, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = inotify.limits()
        child.kill()
    (hoarder,) = (
        one
        for one, n in found.holders.items()
        if (n, one.contained) == (5, True) and "py" in one.name
    )
    few = replace(found, instances=6, holders={hoarder: 5, Holder(1, "editor", False): 1})
    finding = doctor.shortage(few)
    assert finding.what == (
        f"6 of your 6 inotify instances are in use, 5 by {hoarder.name} (process {hoarder.pid})"
        " in a container"
    )
    assert finding.hint.startswith("stop that sandbox, or `sysctl fs.inotify")
    alone = doctor.shortage(replace(few, holders={Holder(1, "editor", False): 6}))
    assert alone.what == "6 of your 6 inotify instances are in use"


def test_inotify_instances_that_run_out_are_a_warning(fake: Fake):
    few = 'echo 3 >/proc/sys/user/max_inotify_instances && exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", few, "sh", COMPANION, "doctor", "--json"]
    done = subprocess.run(
        argv, env=fake.desk.environment, capture_output=True, text=True, check=False
    )
    found = [one for one in json.loads(done.stdout)["data"] if "inotify instances" in one["what"]]
    assert [one["level"] for one in found] == ["warning"]
    assert "of your 3 inotify instances are in use" in found[0]["what"]
    assert "sysctl fs.inotify.max_user_instances=1024" in found[0]["hint"]
