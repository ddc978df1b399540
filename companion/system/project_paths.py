"""Project paths: the files in a project's directory, and what we keep for it and its agents."""

from dataclasses import dataclass
from pathlib import Path

CONFIG_NAME = "agent.yaml"
FLEET_NAME = "fleet.yaml"
ENV_NAME = ".env"
ENV_EXAMPLE_NAME = ".env.example"
BUILD_NAME = ".build"
COMPOSE_NAME = "docker-compose.yml"
KUBERNETES_NAME = "kubernetes.yaml"
KUBERNETES_SECCOMP_NAME = "kubernetes-seccomp.json"


@dataclass(frozen=True, slots=True)
class AgentPaths:
    """What we keep for one agent of one project; everything here is ours."""

    root: Path

    @property
    def record(self) -> Path:
        """What is remembered of the agent (no secrets)."""
        return self.root / "agent.json"

    @property
    def lock(self) -> Path:
        """Held while the agent's sandbox is being changed."""
        return self.root / "lock"

    @property
    def sshd(self) -> Path:
        """Directory mounted read-only into the agent: host key and authorized_keys."""
        return self.root / "sshd"

    @property
    def host_key(self) -> Path:
        """Private host key of the agent's sshd."""
        return self.sshd / "host_key"

    @property
    def authorized_keys(self) -> Path:
        """The keys that may log in; read by sshd at every login."""
        return self.sshd / "authorized_keys"

    @property
    def added_keys(self) -> Path:
        """Keys given by `companion keys add`."""
        return self.root / "added_keys"

    @property
    def gateway(self) -> Path:
        """Directory mounted read-only into the gateway: its configuration."""
        return self.root / "gateway"

    @property
    def certificates(self) -> Path:
        """Directory of leaf certificates, mounted read-only into the gateway."""
        return self.root / "certificates"

    @property
    def secrets(self) -> Path:
        """Directory of secret values, mounted read-only into the gateway."""
        return self.root / "secrets"

    @property
    def control(self) -> Path:
        """Directory shared with the gateway, which listens on a socket in it."""
        return self.root / "control"

    @property
    def resolver(self) -> Path:
        """Directory with the agent's resolv.conf."""
        return self.root / "resolver"

    @property
    def seccomp(self) -> Path:
        """Directory with the list of system calls of the agent's containers."""
        return self.root / "seccomp"

    @property
    def signing(self) -> Path:
        """Directory mounted read-only into the agent: the key that signs its commits."""
        return self.root / "signing"

    @property
    def brought(self) -> Path:
        """Directory mounted read-only into the agent: the user's own agent settings."""
        return self.root / "brought"

    @property
    def reach(self) -> Path:
        """Directory mounted read-only into the agent: what it may reach."""
        return self.root / "reach"

    @property
    def git(self) -> Path:
        """Directory whose files are mounted over those that git obeys in repositories."""
        return self.root / "git"

    @property
    def git_baseline(self) -> Path:
        """What git obeyed in its repositories before it could write there."""
        return self.root / "git_baseline.json"

    @property
    def mounted(self) -> tuple[Path, ...]:
        """Every directory of which a container was made, mounted or read by the engine."""
        directories = (self.gateway, self.certificates, self.secrets, self.resolver, self.sshd)
        return (*directories, self.signing, self.brought, self.reach, self.git, self.seccomp)

    @property
    def traffic(self) -> Path:
        """What the agent used of the network, and what was refused."""
        return self.root / "traffic.json"

    @property
    def attention(self) -> Path:
        """Whether the agent works, waits for its user or is done, as last heard."""
        return self.root / "attention.json"

    @property
    def traffic_lock(self) -> Path:
        """Held while the gateway's log is added to that."""
        return self.root / "traffic.lock"

    @property
    def once(self) -> Path:
        """The hosts that the agent may reach until it is taken down."""
        return self.root / "once.json"

    @property
    def carried(self) -> Path:
        """The names of our files that an engine elsewhere may hold."""
        return self.root / "carried.json"

    @property
    def good(self) -> Path:
        """What ran well last: the way back."""
        return self.root / "last_good"

    @property
    def stop_request(self) -> Path:
        """Touched by who wants the agent stopped, before waiting for who builds for it."""
        return self.root / "stop_asked"

    @property
    def compose(self) -> Path:
        """The compose file that `companion compose` uses: `.build/` may hold another's."""
        return self.root / COMPOSE_NAME

    @property
    def kubernetes_secrets(self) -> Path:
        """The Secrets of a cluster, as `companion generate --kubernetes` writes them."""
        return self.root / "kubernetes-secrets.yaml"

    @property
    def kubernetes_ssh(self) -> Path:
        """The SSH config for logging in on a cluster."""
        return self.root / "kubernetes-ssh.conf"

    @property
    def kubernetes_known_hosts(self) -> Path:
        """The pinned host key for logging in on a cluster."""
        return self.root / "kubernetes-known_hosts"

    @property
    def build_log(self) -> Path:
        """What the engine said during the last build."""
        return self.root / "build.log"


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """What we keep for one project, outside its directory."""

    root: Path

    @property
    def state(self) -> Path:
        """What is remembered of the project itself."""
        return self.root / "project.json"

    @property
    def validation(self) -> Path:
        """The last validation of the project's configs, with a seal of all that it depends on."""
        return self.root / "validation.json"

    @property
    def paused(self) -> Path:
        """Exists while the watcher shall leave this project alone."""
        return self.root.parent.parent / "pauses" / self.root.name

    @property
    def example_lock(self) -> Path:
        """Held while `.env.example`, which all agents of the project share, is written."""
        return self.root / "env_example.lock"

    def agent(self, name: str) -> AgentPaths:
        """Return the paths of one agent."""
        return AgentPaths(self.root / name)
