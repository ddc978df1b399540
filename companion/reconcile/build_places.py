"""Build places: where agent.yaml asks for the step at which a build failed."""

import re
from collections.abc import Iterator

from companion.config import decode
from companion.config.decode import Loaded
from companion.config.origin import Origin
from companion.engine.build_output import Failure
from companion.errors import CompanionError, Position
from companion.project import discovery
from companion.project.model import AgentRef
from companion.sandbox import assemble


def find(ref: AgentRef, failure: Failure) -> Position | None:
    """Return the place of the package or command that failed; None if it is none of the config's.

    The files are read again: had they changed, the build would not be wanted any more.
    """
    try:
        config, document = decode.agent(discovery.config_text(ref), ref.named(ref.config))
        loaded = decode.loaded(config, document, discovery.fleet(ref.project))
        return next((o.place(loaded.document) for o in _origins(loaded, failure)), None)
    except CompanionError:
        return None


def _origins(loaded: Loaded, failure: Failure) -> Iterator[Origin]:
    """Yield the origins of a failed step, the likeliest first."""
    command, config = failure.command, loaded.config
    if not command:
        return
    program = assemble.program(config, loaded.document)
    for one in assemble.additions(loaded, program).commands:
        if one.origin and one.text == command:
            yield one.origin
    if config.runtime.base_image is not None:
        for number, text in enumerate(program.install):
            if text == command:
                yield Origin(("runtime", "install", number))
    if command.startswith("apt-get update"):
        yield from _packages(config.packages, failure)


def _packages(packages: tuple[str, ...], failure: Failure) -> Iterator[Origin]:
    installed = failure.command.split()
    listed = {n: name for n, name in enumerate(packages) if name in installed}
    for number, name in listed.items():
        if re.search(rf"(?<![\w.+-]){re.escape(name)}(?![\w+-])", failure.cause):
            yield Origin(("packages", number))
    if listed:
        yield Origin(("packages",))
