"""The command that gives an agent the credential for its model: login."""

import sys
from argparse import Namespace

from companion.cli.commands import account, login_questions, trust
from companion.cli.commands.login_questions import Given
from companion.cli.output import Result, comment
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
from companion.reconcile import secret_values, user_settings
from companion.reconcile.validate import Checked, check
from companion.sandbox import logins
from companion.sandbox.logins import Choice
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import FLEET_NAME


def login(arguments: Namespace) -> Result:
    """Read a credential, ask the vendor whether it is valid, store it and let the agent use it."""
    home, project, agent = agent_of(arguments)
    ref = inventory.find_agent(home, project, agent)
    trust.offer(home, project, "Go on", arguments)
    checked = check(home, ref)
    chosen = _chosen(checked, arguments.mode, is_check=arguments.check)
    if arguments.check:
        return _checked(home, checked, chosen)
    is_edit = chosen.origin is None and logging_in.may_edit(ref)
    restarts = is_edit and login_questions.agree_to_restart(home, checked, arguments)
    credential = chosen.login.credential
    if credential is None:
        return _account(home, checked, chosen, arguments, restarts=restarts)
    _require_not_in_env(ref, chosen.variable)
    _require_for(home, chosen.variable, credential.host)
    given = login_questions.secret(home, checked, chosen, credential)
    doubts = () if arguments.untested else _tested(checked, chosen, credential, given)
    held = given.held or store.put(home, chosen.variable, given.secret, (credential.host,))
    applied = _brought_in(home, checked, chosen, restarts=restarts)
    return Result(
        text="\n".join((_stored(chosen, held, given), *applied)),
        data={"agent": agent, **_data(chosen, credential)},
        problems=(*doubts, *_unencrypted(home, chosen, held)),
    )


def _account(
    home: Paths, checked: Checked, chosen: Choice, arguments: Namespace, *, restarts: bool
) -> Result:
    """Let the user log in to an account with the browser; then let the agent use it."""
    ref = checked.ref
    if chosen.origin:
        found = account.required(checked.config.name, checked.contribution)
        grant = account.log_in(home, checked, found, arguments)
        return account.supply(home, checked, found, grant, restarts=False)
    if not logging_in.may_edit(ref):
        return Result(text="\n".join(_not_changed(checked, chosen)), code=1)
    proposed = logging_in.proposed(ref, chosen.login)
    found = account.required(checked.config.name, proposed)
    grant = account.log_in(home, checked, found, arguments)
    logging_in.add(home, ref, chosen.login)
    result = account.supply(home, check(home, ref), found, grant, restarts=restarts)
    return result._replace(text=f"{_added(checked, chosen)}\n{result.text}")


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
        file = FLEET_NAME if where.is_shared else checked.ref.named(checked.ref.config)
        what = f"{name} logs in with {found[0].login.title} already"
        hint = f"for another way, remove the plugin {where.plugin} from {file}, and run this again"
        raise CompanionError(what, hint)
    if not named:
        raise UsageError(f"{name} has no login mode '{mode}'", f"use {modes}")
    if len(named) == 1:
        return named[0]
    if not sys.stdin.isatty():
        raise UsageError(f"{name} can log in in several ways", f"choose one with --mode: {modes}")
    return login_questions.way(name, named)


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


def _tested(
    checked: Checked, chosen: Choice, credential: Credential, given: Given
) -> tuple[Problem, ...]:
    """Ask the vendor; return what it leaves unclear.

    Raises:
        CompanionError: it rejects the secret, or does not answer.
    """
    host = credential.host
    before = f"the stored {chosen.variable}: " if given.held else "nothing was stored: "
    try:
        answer = vendor.ask(credential, given.secret, Web(checked.host.trusted_certificates))
    except CompanionError as error:
        (found,) = error.problems
        command = f"companion login {checked.config.name} --untested"
        hint = f"{found.hint}; `{command}` leaves the test out"
        raise CompanionError(f"{before}{found.what}", hint) from None
    if answer.verdict is Verdict.REJECTED:
        raise _rejected(chosen, host, before, answer)
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


def _checked(home: Paths, checked: Checked, chosen: Choice) -> Result:
    """Test the credential that an agent has."""
    credential = chosen.login.credential
    if credential is None:
        found = account.required(checked.config.name, checked.contribution)
        return account.test(home, checked, found)
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


def _brought_in(
    home: Paths, checked: Checked, chosen: Choice, *, restarts: bool
) -> tuple[str, ...]:
    """Let the agent use what is stored; return sentences about it."""
    ref, name = checked.ref, checked.config.name
    added: tuple[str, ...] = ()
    if chosen.origin is None:
        if not logging_in.may_edit(ref):
            return _not_changed(checked, chosen)
        logging_in.add(home, ref, chosen.login)
        added = (_added(checked, chosen),)
    try:
        accounts.load(home, ref, comment, restarts=restarts)
    except StoppedError:
        return (*added, f"{name} can use it after `companion up`")
    except CompanionError as error:
        if error.problems[0].code is not Code.RESTART_NEEDED:
            raise
        why = f"`companion up`, which ends its terminal: {error.problems[0].what}"
        return (*added, f"{name} can use it after {why}")
    return (*added, f"{name} can use it now")


def _added(checked: Checked, chosen: Choice) -> str:
    return f"added {chosen.login.options['plugin']} to {checked.ref.named(checked.ref.config)}"


def _not_changed(checked: Checked, chosen: Choice) -> tuple[str, ...]:
    file = checked.ref.named(checked.ref.config)
    why = f"{file} came with a checkout and was not changed; it needs:"
    return (why, logging_in.lines(chosen.login))


def _stored(chosen: Choice, held: Held, given: Given) -> str:
    place = "the keychain" if held.where is Where.KEYCHAIN else "a file"
    did = "uses" if given.held else "stored"
    shared = f"; {', '.join(given.others)} use{'s'[len(given.others) > 1 :]} it, too"
    where = f"{did} {chosen.variable} in {place}; it is sent only to {', '.join(held.hosts)}"
    return f"{where}{shared if given.others else ''}"


def _unencrypted(home: Paths, chosen: Choice, held: Held) -> tuple[Problem, ...]:
    if held.where is Where.KEYCHAIN:
        return ()
    what = f"{chosen.variable} is unencrypted in {home.secret_values}: there is no keychain"
    return (Problem(what, "only your user can read that file", code=Code.NO_KEYCHAIN),)


def _data(chosen: Choice, credential: Credential) -> dict[str, object]:
    return {"mode": chosen.login.mode, "variable": chosen.variable, "host": credential.host}
