"""Secret problems: the variables of a config that have no value, or must not be sent there."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from shlex import quote

from companion.config.origin import Origin
from companion.config.strict_yaml import Document
from companion.errors import Code, Problem
from companion.keychain.sources import Source
from companion.plugins.secret_uses import Use
from companion.reconcile.secret_values import Variables
from companion.system import project_paths


def problems(
    known: Variables,
    document: Document,
    settings: Path,
    optional: Collection[tuple[str, Origin]] = (),
) -> Iterator[Problem]:
    """Yield why the secrets of a config cannot be sent as it says.

    The keychain and commands are not asked: what they have is seen when a change is applied.

    Args:
        known: where its variables have their values.
        document: its text.
        settings: the path of the user's settings.
        optional: variables, and where they are named, that may have no value.
    """
    for name in dict.fromkeys(use.name for use in known.uses):
        if source := known.source(name):
            if unbound := known.unbound(name):
                yield _unbound(source, unbound, document, settings)
        else:
            mine = [use for use in known.uses if use.name == name]
            if not known.value(name):
                mine = [use for use in mine if (name, use.origin) not in optional]
            yield from (p for use in mine for p in _valueless(known, use, document, settings))


def _unbound(
    source: Source, unbound: tuple[Use, ...], document: Document, settings: Path
) -> Problem:
    new = tuple(dict.fromkeys(use.binding for use in unbound))
    bound = ", ".join(source.hosts) or "nothing"
    what = f"{source.name} must not be sent to {', '.join(new)}: your secret is bound to {bound}"
    hint = f"add the host to `secrets.{source.name}.hosts` in {settings}"
    if source.held:
        options = " ".join(f"--host {quote(host)}" for host in (*source.hosts, *new))
        hint = f"run `companion secret set {source.name} {options}`"
    hint = f"to allow it, {hint}; or give the project another value in {project_paths.ENV_NAME}"
    return Problem(what, hint, unbound[0].origin.place(document), Code.SECRET_UNBOUND)


def _valueless(known: Variables, use: Use, document: Document, settings: Path) -> Iterator[Problem]:
    """Yield why a variable has no value that can be sent."""
    place, name = use.origin.place(document), use.name
    where, value = f"the {use.what} for {use.whom}", known.value(name)
    if not value:
        hint = f"run `companion secret set {name}`, or add {name}=… to {project_paths.ENV_NAME}"
        if name in os.environ:
            hint += f", or {name} to `environment` in {settings}"
        what = f"{name} has no value; it is needed for {where}"
        yield Problem(what, hint, place, Code.SECRET_MISSING)
    elif not value.is_sendable:
        hint = "correct it: one line of printable ASCII"
        yield Problem(f"the value of {name} cannot be sent in {where}", hint, place)
