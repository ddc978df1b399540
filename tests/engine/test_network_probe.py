"""What doctor says of a real engine that lacks a tool."""

from pathlib import Path

import pytest
from desk import Desk, answering

from companion.system import packages

pytestmark = pytest.mark.engine
FIREWALL = ("iptables", "ip6tables", "xtables", "nft")


def programs_but_firewalls(directory: Path) -> str:
    """Make a PATH that has all programs of the system but those that write firewall rules."""
    directory.mkdir()
    for place in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for program in Path(place).iterdir():
            there = directory / program.name
            if not program.name.startswith(FIREWALL) and not there.is_symlink():
                there.symlink_to(program)
    return str(directory)


def test_podman_without_a_firewall_tool_answers_and_fails_the_probe(desk: Desk, tmp_path: Path):
    if "podman" not in answering():
        pytest.skip("podman is missing: apt-get install podman")
    desk.environment["PATH"] = programs_but_firewalls(tmp_path / "programs")
    found = {f["what"]: f for f in desk.companion("doctor", "--json").data}
    assert found["podman answers"]["level"] == "ok"
    refused = next(w for w in found if w.startswith("podman cannot run a container on a network"))
    assert found[refused]["level"] == "failed"
    assert found[refused]["hint"] in map(packages.advice, ("iptables", "nftables"))


def test_podman_without_network_plugins_fails_the_probe_and_keeps_nothing_of_it(
    desk: Desk, tmp_path: Path
):
    if "podman" not in answering():
        pytest.skip("podman is missing: apt-get install podman")
    networks, plugins = tmp_path / "networks", tmp_path / "plugins"
    networks.mkdir()
    plugins.mkdir()
    config = '{"cniVersion": "0.4.0", "name": "podman", "plugins": [{"type": "bridge"}]}'
    (networks / "87-podman.conflist").write_text(config)
    conf = tmp_path / "containers.conf"
    conf.write_text(
        f'[network]\nnetwork_backend = "cni"\nnetwork_config_dir = "{networks}"\n'
        f'cni_plugin_dirs = ["{plugins}"]\n'
    )
    desk.environment["CONTAINERS_CONF"] = str(conf)
    found = {f["what"]: f for f in desk.companion("doctor", "--json").data}
    refused = next(w for w in found if w.endswith("podman's network plugins are missing"))
    assert found[refused]["hint"] == packages.advice("containernetworking-plugins")
    assert [path.name for path in networks.glob("*.conflist")] == ["87-podman.conflist"]
