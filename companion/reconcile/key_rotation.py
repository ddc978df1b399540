"""Key rotation: gives an agent new keys without ever locking the user out.

The desktop's files change first, in an order that always allows a login; sshd is reloaded last. An
interrupted rotation leaves at most an old key valid: the next `up` rewrites all files and reloads
sshd if needed.
"""

from dataclasses import replace
from functools import partial

from companion.desktop import ssh_config
from companion.engine.driver import Driver, driver
from companion.errors import CompanionError
from companion.project import carried_store, store
from companion.project.agent_lock import agent_lock
from companion.project.model import AgentRef
from companion.project.record import AgentRecord
from companion.reconcile import readiness, snapshot, ssh_keys, trust
from companion.reconcile.apply import reload_sshd
from companion.reconcile.carrying import Carrying
from companion.reconcile.desire import desired_of, sandbox_of
from companion.reconcile.desired import HOST_KEY
from companion.reconcile.progress import Progress
from companion.reconcile.validate import Checked, check
from companion.sandbox.model import Sandbox
from companion.spec.containers import Service
from companion.spec.identity import Role
from companion.system.paths import Paths
from ssh import keys


def rotate(
    home: Paths, ref: AgentRef, progress: Progress, *, host: bool, client: bool
) -> dict[str, str]:
    """Give an agent a new host key, a new client key, or both; sessions survive.

    Returns the fingerprint of each new key, by `host_key` and `client_key`.

    Raises:
        CompanionError: nothing was changed, because the agent was never started, opens more than
            its user agreed to, accepts no logins, has a host key from the user, or its engine does
            not answer; or SSH did not answer after the change.
    """
    agent_paths = check(home, ref).agent_paths(home)
    with agent_lock(agent_paths, progress):
        checked = check(home, ref)
        record = store.read(agent_paths)
        if record is None:
            raise CompanionError(f"{checked.config.name} was never started", "run `companion up`")
        trust.require(home, checked)
        sandbox = sandbox_of(checked, record)
        _require_ours(sandbox, host=host)
        engine = _running(checked, record)
        bring = partial(carry, home, checked, record)
        made: dict[str, str] = {}
        if client:
            made["client_key"] = ssh_keys.new_client_key(sandbox, home, agent_paths, bring)
        if host:
            made["host_key"] = ssh_keys.new_host_key(sandbox, agent_paths)
            bring()
        ssh_config.sync(home)
        if engine:
            _activate(home, checked, record, engine, host=host)
    return {what: keys.fingerprint(public) for what, public in made.items()}


def carry(home: Paths, checked: Checked, record: AgentRecord) -> None:
    """Bring the files of an agent's sshd to its engine, if that is elsewhere and holds some.

    Raises:
        CompanionError: the engine does not answer; `up` brings them then.
    """
    choice, agent_paths = record.engine, checked.agent_paths(home)
    if choice is None or choice.shares_files or carried_store.read(agent_paths, choice) is None:
        return
    engine = driver(choice, checked.project.id, checked.config.name, str(agent_paths.root))
    try:
        last = snapshot.read(agent_paths)
        if last and last.engine.is_same(choice):
            target = last.target  # whose images are there, whichever version started it
        else:
            target = desired_of(home, checked, record).target
        carrying = Carrying(engine, target, agent_paths, checked.host.uid)
        carrying.carry(anew=False)
        carrying.await_agent()
    except CompanionError as error:
        (problem, *_) = error.problems
        what = f"the keys were changed on this desktop, but {problem.what}"
        hint = f"{choice.label} has the old ones until `companion up` succeeds"
        raise CompanionError(what, hint, code=problem.code) from error


def _require_ours(sandbox: Sandbox, *, host: bool) -> None:
    server = sandbox.ssh
    if server is None:
        raise CompanionError(
            f"{sandbox.agent} accepts no logins", "add the ssh plugin to agent.yaml"
        )
    if host and server.host_key:
        what = f"agent.yaml gives {sandbox.agent} its host key: {server.host_key.path}"
        hint = "put another key there and run `companion up`; --client rotates our own key alone"
        raise CompanionError(what, hint)


def _running(checked: Checked, record: AgentRecord) -> Driver | None:
    """Return the engine on which the agent runs; None if it is down: its next sshd reads all."""
    if record.engine is None:
        return None
    engine = driver(record.engine, checked.project.id, checked.config.name)
    runs = any(c.role is Role.AGENT and c.running for c in engine.containers())
    return engine if runs else None


def _activate(
    home: Paths, checked: Checked, record: AgentRecord, engine: Driver, *, host: bool
) -> None:
    """Reload the running sshd if the host key changed, and check that a login works."""
    target, agent_paths = desired_of(home, checked, record).target, checked.agent_paths(home)
    if host:
        reload_sshd(engine, record.config.login)
        store.write(agent_paths, _with_host_key(record, target.service(Role.AGENT)))
    try:
        if target.login:
            readiness.wait_for_login(engine, target, target.login, home, agent_paths)
    except CompanionError as error:
        what = f"the keys were replaced, but {error.problems[0].what}"
        raise CompanionError(what, "run `companion up`") from error


def _with_host_key(record: AgentRecord, agent: Service) -> AgentRecord:
    """Return the record with the new host key loaded; other uncertain entries stay uncertain."""
    applied = record.applied
    held = applied.loaded.get(agent.name)
    if held is None:
        return record
    now = {**held, HOST_KEY: dict(agent.reloads)[HOST_KEY]}
    return replace(record, applied=replace(applied, loaded={**applied.loaded, agent.name: now}))
