"""The networks of an engine's machine, as its kernel lists them; they count instead of ours."""

from dataclasses import replace

from test_cases import HOST

from companion.engine import machine
from companion.engine.model import EngineChoice
from companion.reconcile.desire import host_of

TABLE = """\
Main:
  +-- 0.0.0.0/0 4 1 12
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.213.17.0/31 1 0 0
        |-- 10.213.17.0
           /24 link UNICAST
           /32 link BROADCAST
        |-- 10.213.17.1
           /32 host LOCAL
     |-- 198.41.0.4
        /32 host LOCAL
     |-- 10.213.17.255
        /32 link BROADCAST
Local:
     |-- 10.213.17.1
        /32 host LOCAL
"""
OWN = ["10.213.17.0/24", "10.213.17.1/32", "198.41.0.4/32"]


def test_links_and_addresses_are_listed_and_routes_elsewhere_are_not():
    assert sorted(set(machine.parse(TABLE))) == OWN


def test_an_agent_elsewhere_is_refused_that_machines_addresses_and_not_ours():
    here = replace(HOST, addresses=("192.0.9.9",))
    there = EngineChoice("docker", "/docker", shares_files=False, networks=tuple(OWN))
    assert host_of(here, None).addresses == ("192.0.9.9",)
    assert host_of(here, EngineChoice("docker", "/docker")) == here
    assert host_of(here, there).addresses == ("198.41.0.4",)
    assert not host_of(here, there).shares_files
