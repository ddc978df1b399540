"""Files of agent-sandbox's newer format: one message that names our key for each of theirs.

Companion reads the format from before agent-sandbox had `core_version`. Source: its
docs/configuration.md and internal/config, July 2026.
"""

from collections.abc import Mapping

from companion.config.strict_yaml import Document, Location, Plain
from companion.errors import Problem

_MARKS = ("core_version", "installations", "runtime_engine", "secrets_mapping")
"""Top-level keys that no other format has."""
_BUILTIN = "@builtin/"
_RUNTIMES = ("claude-code", "codex", "pi")
_GATEWAY = ("egress", "services", "vpn_profiles")

_KEYS: Mapping[str, str] = {
    "core_version": "remove it: Companion has one version",
    "runtime_engine": "container_runtime: docker or podman",
    "runtime.image": "runtime: {base_image: …}; its agent is installed by runtime.install",
    "runtime.cwd": "workdir",
    "runtime.entrypoint": "runtime.cmd",
    "runtime.extra_builds": "packages: [...], or `commands` of the plugin custom-runtime",
    "runtime.build_stages": "no counterpart; use `commands` of the plugin custom-runtime",
    "runtime.environment": "`env` of the plugin custom-runtime",
    "runtime.namespaced_volumes": "`runtime_volumes` of the plugin custom-runtime",
    "runtime.raw_volumes": "`runtime_volumes` of the plugin custom-runtime",
    "gateway.egress": "egress: {mode: listed, allow: [HOST, ...]}, or `egress: open` for all hosts",
    "gateway.services": "`services` of the plugin external-services",
    "gateway.vpn_profiles": "no counterpart",
    "secrets_mapping": "no counterpart: one secret for each host and port",
    "installations": "features; its options stand beside `plugin`, and no path has @fleet/",
}
_RULES: Mapping[str, str] = {
    "headers": "`headers` of the plugin external-services, for each host",
    "deny": "no counterpart: what is not listed is refused",
    "deny_paths": "`deny` of a service of the plugin external-services",
    "deny_graphql": "no counterpart",
    "middlewares": "no counterpart",
    "network": "a docker:// url with `network` in the plugin external-services",
    "target": "a docker:// or http:// url in the plugin external-services",
    "vpn": "no counterpart",
}
"""Keys of a rule in gateway.egress."""
_PLUGINS: Mapping[str, str] = {
    "agent-docker": "no counterpart: no sandbox has an engine",
    "agent-manager-acp": "remove it: agents speak ACP over SSH",
    "deploy-version": "no counterpart",
    "flox": "packages: [...]",
    "github-pat": "plugin: github-pat, with the same `token`",
    "home-override": "`home_override` of the plugin custom-runtime",
    "mcp-oauth": "plugin: mcp-oauth, with the same `providers`",
    "ssh": "plugin: ssh; `authorized_keys` may be left out",
}
_OWN_PLUGIN = "no plugins of one's own; use the plugin custom-runtime"
_HINT = "docs/migrating.md shows the same agent in both formats"


def refusal(document: Document) -> Problem | None:
    """Return what to say of a document in the newer format, None if it is in another."""
    for top in ((), ("shared",)):
        if not _is_newer(_at(document.data, top)):
            continue
        lines: dict[str, str] = {}
        places = []
        for where in document.places:
            name, ours = _counterpart(document.data, top, where)
            if name and name not in lines:
                places.append(document.key_place(where))
                lines[name] = f"  {name} (line {places[-1].line}) → {ours}"
        what = "this is agent-sandbox's newer format, whose keys have other names here:"
        return Problem("\n".join((what, *lines.values())), _HINT, min(places))
    return None


def _is_newer(data: Plain) -> bool:
    if not isinstance(data, Mapping):
        return False
    is_builtin = str(_at(data, ("runtime", "image"))).startswith(_BUILTIN)
    has_rules = any(_at(data, ("gateway", key)) for key in _GATEWAY)
    return is_builtin or has_rules or any(mark in data for mark in _MARKS)


def _counterpart(data: Plain, top: Location, where: Location) -> tuple[str, str]:
    """Return the name of a key of theirs and what is ours; empty texts for anything else."""
    if where[: len(top)] != top:
        return "", ""
    match where[len(top) :]:
        case ("runtime", "image"):
            preset = str(_at(data, where)).removeprefix(_BUILTIN)
            named = f"runtime: {preset}" if preset in _RUNTIMES else _KEYS["runtime.image"]
            return "runtime.image", named
        case ("gateway", "egress", int(), str() as key) if key in _RULES:
            return f"gateway.egress[].{key}", _RULES[key]
        case ("installations", int(), "plugin"):
            plugin = str(_at(data, where)).removeprefix(_BUILTIN)
            known = plugin in _PLUGINS
            return (f"{_BUILTIN}{plugin}", _PLUGINS[plugin]) if known else ("./plugin", _OWN_PLUGIN)
        case (str() as key,) if key in _KEYS:
            return key, _KEYS[key]
        case (str() as outer, str() as key) if f"{outer}.{key}" in _KEYS:
            return f"{outer}.{key}", _KEYS[f"{outer}.{key}"]
    return "", ""


def _at(data: Plain, where: Location) -> Plain:
    """Return the value at a location, None if there is none."""
    for part in where:
        if isinstance(data, Mapping) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data
