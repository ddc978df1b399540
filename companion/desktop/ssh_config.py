"""SSH config and known_hosts: how every program on the desktop finds the sandboxes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from companion.desktop import made_directories, ssh_include
from companion.errors import Code, CompanionError
from companion.project import store
from companion.project.record import AgentRecord
from companion.system import files, locks, programs, user_files
from companion.system.paths import Paths
from companion.system.project_paths import AgentPaths
from ssh import config, known_hosts, values
from ssh.values import SshValueError


@dataclass(frozen=True, slots=True)
class SshEntry:
    """One sandbox that takes logins: its host entry and its pinned public host key."""

    host: config.Host
    pin: str


def require_readable(home: Paths) -> None:
    """Check that ssh can be told where our keys are, before there are any.

    Raises:
        CompanionError: the path of our data directory has characters that ssh expands.
    """
    with _expressible(home):
        values.path("the path of our keys", home.client_key("x").as_posix())


@contextmanager
def _expressible(home: Paths) -> Iterator[None]:
    try:
        yield
    except SshValueError as error:
        what = f"ssh cannot read files in {str(home.ssh)!r}: {error}"
        raise CompanionError(
            what, "set XDG_DATA_HOME to a directory with a plain name", code=Code.FILE_ACCESS
        ) from None


def sync(home: Paths) -> None:
    """Write our SSH config and known_hosts anew from what is remembered of all projects.

    Raises:
        CompanionError: the path of our data directory has characters that ssh expands.
    """
    with _expressible(home), locks.exclusive(home.ssh / "lock"):
        # Of records with one alias the first keeps it; the next `up` of the other heals that.
        entries = {e.host.alias: e for e in reversed(tuple(_entries(home)))}.values()
        files.write(
            home.ssh_known_hosts, known_hosts.render({e.host.alias: e.pin for e in entries})
        )
        files.write(home.ssh_config, config.render(e.host for e in entries))


def include(home: Paths) -> None:
    """Put our one Include line at the top of the user's ~/.ssh/config.

    Raises:
        CompanionError: that file cannot be read or written; the user can add include_line() to it.
    """
    made_directories.note(home, home.user_ssh_config)
    with _expressible(home), locks.exclusive(home.ssh / "lock"):
        user_files.changing(home.user_ssh_config, partial(_include, home))


def _include(home: Paths) -> None:
    text = user_files.read(home.user_ssh_config)
    new = config.add_include(text or "", home.ssh_config.as_posix())
    if new != text:
        user_files.write(home.user_ssh_config, new, text)


def exclude(home: Paths) -> None:
    """Take our Include line out of the user's ~/.ssh/config; a file that only had it goes."""
    if files.is_file(home.user_ssh_config):
        with locks.exclusive(home.ssh / "lock"):
            user_files.changing(home.user_ssh_config, partial(_exclude, home))


def _exclude(home: Paths) -> None:
    text = user_files.read(home.user_ssh_config)
    if text is not None:
        new = text
        for path in ssh_include.spellings(home):
            new = config.remove_include(new, path)
        user_files.restore(home.user_ssh_config, new, text)


def include_line(home: Paths) -> str:
    """Return the line that include() writes, for users who write it themselves."""
    with _expressible(home):
        return config.include_line(home.ssh_config.as_posix())


def last_alias(home: Paths, agent_paths: AgentPaths) -> str | None:
    """Return the alias that an agent had when our files were written last, by its host key.

    For an agent whose record cannot be read; None: our files do not name its key.
    """
    pin = _pin(agent_paths)
    with suppress(SshValueError):
        pins = known_hosts.parse(files.read_text(home.ssh_known_hosts) or "")
        return next((alias for alias, key in pins.items() if pin.startswith(key)), None)
    return None


def _entries(home: Paths) -> Iterator[SshEntry]:
    before = config.logins(files.read_text(home.ssh_config) or "")
    for project_id, written in store.all_projects(home).items():
        agent_paths = {name: home.project(project_id).agent(name) for name in written.names}
        for name, record in written.agents.items():
            port, alias = record.allocation.ssh_port, record.allocation.alias
            if port and _pin(agent_paths[name]):
                proxy = _proxy(project_id, name, record)
                user, pin = record.config.user, _pin(agent_paths[name])
                yield _entry(home, alias, port, user, proxy, pin)
        for name in written.broken:  # they keep the entry that they had
            alias = last_alias(home, agent_paths[name]) or ""
            if alias in before:
                yield _entry(home, alias, *before[alias], _pin(agent_paths[name]))


def _proxy(project_id: str, name: str, record: AgentRecord) -> str:
    """Return how ssh connects to an agent: an engine elsewhere publishes no port on the desktop."""
    if record.engine is None or record.engine.shares_files:
        return config.NO_PROXY
    return config.proxy(programs.companion("proxy", f"{project_id}/{name}"))


def _pin(agent_paths: AgentPaths) -> str:
    """Return the line of an agent's public host key, or ""."""
    return (files.read_text(agent_paths.host_key.with_suffix(".pub")) or "").strip()


def _entry(home: Paths, alias: str, port: int, user: str, proxy: str, pin: str) -> SshEntry:
    host = config.Host(
        alias=alias,
        hostname="127.0.0.1",
        port=port,
        user=user,
        identity_file=home.client_key(alias).as_posix(),
        known_hosts_file=home.ssh_known_hosts.as_posix(),
        proxy=proxy,
    )
    return SshEntry(host, pin)
