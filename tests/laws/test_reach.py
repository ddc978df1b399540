"""What an agent reads about its own sandbox is what its gateway lets through, and no secret."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_cases import HERE, generated

from companion.render import reach
from companion.render.egress import hosts_of
from companion.sandbox.model import Sandbox

EVERYTHING = """
Hosts, on ports 443 (TLS) and 80 (HTTP):
  *.example.org
  docs.example.com
  pypi.org   (preset pypi)
  files.pythonhosted.org   (preset pypi)
  once.example.net   (once)

Services; the gateway adds the credential where there is one, so send none:
  https://api.example.com:8443
    only GET /v1/**
    only POST /v1/*/runs
    never * /v1/**/secrets
  http://database:8080
  http://host.containers.internal:8000
  https://plain.example.com:443
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    whole = generated(HERE / "everything", tmp_path).sandbox
    return replace(whole, once=("once.example.net",))


def text(sandbox: Sandbox) -> str:
    return reach.render(sandbox).content.decode()


def test_it_lists_hosts_services_and_request_rules_and_who_can_allow_more(sandbox: Sandbox):
    said = text(sandbox)
    assert said.endswith(EVERYTHING)
    assert all(f"\n  {host}" in said for host in hosts_of(sandbox))
    assert "  companion allow coder HOST" in said
    assert "Ask the" in said
    assert not [secret.name for secret in sandbox.secrets if secret.name in said]


def test_an_open_sandbox_and_one_without_a_gateway_say_so(sandbox: Sandbox):
    opened = replace(sandbox, egress=sandbox.egress.model_copy(update={"mode": "open"}))
    assert "  every public host\n" in text(opened)
    assert "no gateway" in text(replace(sandbox, gateway=False))


def test_what_is_allowed_once_counts_while_hosts_are_listed(sandbox: Sandbox):
    listed = ("*.example.org", "docs.example.com", "files.pythonhosted.org", "pypi.org")
    assert hosts_of(sandbox) == tuple(sorted((*listed, "once.example.net")))
    opened = replace(sandbox, egress=sandbox.egress.model_copy(update={"mode": "open"}))
    assert hosts_of(opened) == listed
