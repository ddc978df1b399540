"""What a sandbox means for its containers: what reloads, what restarts, who may come in."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from desk import ROOT
from test_cases import HERE, generated

from companion.plugins.contribution import EnvVar, SecretRef
from companion.reconcile import host_facts
from companion.reconcile.desired import Desired, desire
from companion.render import dns, ingress, sshd
from companion.sandbox.model import Sandbox
from companion.spec.containers import File, Files, Role, Service


class Inputs(NamedTuple):
    """What desire() is given."""

    sandbox: Sandbox
    seals: dict[SecretRef, str]
    leaves: tuple[File, ...] = (File("api.example.com.pem", b"leaf"),)
    host_key: tuple[File, ...] = (File("host_key", b"key"),)

    def desire(self) -> Desired:
        return desire(self.sandbox, host_facts.assets(), self.seals, self.leaves, self.host_key)

    def gateway(self) -> Service:
        return self.desire().target.service(Role.GATEWAY)

    def with_host(self, **values: object) -> "Inputs":
        host = replace(self.sandbox.host, **values)
        return self._replace(sandbox=replace(self.sandbox, host=host))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    sandbox = generated(HERE / "everything", tmp_path_factory.mktemp("desired")).sandbox
    return Inputs(sandbox, {EnvVar("A_KEY"): "1", EnvVar("B_KEY"): "2", EnvVar("ODD"): "3"})


def test_the_gateway_takes_these_things_in_one_by_one(given: Inputs):
    assert list(dict(given.gateway().reloads)) == [
        *("egress mode", "log level", "trusted certificates", "the desktop's address 8.8.4.4"),
        *("host *.example.org", "host docs.example.com", "host files.pythonhosted.org"),
        *("host pypi.org", "service https://api.example.com:8443"),
        "service http://database:8080 on the network backend",
        "service http://host.containers.internal:8000",
        *("service https://plain.example.com:443", "secret A_KEY", "secret B_KEY", "secret ODD"),
        "certificate api.example.com",
    ]


CHANGES: dict[str, tuple[Callable[[Inputs], Inputs], set[str]]] = {
    "another mode": (
        lambda g: g._replace(
            sandbox=replace(g.sandbox, egress=g.sandbox.egress.model_copy(update={"mode": "open"}))
        ),
        {"egress mode"},
    ),
    "another log level": (
        lambda g: g._replace(sandbox=replace(g.sandbox, log_level="info")),
        {"log level"},
    ),
    "trust in somebody": (
        lambda g: g.with_host(trusted_certificates="Müller".encode()),
        {"trusted certificates"},
    ),
    "another network": (
        lambda g: g.with_host(addresses=("9.9.9.9",)),
        {"the desktop's address 8.8.4.4", "the desktop's address 9.9.9.9"},
    ),
    "another value": (
        lambda g: g._replace(seals={**g.seals, EnvVar("ODD"): "4"}),
        {"secret ODD"},
    ),
    "another certificate": (
        lambda g: g._replace(leaves=(File("api.example.com.pem", b"new"),)),
        {"certificate api.example.com"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_for_the_gateway_reloads_under_its_name_and_restarts_nothing(
    given: Inputs, change: str
):
    make, names = CHANGES[change]
    before, after = given.gateway(), make(given).gateway()
    differing = set(before.reloads) ^ set(after.reloads)
    assert {name for name, _ in differing} == names
    assert after.spec == before.spec


def test_another_header_of_a_service_reloads_that_service(given: Inputs):
    upstreams = tuple(
        replace(u, headers=u.headers[:1]) if len(u.headers) > 1 else u
        for u in given.sandbox.contribution.upstreams
    )
    contribution = replace(given.sandbox.contribution, upstreams=upstreams)
    fewer = given._replace(sandbox=replace(given.sandbox, contribution=contribution))
    differing = set(given.gateway().reloads) ^ set(fewer.gateway().reloads)
    service = "service http://host.containers.internal:8000"
    assert {name for name, _ in differing} == {service, "secret ODD"}


def test_other_ways_in_restart_the_ingress_alone_and_other_networks_all_around_the_agent(
    given: Inputs,
):
    ports = replace(given.sandbox.allocation, ssh_port=None)
    moved = replace(given.sandbox.allocation, internal_subnet="10.231.0.32/28")
    before = given.desire().target
    restarted = []
    for allocation in (ports, moved):
        sandbox = replace(given.sandbox, allocation=allocation)
        after = given._replace(sandbox=sandbox).desire().target
        restarted.append({r for r in Role if before.service(r).spec != after.service(r).spec})
    assert restarted == [{Role.INGRESS}, {Role.GATEWAY, Role.INGRESS, Role.NET}]
    names = [name for role in Role for name, _ in before.service(role).configuration]
    assert names == ["names", "ways in", "sshd"]


def test_the_list_of_system_calls_is_given_to_every_container(given: Inputs):
    desired, (profile,) = given.desire(), given.desire().seccomp_files
    assert profile.content == (ROOT / "assets/seccomp.json").read_bytes()
    assert [s.seccomp for s in desired.target.services] == [profile.path] * 4
    other = replace(host_facts.assets(), seccomp=b"{}")
    changed = desire(given.sandbox, other, given.seals, given.leaves, given.host_key)
    assert {s.seccomp for s in changed.target.services}.isdisjoint({profile.path})


def test_an_engine_elsewhere_mounts_no_single_file_and_publishes_no_port(given: Inputs):
    here = given.desire().target.services
    there = given.with_host(shares_files=False).desire().target.services
    assert [one.role for one in here if one.publish] == [Role.INGRESS]
    assert {r for s in here for r in [s.role]} - {s.role for s in there} == {Role.INGRESS}
    assert not [one for one in there if one.publish]
    mounted = [b.source for one in there for b in one.binds if isinstance(b.source, Files)]
    assert mounted
    assert not [source for source in mounted if source.file]
    (writes,) = (one for one in there if one.writable and one.role is not Role.AGENT)
    assert (writes.role, writes.command[-1]) == (Role.NET, "names")


def test_files_have_the_names_that_containers_look_for(given: Inputs):
    assert dns.resolv_conf(given.sandbox) == File(
        "resolv.conf", b"nameserver 10.231.0.18\noptions ndots:0\n"
    )
    assert sshd.render(given.sandbox).path == "sshd_config"


OUTSIDE, INSIDE = "10.231.0.4", "10.231.0.20"
DESKTOP = f"10.231.0.1 10.231.0.17 {OUTSIDE} {INSIDE}"
ANYWHERE = [
    *(f"bind {OUTSIDE}:2222", f"bind {INSIDE}:2222"),
    f"tcp-request connection reject if !{{ src {DESKTOP} }}",
]


@pytest.mark.parametrize("networks", [(), ("backend",)])
@pytest.mark.parametrize(("rootless", "lines"), [(False, ANYWHERE[:1]), (True, ANYWHERE)])
def test_the_desktop_comes_in_where_its_engine_leads_it(
    given: Inputs, networks: tuple[str, ...], rootless: bool, lines: list[str]
):
    assert ways_in(given, networks, rootless, 2222) == lines


def ways_in(given: Inputs, networks: tuple[str, ...], rootless: bool, port: int) -> list[str]:
    """Return the lines of a port's section about who may come in."""
    ssh = given.sandbox.ports[0]
    contribution = replace(
        given.sandbox.contribution,
        networks=networks,
        ports=(replace(ssh, container=port, host=port),),
    )
    sandbox = replace(given.with_host(rootless=rootless).sandbox, contribution=contribution)
    text = ingress.render(sandbox).content.decode()
    section = text.partition(f"\nlisten port_{port}\n")[2].partition("\nlisten ")[0]
    lines = [line.strip() for line in section.splitlines()]
    return [line for line in lines if line.startswith(("bind", "tcp-request"))]


def test_the_gateways_image_has_every_file_that_it_copies():
    context = {file.path: file.content.decode() for file in host_facts.assets().gateway}
    copied = re.search(r"^COPY (.*) /usr", context["Dockerfile"].replace("\\\n", ""), re.MULTILINE)
    assert copied
    assert {*copied[1].split(), "Dockerfile"} == context.keys()
