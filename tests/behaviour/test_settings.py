"""Mistakes in settings.yaml are named with their place, as those in agent.yaml are."""

import pytest
from desk import CANARY, Desk


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        (f"http://me:{CANARY}@proxy.example.com:3128", "must have no user and password"),
        ("proxy.example.com:3128", "must be a URL such as http://proxy.example.com:3128"),
        ("http://127.0.0.1:3128", "must not be a loopback address"),
        ("http://LocalHost.:3128", "must not be a loopback address"),
        ('"http://[::1]:3128"', "must not be a loopback address"),
        ("http://proxy.example.com", "must be a URL such as http://proxy.example.com:3128"),
    ],
)
def test_a_build_proxy_with_a_password_is_refused(desk: Desk, proxy: str, why: str):
    settings = desk.home / ".config/companion/settings.yaml"
    settings.write_text(f"build:\n  proxy: {proxy}\n")
    done = desk.companion("-C", str(desk.project()), "validate")
    assert done.code == 1
    assert f"{settings}:2:10: 'proxy' {why}" in done.err
    assert len(done.problems) == 1
