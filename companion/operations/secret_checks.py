"""Checks of the user's secrets: where their values lie, and whether the keychain is there."""

from collections.abc import Iterator

from companion.errors import CompanionError
from companion.keychain import desktop, store
from companion.keychain.sources import sources
from companion.keychain.store import Where
from companion.operations.findings import Finding, Level
from companion.reconcile import user_settings
from companion.system import search
from companion.system.paths import Paths


def examine(home: Paths) -> Iterator[Finding]:
    """Yield findings about secrets of the user; the keychain is not unlocked."""
    held = store.held(home)
    in_file = [name for name, one in sorted(held.items()) if one.where is Where.FILE]
    in_keychain = [name for name, one in sorted(held.items()) if one.where is Where.KEYCHAIN]
    if in_file:
        what = f"stored unencrypted in {home.secret_values}: {', '.join(in_file)}"
        hint = "where there is a keychain, `companion secret set NAME` moves a secret into it"
        yield Finding(Level.WARNING, what, hint)
    if in_keychain:
        yield _reached(", ".join(in_keychain))
    for name, source in sources(held, user_settings.read(home)).items():
        if source.command and search.find(source.command[0]) is None:
            what = f"{source.command[0]}, which should print {name}, is not found"
            yield Finding(Level.WARNING, what, f"install it, or correct {home.settings}")


def _reached(names: str) -> Finding:
    try:
        desktop.require()
    except CompanionError as error:
        problem = error.problems[0]
        return Finding(Level.WARNING, f"not available: {names}; {problem.what}", problem.hint)
    return Finding(Level.OK, f"in the keychain: {names}")
