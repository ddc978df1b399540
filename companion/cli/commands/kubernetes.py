"""`companion generate --kubernetes`: the objects of a project's sandboxes for a cluster."""

import ipaddress
import re
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from shlex import join

from companion.cli.commands.trust import offer
from companion.cli.output import Result, comment
from companion.cli.targets import project_of
from companion.errors import UsageError, quoted
from companion.kubernetes.cluster import Cluster, Fence
from companion.reconcile import manifests
from companion.reconcile.manifests import Written

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*\Z")
_SECCOMP = "/var/lib/kubelet/seccomp"
_FREE = "a free address of the cluster's service range"


def generate(arguments: Namespace) -> Result:
    """Write .build/, and beside it the objects; it asks as `up` does."""
    namespace, registry = arguments.kubernetes, arguments.registry
    if not _NAMESPACE.match(namespace):
        raise UsageError(f"{quoted(namespace)} cannot be the name of a namespace")
    if not registry or not _REGISTRY.match(registry):
        what = (
            f"{quoted(registry)} cannot begin the name of an image" if registry else "no registry"
        )
        raise UsageError(what, "add --registry PREFIX, such as registry.example.com/team")
    addresses = _addresses(arguments.gateway_address)
    fence = Fence.POLICY if arguments.policy_only else Fence.POD

    home, project = project_of(arguments)
    offer(home, project, "Write it", arguments)

    def places(agents: Sequence[str]) -> Mapping[str, Cluster]:
        given = _for_agents(agents, addresses)
        shared = partial(Cluster, namespace, registry, node_seccomp=arguments.node_seccomp)
        return {agent: shared(gateway=ip, fence=fence) for agent, ip in given.items()}

    written = manifests.generate(home, project, places, comment)
    return Result(
        text="\n".join(_lines(written)),
        data={"directory": str(project.build), "agents": [_facts(one) for one in written]},
    )


def _addresses(words: Iterable[str]) -> Mapping[str, str]:
    """Return agent → address; the agent is empty if there is only one."""
    found: dict[str, str] = {}
    for word in words:
        agent, _, address = word.rpartition("=")
        try:
            found[agent] = str(ipaddress.IPv4Address(address))
        except ValueError:
            raise UsageError(f"{quoted(word)} is not an IPv4 address", f"give {_FREE}") from None
    return found


def _for_agents(agents: Sequence[str], addresses: Mapping[str, str]) -> Mapping[str, str]:
    """Return the address for each agent's gateway; one without a name is for the only agent."""
    given = {agents[0]: addresses[""]} if len(agents) == 1 and "" in addresses else addresses
    for agent in agents:
        if agent not in given:
            hint = f"add --gateway-address {agent}=IP: {_FREE}"
            raise UsageError(f"no address for the gateway of {agent}", hint)
    if len({given[agent] for agent in agents}) < len(agents):
        raise UsageError("two gateways cannot have the same address", "give each agent another one")
    return {agent: given[agent] for agent in agents}


def _lines(written: Sequence[Written]) -> Iterator[str]:
    for one in written:
        yield f"wrote {one.objects}: the objects, without secrets"
        yield f"wrote {one.secrets}: its Secrets, readable by you alone; never commit it"
    for profile in dict.fromkeys(one.profile for one in written if one.profile):
        yield f"wrote {profile.file}: each node needs it in {_SECCOMP}/{profile.location}"
    yield "\nnext, build and push the images, and apply both files:\n"
    for build in dict.fromkeys(build for one in written for build in one.builds):
        words = (
            word for name, value in build.arguments for word in ("--build-arg", f"{name}={value}")
        )
        yield f"  {join(('docker', 'build', '--tag', build.reference, *words, str(build.context)))}"
        yield f"  {join(('docker', 'push', build.reference))}"
    files = (str(file) for one in written for file in (one.secrets, one.objects))
    yield f"  {join(('kubectl', 'apply', *(word for file in files for word in ('-f', file))))}"
    logins = [one for one in written if one.ssh]
    if logins:
        yield "\nand log in, through the context that kubectl then uses:\n"
    for one in logins:
        yield f"  {join(('ssh', '-F', str(one.ssh), one.alias))}"


def _facts(one: Written) -> dict[str, object]:
    return {
        "agent": one.agent,
        "objects": str(one.objects),
        "secrets": str(one.secrets),
        "pod": one.pod,
        "seccomp": {"file": str(one.profile.file), "location": one.profile.location}
        if one.profile
        else None,
        "ssh_config": str(one.ssh) if one.ssh else None,
        "alias": one.alias,
        "images": [
            {"image": b.reference, "context": str(b.context), "arguments": dict(b.arguments)}
            for b in one.builds
        ],
    }
