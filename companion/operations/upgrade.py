"""Upgrade: raises the version of an agent's program to the newest that its vendor published."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from companion import plugins
from companion.config import decode, version_edit
from companion.config.models import AgentConfig
from companion.config.settings import Settings
from companion.config.strict_yaml import Location
from companion.errors import CompanionError
from companion.oauth.web import Web
from companion.project import discovery
from companion.project.model import AgentRef
from companion.system import files, links, user_files

_RELEASE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){2}\Z")
_TO = "name a version: `companion upgrade AGENT --to VERSION`"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One program of an agent, and the version that it gets."""

    agent: str
    package: str
    before: str
    after: str
    at: Location
    """Where its runtime or feature stands in agent.yaml."""
    is_chosen: bool
    """The user named the version, which may be older."""

    @property
    def is_due(self) -> bool:
        """Whether the version changes; what the vendor calls the newest is never a step back."""
        is_forward = self.is_chosen or _order(self.after) >= _order(self.before)
        return self.after != self.before and is_forward


def find(ref: AgentRef, registry: "Registry", to: str = "") -> tuple[Upgrade, ...]:
    """Return the programs of an agent whose versions can be raised.

    Args:
        ref: where the agent is configured.
        registry: knows the newest versions.
        to: the version to set instead of the newest one, for the runtime's program if it has one.

    Raises:
        CompanionError: agent.yaml is invalid, has no such program, or the registry fails.
    """
    config, _ = decode.agent(discovery.config_text(ref), ref.named(ref.config))
    found = tuple(
        Upgrade(config.name, package, before, to or registry.newest(package), at, bool(to))
        for package, before, at in _programs(config)
    )
    if not found:
        what = f"{config.name} has no program whose version Companion could raise"
        raise CompanionError(what, "a runtime with a base_image is yours: change its commands")
    if to and found[0].at == ("runtime",):
        return found[:1]
    if to and len(found) > 1:
        names = ", ".join(one.package for one in found)
        what = f"{config.name} has several programs, which have no version in common: {names}"
        raise CompanionError(what, "write the versions into agent.yaml")
    return found


def _programs(config: AgentConfig) -> Iterator[tuple[str, str, Location]]:
    """Yield the npm package, the version and the place of a named runtime, and of features.

    A feature without a version leaves the runtime's program as it is.
    """
    known = {runtime.name: runtime for runtime in plugins.RUNTIMES}
    runtime = known.get(config.runtime.name or "")
    if runtime:
        yield runtime.package, config.runtime.version or runtime.pinned, ("runtime",)
    for number, feature in enumerate(config.features):
        version = feature.options.get("version")
        own = known.get(feature.plugin)
        if own and (version or own is not runtime):
            yield own.package, str(version or own.pinned), ("features", number)


def write(ref: AgentRef, upgrades: tuple[Upgrade, ...]) -> tuple[str, str]:
    """Write versions into agent.yaml; return its text before and after.

    Raises:
        CompanionError: it cannot be edited safely.
    """
    texts = ("", "")

    def attempt() -> None:
        nonlocal texts
        before = after = user_files.read(ref.config) or ""
        for one in upgrades:
            after = version_edit.with_version(after, one.at, one.after, ref.named(ref.config))
        user_files.write(ref.config, after, before, backup=False)
        texts = (before, after)

    links.unlinked(ref.project.directory, ref.config)
    user_files.changing(ref.config, attempt)
    return texts


def take_back(ref: AgentRef, before: str, after: str) -> bool:
    """Restore agent.yaml, unless it was changed since; return whether it is as it was before.

    Raises:
        CompanionError: it cannot be read or written.
    """
    if user_files.read(ref.config) != after:
        return False
    user_files.write(ref.config, before, after, backup=False)
    return True


@dataclass(frozen=True, slots=True)
class Registry:
    """An npm registry."""

    url: str
    web: Web

    def newest(self, package: str) -> str:
        """Return the version that the vendor calls latest.

        Raises:
            CompanionError: the registry does not answer, or not with a version.
        """
        name = quote(package, safe="@")
        response = self.web.get(f"{self.url.rstrip('/')}/-/package/{name}/dist-tags")
        try:
            tags = json.loads(response.text)
        except ValueError:
            tags = None
        latest = tags.get("latest") if isinstance(tags, dict) else None
        if response.status != 200 or not isinstance(latest, str) or not _RELEASE.match(latest):  # noqa: PLR2004
            what = f"{self.url} did not name a version of {package} (status {response.status})"
            raise CompanionError(what, _TO)
        return latest


def registry_of(settings: Settings) -> Registry:
    """Return the registry that the user's settings name, else npm's own."""
    trusted = b"".join(
        files.read_bytes(files.expanded(Path(name))) for name in settings.trusted_certificates
    )
    return Registry(settings.npm_registry, Web(trusted))


def _order(version: str) -> tuple[int, ...]:
    """Return what orders releases; a dist-tag such as `latest` is older than all."""
    return tuple(map(int, version.split("."))) if _RELEASE.match(version) else ()
