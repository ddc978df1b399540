"""Dev containers: which features and images stand for which Debian packages, and what is left out.

A feature is a script that runs as root while the image is built, fetched from a registry. None is
run here. Those of the public collections whose tool Debian has are installed from there.
Sources: the collections' src/*/devcontainer-feature.json.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from companion.config import values

_PYTHON = ("python3", "python3-dev", "python3-pip", "python3-venv")
_RUST = ("cargo", "rust-clippy", "rustc", "rustfmt")
_JAVA = ("default-jdk-headless",)
_CPP = ("build-essential", "cmake", "gdb")
_COMMON = ("curl", "jq", "less", "lsof", "man-db", "nano", "procps", "rsync", "tree", "unzip",
           "vim-tiny", "wget", "zip")  # fmt: skip
_PACKAGES: dict[str, tuple[str, ...]] = {
    "aws-cli": ("awscli",),
    "common-utils": _COMMON,
    "git": ("git",),
    "git-lfs": ("git-lfs",),
    "github-cli": ("gh",),
    "go": ("golang-go",),
    "hugo": ("hugo",),
    "java": _JAVA,
    "node": (),
    "php": ("composer", "php-cli"),
    "python": _PYTHON,
    "ruby": ("ruby-full",),
    "rust": _RUST,
}
"""Features of ghcr.io/devcontainers/features. Every runtime's image has Node.js."""
_EXTRAS: dict[str, dict[str, tuple[str, ...]]] = {"java": {"installMaven": ("maven",)}}
"""What an option of a feature adds."""
_REFUSED = {
    "docker-from-docker": "would give the agent the desktop's Docker, and so the desktop",
    "docker-in-docker": "needs a privileged container",
    "docker-outside-of-docker": "would give the agent the desktop's Docker, and so the desktop",
    "sshd": "is there already: the plugin ssh",
}
_OWNERS = "devcontainers|devcontainers-contrib|devcontainers-extra|rocker-org"
_FEATURE = re.compile(
    rf"ghcr\.io/(?P<owner>{_OWNERS})/(devcontainer-)?features/(?P<name>[a-z0-9-]{{1,60}})"
    r"([:@][A-Za-z0-9.:_-]{1,80})?\Z"
)
_APT = {"apt-packages", "apt-get-packages"}
_APT_SUFFIX = "-apt-get"
_ANY_VERSION = {"", "latest", "lts", "stable", "none", "os-provided", "system", "default"}

_IMAGES: dict[str, tuple[str, ...]] = {
    "cpp": _CPP,
    "gcc": _CPP,
    "eclipse-temurin": _JAVA,
    "go": ("golang-go",),
    "golang": ("golang-go",),
    "java": _JAVA,
    "openjdk": _JAVA,
    "php": ("composer", "php-cli"),
    "python": _PYTHON,
    "ruby": ("ruby-full",),
    "rust": _RUST,
}
"""The last part of an image's name; those of Node.js, Debian and Ubuntu need nothing."""
_IMAGE = re.compile(
    r"((docker\.io/)?(library/)?|mcr\.microsoft\.com/(vscode/)?devcontainers/)"
    r"(?P<name>[a-z0-9-]{1,60})([:@][A-Za-z0-9.:_-]{1,140})?\Z"
)

SILENT = {"$schema", "name", "otherPortsAttributes", "overrideCommand", "portsAttributes",
          "shutdownAction", "updateRemoteUserUID", "userEnvProbe", "waitFor"}  # fmt: skip
"""Keys that change nothing in a sandbox."""

OWN_VARIABLES = {"BASH_ENV", "CURL_CA_BUNDLE", "ENV", "HOME", "LOGNAME", "PATH", "PWD",
                 "REQUESTS_CA_BUNDLE", "SHELL", "SSL_CERT_DIR", "SSL_CERT_FILE", "TERM",
                 "USER"}  # fmt: skip
OWN_PREFIXES = ("ALL_PROXY", "ANTHROPIC_", "CLAUDE", "CODEX_", "COMPANION_", "GEMINI_", "GH_",
                "GITHUB_", "GIT_", "GOOGLE_", "HTTPS_PROXY", "HTTP_PROXY", "LD_", "NODE_EXTRA",
                "NODE_OPTIONS", "NODE_TLS", "NODE_USE", "NO_PROXY", "OPENAI_", "OPENCODE", "PI_",
                "SSH_")  # fmt: skip
"""Variables that decide which models, hosts, certificates and credentials programs use."""

_CAGE = "would weaken the sandbox"
_BUILD = "what it builds is not read; name Debian packages in `packages`"
_EACH_START = "runs at each start; a script in `entrypoint_hooks` does"
LEFT = {
    "build": _BUILD,
    "capAdd": _CAGE,
    "containerUser": "the agent has a user of its own, and is never root",
    "context": _BUILD,
    "customizations": "editors install their extensions themselves",
    "dockerComposeFile": "no containers beside the agent; add services with external-services",
    "dockerFile": _BUILD,
    "dockerfile": _BUILD,
    "extensions": "editors install their extensions themselves",
    "hostRequirements": "`limits` in agent.yaml says what the agent may use",
    "init": "every sandbox has one",
    "initializeCommand": "it would run on the desktop, not in the sandbox",
    "mounts": "the repository chooses no directories of the desktop; `runtime_volumes` does",
    "overrideFeatureInstallOrder": "packages are installed at once",
    "postAttachCommand": "editors run it, not the sandbox",
    "postStartCommand": _EACH_START,
    "privileged": _CAGE,
    "remoteUser": "the agent has a user of its own, and is never root",
    "runArgs": "arguments of the engine would weaken the sandbox",
    "runServices": "no containers beside the agent",
    "secrets": "`companion secret set` stores a secret, and agent.yaml says where it goes",
    "securityOpt": _CAGE,
    "service": "no containers beside the agent",
    "settings": "editors have settings of their own",
    "workspaceFolder": "the repository has the same path inside as on the desktop",
    "workspaceMount": "the repository has the same path inside as on the desktop",
}
"""Keys that are never taken over, and why."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What stands for a feature: packages, or the reason why nothing does."""

    packages: tuple[str, ...] = ()
    version: str = ""
    """The version that it asks for, which Debian decides instead."""
    why: str = ""


def of_feature(name: str, options: Mapping[str, object]) -> Feature:
    """Return what stands for a feature, by its name in a registry and its options."""
    match = _FEATURE.match(name)
    if match is None:
        return Feature(why="not of a collection that Companion knows; name Debian packages instead")
    short = match["name"]
    if short in _APT:
        return _listed(str(options.get("packages", "")))
    if short.endswith(_APT_SUFFIX):
        return _listed(short.removesuffix(_APT_SUFFIX))
    if short in _REFUSED:
        return Feature(why=_REFUSED[short])
    if match["owner"] != "devcontainers" or short not in _PACKAGES:
        return Feature(why="Debian has no package that stands for it")
    extras = (
        found for option, found in _EXTRAS.get(short, {}).items() if options.get(option) is True
    )
    version = str(options.get("version", ""))
    return Feature(
        packages=(*_PACKAGES[short], *(name for found in extras for name in found)),
        version="" if version in _ANY_VERSION else version,
    )


def of_image(name: str) -> tuple[str, ...]:
    """Return the packages of the language that an image is for; none if it is for none we know."""
    match = _IMAGE.match(name)
    return _IMAGES.get(match["name"], ()) if match else ()


def _listed(text: str) -> Feature:
    """Return the packages of a list, as apt-packages has it."""
    names = tuple(filter(None, re.split(r"[,\s]+", text)))
    try:
        packages = tuple(map(values.package, names))
    except ValueError:
        return Feature(why="not a list of Debian packages")
    return Feature(packages=packages, why="" if packages else "names no packages")
