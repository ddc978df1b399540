"""Doctor: checks of this machine, each isolated from the others, and what --fix repairs."""

import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from companion import __version__
from companion.desktop import editor_settings, ssh_config, ssh_include
from companion.engine.driver import driver
from companion.engine.model import Health
from companion.oauth import grant_store, grants
from companion.oauth.grants import Grant
from companion.operations import (
    engine_checks,
    installation_checks,
    kernel_checks,
    repository_check,
    secret_checks,
    status,
    way_out,
)
from companion.operations.findings import Check, Finding, Level, guarded
from companion.project import discovery, store
from companion.project.model import AgentRef, Project
from companion.reconcile import authority, certificates, readiness
from companion.system import files, inotify, packages, search
from companion.system.inotify import InotifyLimits
from companion.system.paths import Paths

_WATCHES = 8192
"""Directories that a watcher should be able to follow."""
_INSTANCES, _MORE_INSTANCES = 16, 1024
"""Inotify instances that should be free, and a limit that will do for long."""


def examine(home: Paths) -> Iterator[Finding]:
    """Yield the findings of all checks; a check that fails is a finding, too."""
    yield from installation_checks.examine(home)
    yield from engine_checks.examine(home)
    for name, check in _CHECKS.items():
        yield from guarded(name, partial(check, home))


def _ssh(home: Paths) -> Iterator[Finding]:
    """The SSH client is installed and includes our configuration."""
    if search.find("ssh") is None:
        yield Finding(Level.FAILED, "there is no ssh client", packages.advice("openssh-client"))
    if ssh_include.is_included(home):
        yield Finding(Level.OK, f"{home.user_ssh_config} includes the sandboxes")
    else:
        what = f"{home.user_ssh_config} does not include the sandboxes"
        line = ssh_config.include_line(home)
        hint = f"plain `ssh NAME.sandbox` and editors need `{line}` at its top"
        yield Finding(Level.WARNING, what, hint, partial(ssh_config.include, home))
    for here in editor_settings.found(home):
        problem = editor_settings.ssh_problem(home, here)
        if problem and editor_settings.other_ssh_config(here):
            yield Finding(Level.WARNING, problem.what, problem.hint)


def _path(_: Paths) -> Iterator[Finding]:
    """No directory of PATH is one that an agent may write to."""
    for entry in search.left_out():
        what = f"programs are not looked up in {entry}: it is part of a project, or relative"
        yield Finding(Level.WARNING, what, "take it from PATH; an agent may write there")


def _private(home: Paths) -> Iterator[Finding]:
    """Keys, secrets and state are readable by their owner only; Windows has no modes."""
    if sys.platform == "win32":
        return
    secret = [home.ca_key, *home.all_grants.glob("*.json"),
              *home.all_secrets.glob("*.json"), *(home.ssh / "keys").glob("*"),
              *home.projects.glob("*/*/secrets/*"),
              *home.projects.glob("*/*/sshd/host_key")]  # fmt: skip
    there = [path for path in secret if path.suffix != ".pub" and path.is_file()]
    loose = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in loose:
        repair = partial(path.chmod, files.PRIVATE)
        yield Finding(Level.FAILED, f"others may read {path}", "make it private", repair)
    if there and not loose:
        yield Finding(Level.OK, "only you can read the keys and secrets that Companion keeps")


def _certificates(home: Paths) -> Iterator[Finding]:
    """The sandbox CA and the leaf certificates of the gateways are ours and valid now."""
    signer, now = authority.kept_authority(home), datetime.now(UTC)
    if signer is None:
        return
    if flaw := certificates.authority_flaw(signer, now):
        hint = f"check the clock, then run `companion up` for each project: it is {now:%F %T} UTC"
        yield Finding(Level.FAILED, f"the sandbox CA {flaw}", hint)
        return
    leaves = list(home.projects.glob("*/*/certificates/*.pem"))
    texts = {leaf: files.read_text(leaf) or "" for leaf in leaves}
    flaws = {leaf: certificates.flaw(text, signer, now) for leaf, text in texts.items()}
    for leaf, flaw in flaws.items():
        if flaw:
            what = f"the certificate for {leaf.stem} {flaw}"
            yield Finding(Level.WARNING, what, f"run `companion up` ({leaf.parent.parent.name})")
    if leaves and not any(flaws.values()):
        counted = "1 certificate is" if len(leaves) == 1 else f"{len(leaves)} certificates are"
        yield Finding(Level.OK, f"{counted} current")


def _grants(home: Paths) -> Iterator[Finding]:
    """OAuth grants can be renewed; an expired one is reported with its agent."""
    for project_id, written in store.all_projects(home).items():
        about = f"grants of {written.directory}"
        check = partial(_grants_of, home, project_id, written.directory)
        yield from guarded(Check.GRANTS, check, about)
    yield from guarded(Check.GRANTS, partial(_accounts, home), "account logins")


def _accounts(home: Paths) -> Iterator[Finding]:
    for grant in grant_store.read(home, grant_store.ACCOUNTS).values():
        if grant.renewable:
            yield Finding(Level.OK, f"the login to {grant.provider} can be renewed")
        else:
            yield _ending(grant, "`companion login`")


def _ending(grant: Grant, again: str) -> Finding:
    what = f"the token for {grant.provider} expires at {grants.clock(grant.until)}"
    return Finding(Level.WARNING, f"{what}, and cannot be renewed", f"run {again}")


def _grants_of(home: Paths, project_id: str, directory: str) -> Iterator[Finding]:
    found = grant_store.read(home, project_id).values()
    for grant in found:
        if not grant.renewable:
            yield _ending(grant, f"`companion -C {directory} oauth {grant.provider}`")
    if count := sum(grant.renewable for grant in found):
        counted = "1 grant" if count == 1 else f"{count} grants"
        yield Finding(Level.OK, f"{counted} of MCP servers in {directory} can be renewed")


def _inotify(_: Paths) -> Iterator[Finding]:
    """Linux's limits for watching files are high enough."""
    found = inotify.limits()
    if found is None:
        return
    if found.watches < _WATCHES:
        what = f"the system watches {found.watches} directories at most"
        yield Finding(Level.WARNING, what, f"`sysctl fs.inotify.max_user_watches={_WATCHES}`")
    if found.instances - found.used < _INSTANCES:
        yield shortage(found)


def shortage(found: InotifyLimits) -> Finding:
    """Return what to say if few inotify instances are left: who has them, and what to do."""
    what = f"{found.used} of your {found.instances} inotify instances are in use"
    more = max(2 * found.instances, _MORE_INSTANCES)
    hint = f"`sysctl fs.inotify.max_user_instances={more}`"
    most = found.greediest
    if most is None or not most.contained:
        return Finding(Level.WARNING, what, hint)
    what += f", {found.holders[most]} by {most.name} (process {most.pid}) in a container"
    return Finding(Level.WARNING, what, f"stop that sandbox, or {hint}")


def _projects(home: Paths) -> Iterator[Finding]:
    """Every registered project has its directory, valid files and the state that it should have."""
    for project_id, written in store.all_projects(home).items():
        directory = Path(written.directory)
        for problem in written.problems:
            yield Finding(Level.FAILED, problem.what, problem.hint)
        if written.problem:
            continue
        if directory.is_dir():
            check = partial(_agents, home, directory, project_id)
            yield from guarded(Check.PROJECTS, check, str(directory))
        else:
            hint = f"run `companion remove {directory}`"
            yield Finding(
                Level.WARNING, f"{directory} is gone, but its project is still registered", hint
            )


def _agents(home: Paths, directory: Path, project_id: str) -> Iterator[Finding]:
    for ref in discovery.agent_refs(Project(directory, project_id)):
        yield from guarded(Check.SANDBOX, partial(_judged, home, ref), str(ref.directory))


def _judged(home: Paths, ref: AgentRef) -> Iterator[Finding]:
    seen = status.status_of(home, ref)
    name, condition = f"{seen.agent or '?'} in {ref.directory}", seen.condition
    if seen.problems:
        yield Finding(Level.WARNING, f"{name}: {seen.problems[0].located}", seen.problems[0].hint)
    elif condition.health in {Health.CRASHED, Health.BROKEN}:
        what = f"{name} is {condition}"
        yield Finding(Level.FAILED, what, f"run `companion -C {ref.project.directory} up`")
    else:
        yield Finding(Level.OK, f"{name} is {condition}")
        if condition.health is Health.RUNNING:
            about = str(ref.directory)
            yield from guarded(Check.SANDBOX, partial(_version, home, ref, seen), about)
            yield from guarded(Check.SANDBOX_SSH, partial(_ssh_login, home, ref, seen), about)
            yield from guarded(Check.WAY_OUT, partial(_way_out, home, ref, seen.agent), about)


def _version(home: Paths, ref: AgentRef, seen: status.Status) -> Iterator[Finding]:
    """A running sandbox is as this version defines it: an update may have closed a hole."""
    record = store.read(home.project(ref.project.id).agent(seen.agent))
    if record and record.applied.version != __version__:
        by = record.applied.version or "an earlier version"
        what = f"{seen.agent} in {ref.directory} runs as {by} of Companion started it"
        hint = f"once its agent may stop, run `companion -C {ref.project.directory} up`"
        yield Finding(Level.WARNING, what, hint)


def _ssh_login(home: Paths, ref: AgentRef, seen: status.Status) -> Iterator[Finding]:
    """SSH of a running sandbox answers."""
    record = store.read(home.project(ref.project.id).agent(seen.agent))
    if not seen.ssh_port or not record or not record.engine:
        return
    engine = driver(record.engine, ref.project.id, seen.agent)
    where = f" on port {seen.ssh_port}" if record.engine.shares_files else ""
    connect = readiness.way_in(engine, record.config.login, seen.ssh_port)
    if not readiness.answers_by(connect, readiness.patience(engine)):
        what = f"SSH of {seen.agent} in {ref.directory} does not answer{where}"
        yield Finding(Level.FAILED, what, f"run `companion -C {ref.project.directory} up`")


def _way_out(home: Paths, ref: AgentRef, agent: str) -> Iterator[Finding]:
    """Packets of a gateway leave this machine, if those of the desktop do."""
    way = way_out.of_agent(home, ref.project.id, agent)
    if way and way.is_blocked():
        problem = way.problem()
        yield Finding(Level.FAILED, problem.what, problem.hint, way.repair)


_CHECKS: Mapping[Check, Callable[[Paths], Iterator[Finding]]] = {
    Check.SSH: _ssh,
    Check.PATH: _path,
    Check.PRIVATE_FILES: _private,
    Check.CERTIFICATES: _certificates,
    Check.SECRETS: secret_checks.examine,
    Check.GRANTS: _grants,
    Check.INOTIFY: _inotify,
    Check.KERNEL: kernel_checks.examine,
    Check.PROJECTS: _projects,
    Check.REPOSITORIES: repository_check.examine,
}
