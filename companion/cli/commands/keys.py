"""Commands about an agent's keys: keys list, add, remove, rotate, signing."""

from argparse import Namespace
from pathlib import Path

from companion.cli.output import Result, comment, table
from companion.cli.targets import agent_of
from companion.errors import Code, CompanionError, UsageError
from companion.project import inventory, store
from companion.project.agent_lock import agent_lock
from companion.project.model import AgentRef
from companion.reconcile import key_rotation, signing_key, ssh_keys, trust
from companion.reconcile.desire import sandbox_of
from companion.reconcile.validate import check
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from ssh import authorized_keys
from ssh.authorized_keys import Key


def keys(arguments: Namespace) -> Result:
    """Show or change the keys of one agent; a change takes effect at the next login."""
    home, project, agent = agent_of(arguments)
    ref = inventory.find_agent(home, project, agent)
    agent_paths = home.project(project.id).agent(agent)
    if arguments.action == "rotate":
        return _rotated(home, ref, agent, arguments)
    if arguments.host or arguments.client:
        raise UsageError("--host and --client need `keys rotate`", "leave them out")
    if arguments.action == "signing":
        return _signing(agent_paths, agent)
    if arguments.action == "add":
        _save(home, ref, agent_paths, (*_added(agent_paths), *_given(arguments.key)))
    elif arguments.action == "remove":
        _save(home, ref, agent_paths, _without(_added(agent_paths), arguments.key))
    return _listing(agent_paths)


def _rotated(home: Paths, ref: AgentRef, agent: str, arguments: Namespace) -> Result:
    """Replace the host key and our client key; by default both."""
    if arguments.key:
        raise UsageError("`keys rotate` takes no KEY: it generates new ones", "leave it out")
    both = arguments.host == arguments.client
    wanted = {"host": both or arguments.host, "client": both or arguments.client}
    made = key_rotation.rotate(home, ref, comment, **wanted)
    lines = (f"{agent} has a new {w.replace('_', ' ')}: {f}" for w, f in made.items())
    return Result(text="\n".join(lines), data=made)


def _signing(agent_paths: AgentPaths, agent: str) -> Result:
    """Print the public half of the key that signs the agent's commits, for a forge."""
    public = signing_key.public(agent_paths)
    if not public:
        what = f"{agent} has no signing key yet"
        raise CompanionError(what, "set `sign: true` for the git plugin and run `companion up`")
    return Result(text=public, data={"signing_key": public}, is_verbatim=True)


def _listing(agent_paths: AgentPaths) -> Result:
    added = {key.fingerprint for key in _added(agent_paths)}
    allowed = authorized_keys.parse(files.read_text(agent_paths.authorized_keys) or "").keys
    rows = [
        (key.fingerprint, key.type, key.comment, "added" if key.fingerprint in added else "own")
        for key in allowed
    ]
    names = ("fingerprint", "type", "comment", "source")
    return Result(
        text=table(rows) if rows else "no keys may log in",
        data=[dict(zip(names, row, strict=True)) for row in rows],
    )


def _added(agent_paths: AgentPaths) -> tuple[Key, ...]:
    return authorized_keys.parse(files.read_text(agent_paths.added_keys) or "").keys


def _given(text: str | None) -> tuple[Key, ...]:
    """Return the keys of an argument: a public key itself, or a file of them."""
    if not text:
        raise CompanionError("`keys add` needs a key", "give a public key or its file")
    content = text if " " in text else files.read_text(files.expanded(Path(text)))
    if content is None:
        raise CompanionError(f"there is no file {text}", "give a public key or its file")
    parsed = authorized_keys.parse(content)
    if parsed.problems:
        raise CompanionError(parsed.problems[0].message, "give a public key in OpenSSH's format")
    return parsed.keys


def _without(added: tuple[Key, ...], wanted: str | None) -> tuple[Key, ...]:
    if not wanted:
        raise CompanionError("`keys remove` needs a key", "give its fingerprint or comment")
    left = tuple(k for k in added if wanted not in {k.fingerprint, k.comment, k.line})
    if len(left) == len(added):
        what = f"no key '{wanted}' was added here"
        raise CompanionError(what, "`companion keys list` shows all; agent.yaml names the others")
    return left


def _save(home: Paths, ref: AgentRef, agent_paths: AgentPaths, added: tuple[Key, ...]) -> None:
    """Remember the added keys and write the union that sshd reads at the next login.

    Raises:
        CompanionError: it was never started, or its engine is elsewhere and does not answer.
    """
    with agent_lock(agent_paths, comment):
        record, checked = store.read(agent_paths), check(home, ref)
        if record is None:
            raise CompanionError(
                f"{checked.config.name} has never been started",
                "run `companion up`",
                code=Code.NOT_STARTED,
            )
        trust.require(home, checked)
        files.write(agent_paths.added_keys, authorized_keys.merge(added))
        ssh_keys.authorize(sandbox_of(checked, record), home, agent_paths)
        key_rotation.carry(home, checked, record)
