"""Assemble: the runtime program and the merged contributions that a config asks for."""

from collections.abc import Iterator
from dataclasses import replace

from companion import plugins
from companion.config import decode
from companion.config.decode import Loaded
from companion.config.models import AgentConfig, Feature
from companion.config.origin import Origin
from companion.config.strict_yaml import Document
from companion.config.values import split_port
from companion.errors import ConfigError, Problem, named
from companion.plugins.base import Context, FeaturePlugin, expand
from companion.plugins.clashes import Clash, clashes
from companion.plugins.contribution import Contribution, Port, RuntimeProgram, merge

PLACEHOLDER = RuntimeProgram("scratch", install=(), command=(), acp_command=(), user="agent")
"""Stands for a runtime that is invalid, to find what is wrong with the rest."""


def program(config: AgentConfig, document: Document) -> RuntimeProgram:
    """Return the runtime that a config names or defines inline.

    Raises:
        ConfigError: no runtime has this name.
    """
    given = config.runtime
    if given.base_image is None:
        return _builtin(given.name or "", given.version, document)
    inline = RuntimeProgram(
        base_image=given.base_image,
        install=given.install,
        command=given.cmd,
        acp_command=given.acp_cmd,
        user=given.user,
        ports=tuple(
            Port(*split_port(text), Origin(("runtime", "ports", number)))
            for number, text in enumerate(given.ports)
        ),
        packages=config.packages,
    )

    def expanded(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(expand(word, user=inline.user, home=inline.home) for word in words)

    return replace(
        inline,
        install=expanded(inline.install),
        command=expanded(inline.command),
        acp_command=expanded(inline.acp_command),
    )


def additions(loaded: Loaded, runtime: RuntimeProgram) -> Contribution:
    """Return the merged contributions of all features.

    Raises:
        ConfigError: unknown plugins, invalid options and clashes, all at once.
    """
    contribution, problems = gather(loaded, runtime)
    if problems:
        raise ConfigError(problems)
    return contribution


def gather(loaded: Loaded, runtime: RuntimeProgram) -> tuple[Contribution, list[Problem]]:
    """Do as additions(), but return the problems, and what the valid features contribute."""
    problems: list[Problem] = []
    # Before an inline runtime's own commands, which may need them. After the installation of a
    # named one, whose layer is the same for all agents.
    packages = () if runtime.packages else loaded.config.packages
    parts = [Contribution(packages=packages, ports=runtime.ports)]
    for origin, feature in loaded.features:
        try:
            parts.append(_contribution(loaded, feature, origin, runtime))
        except ConfigError as error:
            problems += error.problems
    contribution = merge(parts)
    problems += (_placed(clash, loaded.document) for clash in clashes(contribution))
    if not loaded.config.gateway:
        problems += _gateway_needs(loaded, contribution)
    return contribution, problems


def at(origin: Origin, problem: Problem, document: Document) -> Problem:
    """Return the problem with the place (file, line, column) of its origin."""
    return problem._replace(place=origin.place(document))


def _placed(clash: Clash, document: Document) -> Problem:
    """Return the problem of a clash, with the places of both additions."""
    first = f"; the first is at {clash.first.place(document)}" if clash.first else ""
    return Problem(clash.what, clash.hint + first, clash.origin.place(document))


def _contribution(
    loaded: Loaded, feature: Feature, origin: Origin, runtime: RuntimeProgram
) -> Contribution:
    plugin = _feature(feature, origin, loaded.document)
    given = dict(feature.options)
    if feature.name is not None and "name" in plugin.options.model_fields:
        given["name"] = feature.name
    options = decode.decode(plugin.options, given, loaded.document, origin.joined)
    context = Context(agent=loaded.config.name, user=runtime.user, home=runtime.home, origin=origin)
    return plugin.contribute(options, context)


def _feature(feature: Feature, origin: Origin, document: Document) -> FeaturePlugin:
    """Return the plugin of a feature.

    Raises:
        ConfigError: the plugin does not exist or is refused; a refused plugin's invalid options
            are reported first.
    """
    known = {plugin.name: plugin for plugin in plugins.FEATURES}
    if feature.plugin in known:
        return known[feature.plugin]
    name, place = feature.plugin, origin.at("plugin").place(document)
    refused = {plugin.name: plugin for plugin in plugins.REFUSED}.get(name)
    if refused is None:
        raise ConfigError([
            Problem(f"there is no plugin {named(name)}", decode.suggest(name, known), place)
        ])  # fmt: skip
    decode.decode(refused.options, dict(feature.options), document, origin.joined)
    raise ConfigError([Problem(f"the plugin '{name}' {refused.why}", refused.instead, place)])


def _builtin(name: str, version: str | None, document: Document) -> RuntimeProgram:
    known = {plugin.name: plugin for plugin in plugins.RUNTIMES}
    if name in known:
        return known[name].program(version)
    hint = f"{decode.suggest(name, known)} (or define one inline, with base_image)"
    raise ConfigError([
        Problem(f"there is no runtime {named(name)}", hint, document.place(("runtime",)))
    ])  # fmt: skip


def _gateway_needs(loaded: Loaded, contribution: Contribution) -> Iterator[Problem]:
    """Yield a problem for everything in the config that needs a gateway."""
    hint = "remove it, or `gateway: false`"
    if loaded.config.egress.mode != "open":
        what = "only the gateway can restrict what the agent may reach"
        yield Problem(what, hint, loaded.document.place(("egress",)))
    for origin in dict.fromkeys(u.origin for u in contribution.upstreams):
        what = f"{origin} needs the gateway, which adds secrets outside the sandbox"
        yield Problem(what, hint, origin.place(loaded.document))
