"""A VPN that takes all traffic, or all private addresses, does not prevent a sandbox."""

import os
import subprocess

import pytest
from desk import COMPANION, Desk
from fake_project import fresh

SET_UP = """\
ip link set lo up
ip link add tun0 type veth peer name tun1
ip addr add 10.8.0.2/24 dev tun0
ip link set tun0 up
ip link set tun1 up
for route in $1; do ip route add $route via 10.8.0.1; done
shift
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace")
@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ("0.0.0.0/1 128.0.0.0/1", "0.0.0.0/1 is routed elsewhere (by a VPN?); 10.231."),
        ("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16", ""),
        (
            "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15",
            "10.0.0.0/8 is routed elsewhere (by a VPN?); 10.231.",
        ),
    ],
)
def test_a_sandbox_starts_beside_a_vpn_that_routes_everything(desk: Desk, routes: str, said: str):
    fake = fresh(desk)
    argv = ["unshare", "-n", "bash", "-ec", SET_UP, "bash", routes]
    done = subprocess.run(
        [*argv, COMPANION, "-C", str(fake.project), "up", "--yes"],
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("routed elsewhere" in done.stderr) == bool(said)
    assert said in done.stderr
    fake.is_whole()
