"""Host facts: the user, addresses, CA and static image files for every sandbox."""

from pathlib import Path

from companion.config.settings import Settings
from companion.reconcile.desired import Assets
from companion.sandbox.model import HostFacts
from companion.spec.build_network import BuildNetwork
from companion.spec.containers import File
from companion.system import files, network
from companion.system.assets import assets_directory
from companion.system.paths import Paths

DEFAULT_UID = 1000


def agent_uid() -> int:
    """Return the user of agents: the desktop's, or an ordinary one for root or where IDs differ."""
    return files.user_id() or DEFAULT_UID


def host(home: Paths, settings: Settings) -> HostFacts:
    """Return the facts of this desktop; the CA certificate is empty before there is a CA."""
    return HostFacts(
        uid=agent_uid(),
        addresses=tuple(sorted(network.public_addresses())),
        ca_certificate=files.read_text(home.ca_certificate) or "",
        build_network=_build_network(settings),
        ignores_case=files.ignores_case(home.home),
        images=tuple(sorted(settings.images.items())),
        trusted_certificates=b"".join(
            files.read_bytes(files.expanded(Path(name))) for name in settings.trusted_certificates
        ),
    )


def _build_network(settings: Settings) -> BuildNetwork:
    build = settings.build
    return BuildNetwork(build.proxy, build.allow, is_fenced=build.network == "public")


def assets() -> Assets:
    """Return the static files that go into images."""
    root = assets_directory()
    in_pods = ("pod-closed", "pod-net", "pod-watch")
    scripts = ("closed", "fence", "gateway", "ingress", "net", *in_pods, "reload", "stage")
    names = ("Dockerfile", *(f"{script}.sh" for script in scripts))
    gateway = tuple(File(n, files.read_bytes(root / "gateway" / n)) for n in names)
    names = ("attention.sh", "entrypoint.sh", "profile.sh", "shell.sh", "tmux.conf")
    agent = tuple(File(n, files.read_bytes(root / "agent" / n), 0o755) for n in names)
    return Assets(gateway, agent, files.read_bytes(root / "seccomp.json"))
