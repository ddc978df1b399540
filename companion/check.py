"""Is a project's configuration good? Reads all of it and reports every problem at once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from companion import assemble, files, observe, paths, settings
from companion.config import env_file, load
from companion.config.models import AgentConfig
from companion.config.yaml_text import Document
from companion.contribution import Contribution, ProjectFile, RuntimeProgram
from companion.errors import ConfigError, Place, Problem
from companion.observe import Project
from companion.paths import Paths
from companion.plugins.base import expand
from companion.sandbox import Found, HostFacts, check_files
from ssh import authorized_keys


@dataclass(frozen=True, slots=True)
class Checked:
    """A project whose configuration is good, with everything that was read for it."""

    project: Project
    config: AgentConfig
    program: RuntimeProgram
    whole: Contribution
    found: Mapping[ProjectFile, Found]
    host: HostFacts
    secrets: Mapping[str, str]
    """Values of the variables that are used and set; never shown."""
    uses: Mapping[str, str]
    """Variable → what it is used for."""
    missing: tuple[Problem, ...]
    """Variables that are used and have no value: no obstacle to generating, one to running."""

    @property
    def workdir(self) -> str:
        """Where commands start in the sandbox, template variables replaced."""
        return expand(self.config.workdir, user=self.program.user, home=self.program.home)


def check(home: Paths, project: Project) -> Checked:
    """Read and check a project.

    Raises:
        ConfigError: with all problems of the first stage that has any.
    """
    config, document = load.agent(observe.config_text(project), paths.CONFIG_NAME)
    program = assemble.program(config, document)
    whole = assemble.additions(config, document, program)
    own = settings.parse(files.read_text(home.settings), str(home.settings))
    host = observe.host(home, own)
    found = observe.find(project, whole)
    problems = [
        Problem(p.what, p.hint, document.place((*assemble.origin_location(origin), *option)))
        for origin, option, p in check_files(whole, found, observe.control_files(project), host)
    ]
    problems += _key_problems(whole, found)
    if problems:
        raise ConfigError(problems)
    values = _environment(project)
    uses = {h.secret: f"{h.name} for {u.endpoint}" for u in whole.upstreams for h in u.headers}
    return Checked(
        project=project,
        config=config,
        program=program,
        whole=whole,
        found=found,
        host=host,
        secrets={name: values[name] for name in uses if name in values},
        uses=uses,
        missing=tuple(_missing(whole, values, document)),
    )


def _environment(project: Project) -> dict[str, str]:
    """Return our environment with the project's .env on top.

    Raises:
        ConfigError: .env is malformed, or a value cannot be sent in a header.
    """
    own = env_file.parse(files.read_text(project.env) or "", paths.ENV_NAME)
    return {**os.environ, **own}


def _missing(
    whole: Contribution, values: Mapping[str, str], document: Document
) -> Iterator[Problem]:
    for upstream in whole.upstreams:
        place = document.place(assemble.origin_location(upstream.origin))
        for header in upstream.headers:
            value = values.get(header.secret)
            where = f"the header {header.name} for {upstream.endpoint}"
            if not value:
                hint = f"add {header.secret}=… to {paths.ENV_NAME}"
                yield Problem(
                    f"{header.secret} has no value; it is needed for {where}", hint, place
                )
            elif not all(" " <= char <= "~" for char in value):
                hint = "correct it: one line of printable ASCII"
                yield Problem(
                    f"the value of {header.secret} cannot be sent in {where}", hint, place
                )


def _key_problems(whole: Contribution, found: Mapping[ProjectFile, Found]) -> Iterator[Problem]:
    for server in whole.ssh:
        if server.authorized_keys is None:
            continue
        name = server.authorized_keys.path
        for file in found[server.authorized_keys].files:
            text = file.content.decode(errors="replace")
            for problem in authorized_keys.parse(text).problems:
                yield Problem(problem.message, "", Place(name, problem.line, 1))
