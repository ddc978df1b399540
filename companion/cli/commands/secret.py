"""Commands about the user's own secrets: secret set, list, remove."""

import sys
from argparse import Namespace
from collections.abc import Iterator

from companion.cli.output import Result, ask_unseen, piped, table
from companion.config import bindings
from companion.config.settings import SECRET_NAME
from companion.errors import Code, CompanionError, Problem, UsageError
from companion.keychain import desktop, store
from companion.keychain.commands import LONGEST, value_problem
from companion.keychain.sources import Source, sources
from companion.keychain.store import Held, Where
from companion.reconcile import user_settings
from companion.system.paths import Paths

_KEEPS = "keeps the value that it has until `companion down`"


def secret(arguments: Namespace) -> Result:
    """Store, list or remove secrets; their values are never shown."""
    home, name = Paths.of_user(), arguments.name
    if arguments.action == "list":
        if name:
            raise UsageError("`secret list` takes no NAME", "leave it out")
        return _listing(home)
    if not name:
        raise UsageError(f"`secret {arguments.action}` needs a NAME", "such as GITHUB_TOKEN")
    return _set(home, name, arguments) if arguments.action == "set" else _removed(home, name)


def _set(home: Paths, name: str, arguments: Namespace) -> Result:
    if not SECRET_NAME.match(name):
        what = "a secret's name has only A-Z, 0-9 and '_', and does not begin with a digit"
        raise UsageError(what, "name it as agent.yaml does: GITHUB_TOKEN for ${GITHUB_TOKEN}")
    hosts = _bound(home, name, arguments.host or ())
    value = _value(name, from_stdin=arguments.from_stdin)
    old = _sources(home).get(name)
    new = store.put(home, name, value, hosts, in_file=arguments.in_file)
    place = "the keychain" if new.where is Where.KEYCHAIN else "a file"
    text = f"stored {name} in {place}; it is sent only to {', '.join(hosts)}"
    if old and (lost := [host for host in old.hosts if host not in hosts]):
        text += f"\na sandbox that sends it to {', '.join(lost)} {_KEEPS}"
    warnings = tuple(_unencrypted(home, name, new, is_asked_for=arguments.in_file))
    data = {"name": name, "where": new.where, "hosts": list(new.hosts)}
    return Result(text=text, data=data, problems=warnings)


def _bound(home: Paths, name: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the bindings of a secret: the given ones, the ones it has, or the usual ones.

    Raises:
        UsageError: there are none, or one is not valid.
    """
    try:
        hosts = tuple(dict.fromkeys(map(bindings.binding, given)))
    except ValueError as error:
        raise UsageError(f"--host {error}", "give the host without a path") from None
    known = _sources(home).get(name)
    found = hosts or (known.hosts if known else ()) or bindings.WELL_KNOWN.get(name, ())
    if not found:
        hint = "add --host HOST for each service that may receive it"
        raise UsageError(f"{name} is not bound to a host yet", hint)
    return found


def _value(name: str, *, from_stdin: bool) -> str:
    """Return the value that the user types or pipes in.

    Raises:
        CompanionError: it is empty, or no header could hold it.
    """
    if from_stdin:
        value = piped(LONGEST + 3).strip("\r\n")
    elif sys.stdin.isatty():
        value = ask_unseen(f"value of {name} (it is not shown): ").strip()
    else:
        raise UsageError(
            "there is no terminal to ask for the value", "add --from-stdin to pipe it in"
        )
    if problem := value_problem(value):
        raise CompanionError(f"nothing was stored: the value of {name} {problem}")
    return value


def _removed(home: Paths, name: str) -> Result:
    if not store.remove(home, name):
        hint = "`companion secret list` lists them"
        if name in _sources(home):
            hint = f"it is named in {home.settings}: remove it there"
        raise CompanionError(f"there is no stored secret {name}", hint)
    text = f"removed {name}; a sandbox that runs {_KEEPS}"
    return Result(text=text, data={"name": name})


def _listing(home: Paths) -> Result:
    owned = [one for _, one in sorted(_sources(home).items())]
    rows = [(one.name, _where(one), ", ".join(one.hosts)) for one in owned]
    none = "no secrets yet; `companion secret set NAME` stores one"
    in_file = ", ".join(one.name for one in owned if _where(one) == Where.FILE)
    what = f"unencrypted, in a file that only your user can read: {in_file}"
    problem = Problem(what, f"it is {home.secret_values}", code=Code.NO_KEYCHAIN)
    return Result(
        text=table([("NAME", "COMES FROM", "SENT ONLY TO"), *rows]) if rows else none,
        data=[{"name": n, "where": w, "hosts": h.split(", ")} for n, w, h in rows],
        problems=(problem,) if in_file else (),
    )


def _where(source: Source) -> str:
    """Return where a value comes from; a command by its program, because its arguments may tell."""
    if source.command:
        return source.words.removeprefix("from the ")
    return source.held.where if source.held else Where.KEYCHAIN


def _sources(home: Paths) -> dict[str, Source]:
    return sources(store.held(home), user_settings.read(home))


def _unencrypted(home: Paths, name: str, new: Held, *, is_asked_for: bool) -> Iterator[Problem]:
    """Yield where a value lies that is not in a keychain, and why."""
    if new.where is Where.KEYCHAIN:
        return
    why = "you asked for it" if is_asked_for else _why_no_keychain()
    what = f"{name} is stored unencrypted in {home.secret_values}, which only your user can read"
    hint = f"`companion secret set {name}` moves it into a keychain, where there is one"
    yield Problem(f"{what}\n{why}", hint, code=Code.NO_KEYCHAIN)


def _why_no_keychain() -> str:
    try:
        desktop.require()
    except CompanionError as error:
        return error.problems[0].what
    return "there was no keychain"
