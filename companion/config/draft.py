"""Drafts: the agent.yaml that `companion run` writes, composed from what was found. Pure.

Comments tell what each line was inferred from. Names out of a repository become part of a comment
only in plain characters, so none of them can become a line of its own.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePosixPath
from posixpath import commonpath

from companion.config import edit_yaml, strict_yaml
from companion.config.devcontainer import DevContainer
from companion.config.strict_yaml import Plain

_MARKERS: tuple[tuple[str, str], ...] = (
    ("package.json", "npm"),
    ("pyproject.toml", "pypi"),
    ("requirements*.txt", "pypi"),
    ("setup.py", "pypi"),
    ("Pipfile", "pypi"),
    ("Cargo.toml", "cargo"),
    ("go.mod", "go"),
    ("Gemfile", "rubygems"),
    ("*.gemspec", "rubygems"),
    ("pom.xml", "maven"),
    ("build.gradle", "maven"),
    ("build.gradle.kts", "maven"),
)
"""A pattern of file names, and the preset that its tool needs."""
_PUSHED = {
    "github.com": "GITHUB_TOKEN",
    "gitlab.com": "GITLAB_TOKEN",
    "bitbucket.org": "BITBUCKET_TOKEN",
}
"""A forge, and what the token for it is called."""
HOOK = "hooks/created.sh"
"""The file that runs the commands of a devcontainer.json once."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_NAME_ENDS = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 40
_SYSTEM = ("/bin", "/boot", "/companion", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root",
           "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/run")  # fmt: skip # noqa: S108 - names
"""Where nothing can be mounted in a container, or its user cannot get to."""


@dataclass(frozen=True, slots=True)
class Committer:
    """Who the desktop's git says the user is."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Forge:
    """Where a repository is pushed to."""

    host: str
    variable: str
    """The token for it."""
    is_allowed: bool = False
    """The agent may push."""


@dataclass(frozen=True, slots=True)
class Draft:
    """All that an agent.yaml is composed from."""

    name: str
    runtime: str
    chosen: str
    """Why this agent program, as a comment."""
    directory: str
    """What the agent works in: an absolute path of the desktop."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """Further mounts, source → "ro" or "rw"."""
    presets: Mapping[str, str] = field(default_factory=dict)
    """Preset → the file that it was inferred from."""
    login: tuple[Mapping[str, Plain], str] | None = None
    """The feature that logs it in, and where its value comes from, as a comment."""
    committer: Committer | None = None
    forge: Forge | None = None
    container: DevContainer | None = None
    """What is taken from the repository's devcontainer.json."""

    @property
    def targets(self) -> Mapping[str, str]:
        """Where each directory is mounted."""
        return targets(self.directory, self.shared)


def name_of(text: str) -> str:
    """Return a name for an agent that is made from another name; "" if nothing is left of it."""
    return _NAME_ENDS.sub("-", text.lower()).strip("-")[:_LONGEST_NAME].strip("-")


def presets(files: Iterable[str], hosts: Iterable[str] = ()) -> dict[str, str]:
    """Return preset → the file that asks for it.

    Args:
        files: paths of files, relative to the repository; the first one of a kind is named.
        hosts: those of the remotes of a repository.
    """
    found = {"github": ".git/config"} if "github.com" in hosts else {}
    for path in files:
        name = path.rpartition("/")[2]
        for pattern, preset in _MARKERS:
            if fnmatch(name, pattern) and preset not in found and _PLAIN.fullmatch(path):
                found[preset] = path
    return dict(sorted(found.items()))


def forge(hosts: Iterable[str]) -> Forge | None:
    """Return the forge of a repository's first remote that is on one that we know."""
    return next((Forge(host, _PUSHED[host]) for host in hosts if host in _PUSHED), None)


def targets(directory: str, shared: Iterable[str]) -> dict[str, str]:
    """Return where directories are mounted: at the same paths, if a container can have them.

    So paths in messages are right on both sides. Elsewhere, they are in the agent's home with the
    same paths from each other, by which git finds the repository of a worktree.
    """
    every = tuple(map(PurePosixPath, (directory, *shared)))
    if all(path.is_absolute() and not _is_systems(path) for path in every):
        return {str(path): str(path) for path in every}
    above = PurePosixPath(commonpath([path.parent for path in every]))
    return {str(path): f"{{{{ .AGENT_HOME }}}}/{path.relative_to(above)}" for path in every}


def _is_systems(path: PurePosixPath) -> bool:
    return any(path.is_relative_to(tree) for tree in _SYSTEM)


def text(draft: Draft) -> str:
    """Return the text of agent.yaml."""
    return "\n".join((*_head(draft), *_egress(draft), *_features(draft), ""))


def _head(draft: Draft) -> Iterator[str]:
    inner = draft.targets[draft.directory]
    yield "# Written by `companion run`, and yours to change: `companion edit` opens it."
    yield "# `companion up` applies a change; `companion watch` and the tray do it on every save."
    yield f"name: {strict_yaml.dump_inline(draft.name)}  # from the name of the directory"
    yield f"runtime: {draft.runtime}  # {draft.chosen}"
    yield f"workdir: {_quoted(inner)}"
    if draft.container and draft.container.packages:
        packages = ", ".join(map(strict_yaml.dump_inline, draft.container.packages))
        yield f"packages: [{packages}]  # from {draft.container.file}"


def _egress(draft: Draft) -> Iterator[str]:
    yield ""
    yield "# Hosts that the agent may reach, in addition to its model."
    yield "egress:"
    yield "  mode: listed"
    if draft.presets:
        yield "  presets:"
    for preset, file in draft.presets.items():
        yield f"    - {preset}  # because of {file}"
    yield '  # allow: [docs.example.com, "*.example.org"]'


def _features(draft: Draft) -> Iterator[str]:
    inner = draft.targets[draft.directory]
    same = "at the same path" if inner == draft.directory else "below its home"
    yield ""
    yield "features:"
    yield f"  - plugin: ssh  # companion ssh {draft.name}"
    yield ""
    yield f"  # The agent sees and changes all of the directory, {same}. The path is absolute,"
    yield "  # because this file lies outside of the repository, where no agent can change it."
    yield "  - plugin: custom-runtime"
    yield "    runtime_volumes:"
    yield f"      - {_quoted(f'{draft.directory}:{inner}')}"
    for source, mode in draft.shared.items():
        mount = f"{source}:{draft.targets[source]}:{mode}"
        yield f"      - {_quoted(mount)}  # what all worktrees share"
    if draft.container:
        yield from _from_container(draft.container)
    yield ""
    yield from _login(draft)
    if draft.committer:
        yield ""
        yield "  # From your own git, so that the agent can commit."
        yield "  - plugin: git"
        yield f"    name: {_quoted(draft.committer.name)}"
        yield f"    email: {_quoted(draft.committer.email)}"
        yield from _push(draft.forge) if draft.forge else ()


def _push(forge: Forge) -> Iterator[str]:
    line = f'push: {{{forge.host}: "${{{forge.variable}}}"}}'
    if forge.is_allowed:
        yield f"    {line}  # from `companion secret`; the agent never has it"
    else:
        yield f"    # To let it push: `companion secret set {forge.variable}`, and without the '#':"
        yield f"    # {line}"


def _from_container(container: DevContainer) -> Iterator[str]:
    """Yield further keys of custom-runtime."""
    if container.commands:
        yield f"    entrypoint_hooks: [{HOOK}]  # from {container.file}"
    if container.environment:
        yield f"    env:  # from {container.file}"
        yield from (
            f"      - {_quoted(f'{name}={value}')}" for name, value in container.environment
        )
    if container.ports:
        ports = ", ".join(map(str, container.ports))
        yield f"  # {container.file} has servers on {ports}: `companion port` leads there."


def _login(draft: Draft) -> Iterator[str]:
    if draft.login is None:
        yield f"  # `companion login {draft.name}` asks for the credential for its model, and adds"
        yield "  # what is needed here."
        return
    options, what = draft.login
    yield f"  # {what}; the agent never has it."
    yield edit_yaml.as_lines(dict(options), 2)


def _quoted(value: str) -> str:
    """Return a text as YAML: JSON's strings are YAML's."""
    return json.dumps(value, ensure_ascii=False)
