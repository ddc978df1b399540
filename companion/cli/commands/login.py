"""The command that gives an agent the credential for its model: login."""

import sys
from argparse import Namespace
from collections.abc import Sequence

from companion.cli.commands import account, trust
from companion.cli.output import Result, ask, ask_unseen, comment, piped
from companion.cli.targets import agent_of
from companion.config import bindings, env_file
from companion.errors import Code, CompanionError, Problem, StoppedError, UsageError
from companion.keychain import store
from companion.keychain.sources import sources
from companion.keychain.store import Held, Where
from companion.oauth import login as vendor
from companion.oauth.login import Answer, Verdict
from companion.oauth.web import Web
from companion.operations import accounts, logging_in
from companion.plugins.contribution import EnvVar
from companion.plugins.login import Credential
from companion.project import inventory
from companion.project.model import AgentRef
from companion.reconcile import run, secret_values, user_settings
from companion.reconcile.validate import Checked, check
from companion.sandbox import logins
from companion.sandbox.logins import Choice
from companion.system import files
from companion.system.paths import Paths

_LONGEST = 1 << 14


def login(arguments: Namespace) -> Result:
    """Read a credential, ask the vendor whether it is valid, store it and let the agent use it."""
    home, project, agent = agent_of(arguments)
    ref = inventory.find_agent(home, project, agent)
    trust.offer(home, project, "Go on", arguments)
    checked = check(home, ref)
    chosen = _chosen(checked, arguments.mode, is_check=arguments.check)
    credential = chosen.login.credential
    if credential is None:
        return _account(home, checked, chosen, arguments)
    if arguments.check:
        return _checked(home, checked, chosen, credential)
    _require_not_in_env(ref, chosen.variable)
    _require_for(home, chosen.variable, credential.host)
    secret = _secret(chosen, credential)
    doubts = () if arguments.untested else _tested(checked, chosen, credential, secret)
    held = store.put(home, chosen.variable, secret, (credential.host,))
    return Result(
        text="\n".join((_stored(chosen, held), *_brought_in(home, checked, chosen))),
        data={"agent": agent, **_data(chosen, credential)},
        problems=(*doubts, *_unencrypted(home, chosen, held)),
    )


def _account(home: Paths, checked: Checked, chosen: Choice, arguments: Namespace) -> Result:
    """Let the user log in to an account with the browser."""
    added = ""
    if chosen.origin is None:
        if not logging_in.add(home, checked.ref, chosen.login):
            return Result(text="\n".join(_not_changed(checked, chosen)), code=1)
        added = f"{_added(checked, chosen)}\n"
        checked = check(home, checked.ref)
    found = accounts.account_of(checked)
    if found is None:
        what = f"{checked.config.name} uses no account"
        raise CompanionError(what, "give the codex plugin `login: chatgpt`")
    if arguments.check:
        return account.test(home, checked, found)
    result = account.log_in(home, checked, found, arguments)
    return result._replace(text=added + result.text)


def _chosen(checked: Checked, mode: str | None, *, is_check: bool) -> Choice:
    """Return the way to log in that the user names or chooses.

    Raises:
        CompanionError: the agent has no such way.
    """
    found = logins.choices(checked.config, checked.contribution)
    name = checked.config.name
    if not found or (is_check and found[0].origin is None):
        what = f"{name} has no credential for a model" if found else f"{name} has no known login"
        hint = f"run `companion login {name}`" if found else "docs/login.md lists what to write"
        raise CompanionError(what, hint, code=Code.NO_CREDENTIAL)
    named = [one for one in found if mode in {None, one.login.mode, one.variable or None}]
    modes = ", ".join(one.login.mode for one in found)
    if not named and found[0].origin:
        where = found[0].origin
        what = f"{name} logs in with {found[0].login.title} ({where})"
        raise CompanionError(what, f"change {where} for another way, then run this again")
    if not named:
        raise UsageError(f"{name} has no login mode '{mode}'", f"use {modes}")
    if len(named) == 1:
        return named[0]
    if not sys.stdin.isatty():
        raise UsageError(f"{name} can log in in several ways", f"choose one with --mode: {modes}")
    return _asked(name, named)


def _asked(agent: str, found: Sequence[Choice]) -> Choice:
    comment(f"{agent} can log in with:")
    for number, one in enumerate(found, 1):
        comment(f"  {number}. {one.login.title}\n     {one.login.source}")
    while True:
        answer = ask("Which one? [1] ", at_the_end="q") or "1"
        if answer == "q":
            raise CompanionError("no way to log in was chosen")
        if answer.isdecimal() and 0 < int(answer) <= len(found):
            return found[int(answer) - 1]


def _require_not_in_env(ref: AgentRef, variable: str) -> None:
    for file in ref.env_files:
        given = env_file.parse(files.read_text(file) or "", ref.named(file))
        if given.get(variable):
            what = f"{ref.named(file)} sets {variable}, which takes precedence over what is stored"
            raise CompanionError(what, "change it there, or remove it there and run this again")


def _require_for(home: Paths, variable: str, host: str) -> None:
    """Require that a variable, which a repository may have chosen, is no secret for other hosts."""
    known = sources(store.held(home), user_settings.read(home)).get(variable)
    bound = (known.hosts if known else ()) or bindings.WELL_KNOWN.get(variable, (host,))
    if set(bound) != {host}:
        whose = f"your secret for {', '.join(bound)}"
        what = f"nothing was stored: {variable} is {whose}, and this login is for {host}"
        raise CompanionError(what, "name another variable in agent.yaml, and run this again")


def _secret(chosen: Choice, credential: Credential) -> str:
    """Return the secret that the user types or pipes in.

    Raises:
        CompanionError: it cannot be such a secret.
    """
    login = chosen.login
    if sys.stdin.isatty():
        comment(f"{chosen.variable} is {login.title}.\n  {login.source}")
        value = ask_unseen(f"{chosen.variable} (it is not shown): ").strip()
    else:
        value = piped(_LONGEST + 1).strip()
    if not value:
        raise CompanionError("nothing was stored: no credential was given", login.source)
    if len(value) > _LONGEST or not all("!" <= char <= "~" for char in value):
        what = "nothing was stored: a credential is one word of printable ASCII"
        raise CompanionError(what, login.source)
    if not value.startswith(credential.begins):
        what = f"nothing was stored: {login.title} begins with {credential.begins}"
        raise CompanionError(what, login.source)
    return value


def _tested(
    checked: Checked, chosen: Choice, credential: Credential, secret: str
) -> tuple[Problem, ...]:
    """Ask the vendor; return what it leaves unclear.

    Raises:
        CompanionError: it rejects the secret, or does not answer.
    """
    host = credential.host
    try:
        answer = vendor.ask(credential, secret, Web(checked.host.trusted_certificates))
    except CompanionError as error:
        (found,) = error.problems
        command = f"companion login {checked.config.name} --untested"
        hint = f"{found.hint}; `{command}` stores it without a test"
        raise CompanionError(f"nothing was stored: {found.what}", hint) from None
    if answer.verdict is Verdict.REJECTED:
        raise _rejected(chosen, host, "nothing was stored: ", answer)
    if answer.verdict is Verdict.UNCLEAR:
        return (_unclear(host, answer),)
    comment(f"{host} accepts it")
    return ()


def _rejected(chosen: Choice, host: str, before: str, answer: Answer) -> CompanionError:
    what = f"{before}{host} does not accept it ({answer.said})"
    hint = f"it is wrong, expired or revoked: {chosen.login.source}"
    return CompanionError(what, hint, code=Code.CREDENTIAL_REJECTED)


def _unclear(host: str, answer: Answer) -> Problem:
    what = f"{host} did not say whether it is valid ({answer.said})"
    return Problem(what, "the agent's first request will", code=Code.NO_CREDENTIAL)


def _checked(home: Paths, checked: Checked, chosen: Choice, credential: Credential) -> Result:
    """Test the credential that an agent has."""
    wanted, ref = EnvVar(chosen.variable), checked.ref
    secret_values.fetch(home, ref, checked.contribution, comment)
    secret = secret_values.resolve(home, ref, checked.contribution, (wanted,))[wanted].reveal()
    if not secret:
        what = f"{chosen.variable} has no value"
        hint = f"run `companion login {checked.config.name}`"
        raise CompanionError(what, hint, code=Code.NO_CREDENTIAL)
    host = credential.host
    answer = vendor.ask(credential, secret, Web(checked.host.trusted_certificates))
    if answer.verdict is Verdict.REJECTED:
        raise _rejected(chosen, host, f"{chosen.variable}: ", answer)
    doubts = (_unclear(host, answer),) if answer.verdict is Verdict.UNCLEAR else ()
    text = "" if doubts else f"{host} accepts {chosen.variable}"
    return Result(text=text, data=_data(chosen, credential), problems=doubts)


def _brought_in(home: Paths, checked: Checked, chosen: Choice) -> tuple[str, ...]:
    """Let the agent use what is stored; return sentences about it."""
    ref, name = checked.ref, checked.config.name
    added: tuple[str, ...] = ()
    if chosen.origin is None:
        if not logging_in.add(home, ref, chosen.login):
            return _not_changed(checked, chosen)
        added = (_added(checked, chosen),)
    try:
        run.reconcile(home, ref, comment, unasked=True)
    except StoppedError:
        return (*added, f"{name} can use it after `companion up`")
    return (*added, f"{name} can use it now")


def _added(checked: Checked, chosen: Choice) -> str:
    return f"added {chosen.login.options['plugin']} to {checked.ref.named(checked.ref.config)}"


def _not_changed(checked: Checked, chosen: Choice) -> tuple[str, ...]:
    file = checked.ref.named(checked.ref.config)
    why = f"{file} came with a checkout and was not changed; it needs:"
    return (why, logging_in.lines(chosen.login))


def _stored(chosen: Choice, held: Held) -> str:
    place = "the keychain" if held.where is Where.KEYCHAIN else "a file"
    return f"stored {chosen.variable} in {place}; it is sent only to {', '.join(held.hosts)}"


def _unencrypted(home: Paths, chosen: Choice, held: Held) -> tuple[Problem, ...]:
    if held.where is Where.KEYCHAIN:
        return ()
    what = f"{chosen.variable} is unencrypted in {home.secret_values}: there is no keychain"
    return (Problem(what, "only your user can read that file", code=Code.NO_KEYCHAIN),)


def _data(chosen: Choice, credential: Credential) -> dict[str, object]:
    return {"mode": chosen.login.mode, "variable": chosen.variable, "host": credential.host}
