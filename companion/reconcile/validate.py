"""Validation: reads an agent's entire configuration and reports all problems at once."""

import time
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from companion.config import decode, engine_places
from companion.config.decode import Loaded
from companion.config.models import AgentConfig, Feature, Fleet
from companion.config.origin import Origin
from companion.config.settings import Settings
from companion.config.strict_yaml import Document
from companion.desktop import editor_memory, ssh_config
from companion.errors import CompanionError, ConfigError, Position, Problem
from companion.oauth import grant_store, grants
from companion.plugins.base import expand
from companion.plugins.contribution import Contribution, ProjectFile, RuntimeProgram
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.project.record import ConfigSummary
from companion.reconcile import (
    bounds,
    host_facts,
    project_files,
    secret_problems,
    secret_values,
    user_settings,
)
from companion.reconcile.locate import Locator
from companion.sandbox import assemble, chats, engine_power, logins, path_policy
from companion.sandbox.model import HostFacts, PathFacts, mount_files
from companion.sandbox.path_policy import (
    check_configuring,
    check_control,
    check_files,
    steered_by,
    writes,
)
from companion.sandbox.powers import Power
from companion.sandbox.powers_of import powers_of
from companion.spec.identity import digest
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from editors.catalogue import EDITORS
from ssh import authorized_keys


@dataclass(frozen=True, slots=True)
class Checked:
    """An agent with a valid configuration, and everything that was read for it."""

    ref: AgentRef
    config: AgentConfig
    features: tuple[Feature, ...]
    """Its own features, and those that its fleet shares."""
    program: RuntimeProgram
    contribution: Contribution
    found: Mapping[ProjectFile, PathFacts]
    host: HostFacts
    uses: Mapping[str, str]
    """Variable of .env → what it is used for."""
    missing: tuple[Problem, ...]
    """Used variables that have no value, or must not be sent there: errors in `up`.

    Credentials of models are not among them: they are login problems.
    """
    login_problems: tuple[Problem, ...]
    """Models and MCP servers that the agent cannot log in to: warnings, the sandbox runs without.
    """
    steered_by: tuple[str, ...]
    """The real paths of files that control the agent: no other agent may write there."""
    writes: tuple[str, ...]
    """The directories of the desktop that the agent may write to."""
    powers: tuple[Power, ...]
    """What the config opens beyond a closed sandbox."""
    looked_up: tuple[Path, ...]
    """Every path whose place on the desktop was looked up."""

    @property
    def project(self) -> Project:
        """The project that the agent is part of."""
        return self.ref.project

    def agent_paths(self, home: Paths) -> AgentPaths:
        """Return the paths of our files for the agent."""
        return home.project(self.project.id).agent(self.config.name)

    @property
    def summary(self) -> ConfigSummary:
        """The parts of the config that the agent's record keeps."""
        return ConfigSummary(
            user=self.program.user,
            runtime=self.config.runtime.name or "",
            begun_by_root=bool(self.contribution.root_hooks),
            workdir=self.workdir,
            acp_command=self.program.acp_command,
            uses=self.uses,
            grants=tuple(map(grants.key_of, self.contribution.providers)),
            steered_by=self.steered_by,
            writes=self.writes,
            holds=tuple(path_policy.holds(self.contribution, self.found)),
            repositories=tuple(path_policy.repositories(self.contribution, self.found)),
            ports=tuple(sorted({port.host for port in self.contribution.ports})),
            egress=self.egress,
            written={
                key: digest(value)
                for key, value in self.config.model_dump(mode="json", exclude_unset=True).items()
            },
        )

    @property
    def egress(self) -> str:
        """The agent's egress mode: `listed`, `open` or `no gateway`."""
        return self.config.egress.mode if self.config.gateway else "no gateway"

    @property
    def workdir(self) -> str:
        """The directory in which commands start in the sandbox, template variables expanded."""
        return expand(self.config.workdir, user=self.program.user, home=self.program.home)


def check(home: Paths, ref: AgentRef) -> Checked:
    """Read and check the configuration of one agent.

    operations/validation_cache.py seals all that this depends on.

    Raises:
        ConfigError: holds all problems: of keys, values, plugins and the files that it names.
    """
    discovery.require_encodable(ref.project.directory, home.data, home.state)
    above = discovery.fleet(ref.project)
    loaded, program, contribution, wrong = _read(ref, above)
    config, document = loaded.config, loaded.document
    own = user_settings.read(home)
    host, locator = host_facts.host(home, own), Locator()
    before = store.of_project(home, ref.project).agents.get(config.name)
    protected = before.config.repositories if before else ()
    found = project_files.find(ref, contribution, locator, protected)
    siblings = above[0].agents if above else ()
    mounted = tuple(found[file].place for file in mount_files(contribution))
    within = bounds.bounds(home, ref, config.name, siblings, mounted, locator)
    problems = [*wrong, *check_configuring(project_files.configuring(ref, locator), within)]
    refused = tuple(check_files(contribution, found, within))
    problems += (assemble.at(origin, problem, document) for origin, problem in refused)
    control = (*within.control, *steered_by(contribution, found))
    problems += _key_problems(contribution, found, {origin for origin, _ in refused})
    problems += check_control(control, within)
    problems += _ssh_problems(home, contribution, document)
    problems += _place_problems(home, loaded, own)
    if problems:
        raise ConfigError(problems)
    known = secret_values.variables(home, ref, contribution)
    for_models = {(one.variable, one.origin) for one in logins.present(contribution) if one.origin}
    return Checked(
        ref=ref,
        config=config,
        features=tuple(feature for _, feature in loaded.features),
        program=program,
        contribution=contribution,
        found=found,
        host=host,
        uses={use.name: f"{use.what} for {use.whom}" for use in known.uses},
        missing=tuple(secret_problems.problems(known, document, home.settings, for_models)),
        login_problems=(
            *logins.problems(loaded, contribution, known.is_given),
            *_unauthorized(home, ref, config.name, contribution, document),
        ),
        steered_by=tuple(dict.fromkeys(place.path for place in control)),
        writes=tuple(place.path for place in writes(contribution, found)),
        powers=(
            *powers_of(
                loaded,
                program,
                contribution,
                found,
                fences_builds=host.build_network.is_fenced,
                origins=known.origins,
            ),
            *engine_power.powers(loaded, own.places),
            *chats.powers(program, _chats(home)),
        ),
        looked_up=locator.asked,
    )


def _chats(home: Paths) -> Iterator[str]:
    """Yield the editors in whose chats the user wants agents; see Editor.only_if_named."""
    with suppress(CompanionError):  # what cannot be read is written to by nobody
        named = editor_memory.read(home).named
        yield from (editor.name for editor in EDITORS if editor.id in named)


def contribution_of(ref: AgentRef, text: str | None = None) -> Contribution:
    """Return the contribution of an agent's config; reads only agent.yaml and fleet.yaml.

    Args:
        ref: the agent.
        text: agent.yaml as it is to be; None: as it is.

    Raises:
        ConfigError: one of them is invalid.
    """
    loaded = _load(ref, discovery.fleet(ref.project), text)
    return assemble.additions(loaded, assemble.program(loaded.config, loaded.document))


def _read(
    ref: AgentRef, above: tuple[Fleet, Document] | None
) -> tuple[Loaded, RuntimeProgram, Contribution, list[Problem]]:
    """Read a config; return what its valid parts mean, and the problems of the others."""
    wrong: list[Problem] = []
    try:
        loaded = _load(ref, above)
    except ConfigError as error:
        wrong += error.problems
        try:
            mended = decode.remainder(discovery.config_text(ref), ref.named(ref.config))
        except CompanionError:
            raise error from None
        loaded = decode.loaded(*mended, above)
    program = assemble.PLACEHOLDER
    try:
        program = assemble.program(loaded.config, loaded.document)
    except ConfigError as error:
        wrong += error.problems
    contribution, problems = assemble.gather(loaded, program)
    return loaded, program, contribution, [*wrong, *problems]


def _load(ref: AgentRef, above: tuple[Fleet, Document] | None, text: str | None = None) -> Loaded:
    text = discovery.config_text(ref) if text is None else text
    config, document = decode.agent(text, ref.named(ref.config))
    if ref.folder and config.name != ref.folder:
        what = f"the agent's name is '{config.name}', but fleet.yaml lists '{ref.folder}'"
        hint = "give the agent the name of its directory"
        if above:
            listed = above[1].place(("agents", above[0].agents.index(ref.folder)))
            hint += f"; it is listed at {listed}"
        raise ConfigError([Problem(what, hint, document.place(("name",)))])
    return decode.loaded(config, document, above)


def _unauthorized(
    home: Paths, ref: AgentRef, agent: str, contribution: Contribution, document: Document
) -> Iterator[Problem]:
    """Yield a problem for each server that has no valid token now."""
    keys = {grants.key_of(provider): provider for provider in contribution.providers}
    held, now = grant_store.usable(home, ref.project.id, keys), time.time()
    for key, provider in keys.items():
        if problem := grants.problem(provider, held.get(key), now, agent):
            yield assemble.at(provider.origin, problem, document)


def _ssh_problems(home: Paths, contribution: Contribution, document: Document) -> Iterator[Problem]:
    """Yield a problem if ssh could not be told where our keys are."""
    try:
        if contribution.ssh:
            ssh_config.require_readable(home)
    except CompanionError as error:
        for server in contribution.ssh:
            yield assemble.at(server.origin, error.problems[0], document)


def _place_problems(home: Paths, loaded: Loaded, own: Settings) -> Iterator[Problem]:
    """Yield a problem if the config chooses a place that the user's settings do not have."""
    name = loaded.config.container_runtime
    if name and (problem := engine_places.problem(name, own.places, str(home.settings))):
        yield assemble.at(loaded.engine, problem, loaded.document)


def _key_problems(
    contribution: Contribution, found: Mapping[ProjectFile, PathFacts], refused: Container[Origin]
) -> Iterator[Problem]:
    """Yield a problem for each line that is no key, or one for a file without any."""
    for file in (server.authorized_keys for server in contribution.ssh):
        if file is None or file.origin in refused:
            continue
        text = "".join(part.content.decode(errors="replace") for part in found[file].files)
        parsed = authorized_keys.parse(text)
        for problem in parsed.problems:
            place = Position(file.path, problem.line, 1)
            if more := 0 if parsed.keys else len(parsed.problems) - 1:
                lines = "is 1 further line" if more == 1 else f"are {more} further lines"
                yield Problem(f"{problem.message}; so {lines}", "give a file of public keys", place)
                break
            yield Problem(problem.message, "", place)
