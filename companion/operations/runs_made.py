"""Runs: makes the project of a sandbox for a repository, finds it again, and takes it back."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from companion.config import draft, env_file
from companion.config.devcontainer import DevContainer
from companion.config.draft import Draft, Forge
from companion.config.strict_yaml import Plain
from companion.errors import Code, CompanionError
from companion.keychain import store as keychain
from companion.oauth import grant_store
from companion.operations import dev_container, json_schema, repository, unsaved_work
from companion.operations.repository import Repository
from companion.plugins import clis
from companion.plugins.clis import Cli
from companion.project import discovery, lookup, runs, store
from companion.project.model import Project
from companion.project.runs import Run
from companion.reconcile import user_settings
from companion.render import created
from companion.spec.identity import digest
from companion.system import files, project_paths, trees, worktrees
from companion.system.paths import Paths
from companion.system.worktrees import Worktree

_IGNORED = ".build/\n.env\n"


def of_directory(home: Paths, directory: Path) -> tuple[Run, ...]:
    """Return the runs whose agents work in exactly this directory."""
    found = (run for run in runs.all_of_user(home) if run.directory == str(directory))
    return tuple(run for run in found if files.is_file(_config(home, run.name)))


def on_branch(home: Paths, common: Path, branch: str) -> tuple[Run, ...]:
    """Return the runs that made a worktree of a repository on a branch."""
    wanted = (str(common), branch)
    made = ((run, run.worktree) for run in runs.all_of_user(home))
    found = (run for run, tree in made if tree and (tree.common, tree.branch) == wanted)
    return tuple(run for run in found if files.is_file(_config(home, run.name)))


def worktree_place(top: Path, common: Path, branch: str) -> Path:
    """Return where the worktree of a branch belongs: beside the repository."""
    first = common.parent if common.name == ".git" else top
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", branch).strip("-.") or "branch"
    return first.with_name(first.name + worktrees.BESIDE) / name


def require_out_of_reach(home: Paths, place: Path) -> None:
    """Require that no agent can redirect what is written at a place.

    Raises:
        CompanionError: it lies where an agent may write.
    """
    for tree in map(Path, store.writable(home)):
        if place != tree and place.is_relative_to(tree):
            what = f"no worktree can be made at {place}: an agent may write to {tree}"
            hint = "make one elsewhere with `git worktree add`, and use `companion run` in it"
            raise CompanionError(what, hint, code=Code.FILE_ACCESS)


def free_name(home: Paths, given: str | None, inferred: str, claimed: Mapping[str, str]) -> str:
    """Return the name of a new sandbox.

    Args:
        home: the user's places.
        given: the name that the user chose.
        inferred: what to name it after otherwise.
        claimed: names of sandboxes that are being made, each with its directory.

    Raises:
        CompanionError: the name that the user chose is taken, or is none.
    """
    taken = {**claimed, **{run.name: run.directory for run in runs.all_of_user(home)}}
    if given is None:
        names = _variants(draft.name_of(inferred) or "agent")
        return next(one for one in names if one not in taken and not _is_kept(home, one))
    if draft.name_of(given) != given:
        raise CompanionError(f"'{given}' is not a valid agent name", "use a-z, 0-9 and '-'")
    if given in taken:
        what = f"the name {given} is taken by the sandbox for {taken[given]}"
        raise CompanionError(what, "choose another --name", code=Code.EXISTS)
    if _is_kept(home, given):
        what = f"{_config(home, given)} is left of an earlier sandbox"
        raise CompanionError(what, "remove it, or choose another --name", code=Code.EXISTS)
    return given


def _variants(base: str) -> Iterator[str]:
    yield base
    for number in range(2, 1000):
        yield f"{base[:36]}-{number}"


def credentials(home: Paths, name: str = "") -> Mapping[str, str]:
    """Return the variables that have a value for a sandbox, each with where the value lies."""
    settings = user_settings.read(home)
    shell = (name for name in settings.environment if os.environ.get(name))
    found = dict.fromkeys(shell, "your shell's environment, as settings.yaml allows")
    found |= dict.fromkeys(keychain.held(home), "`companion secret`")
    if grant_store.read(home, grant_store.ACCOUNTS):
        found[clis.ACCOUNT] = "your ChatGPT account"
    own = files.read_text(runs.directory_of(home, name) / project_paths.ENV_NAME) if name else None
    values = env_file.parse(own or "", project_paths.ENV_NAME)
    return found | {n: ".env beside this file" for n, value in values.items() if value}


def make(
    home: Paths,
    found: Repository,
    cli: tuple[Cli, str],
    name: str,
    worktree: Worktree | None,
    *,
    asks: bool,
) -> tuple[Run, DevContainer | None]:
    """Write the project of a sandbox for a repository, and remember the run.

    Args:
        home: the user's places.
        found: the repository; `worktree` is one of it.
        cli: the agent program, and why it is that one.
        name: of the sandbox.
        worktree: where its agent works instead of the repository, if that was made.
        asks: the user is asked to agree. Only then, what its devcontainer.json asks for is taken,
            and its agent may push with a token that the user set.

    Returns:
        The run, and what the devcontainer.json asks for, taken or not.
    """
    directory = worktree.directory if worktree else str(found.top)
    program, why = cli
    composed = Draft(
        name=name,
        runtime=program.runtime,
        chosen=why,
        directory=directory,
        shared=_shared(found, directory),
        presets=draft.presets(found.files, found.remote_hosts),
        login=_login(program, credentials(home, name)),
        committer=repository.committer(),
        forge=_forge(home, found, is_asked=asks),
    )
    workdir = composed.targets[directory].replace(
        "{{ .AGENT_HOME }}", program.plugin.program(None).home
    )
    asked = dev_container.find(Path(directory), workdir)
    if asked and asks:
        composed = replace(composed, container=asked)
    file = _config(home, name)
    content = json_schema.pointed(project_paths.CONFIG_NAME, draft.text(composed).encode())
    run = Run(name, program.runtime, directory, worktree, digest(content.decode()))
    runs.write(home, run)
    try:
        if composed.container and composed.container.commands:
            text = created.render(composed.container.file, workdir, composed.container.commands)
            files.write(file.parent / draft.HOOK, text, files.READABLE)
        files.write(file, content)
        files.write(file.with_name(".gitignore"), _IGNORED)
        json_schema.write(project_of(home, run))
    except BaseException:  # the name is free again
        runs.forget(home, name)
        files.remove(file)
        raise
    return run, asked


def remember(home: Paths, run: Run) -> None:
    """Take the config as it is now for what we wrote: a login added to it."""
    text = files.read_text(_config(home, run.name)) or ""
    runs.write(home, replace(run, written=digest(text)))


def _login(cli: Cli, known: Mapping[str, str]) -> tuple[Mapping[str, Plain], str] | None:
    """Return the feature that logs an agent program in, with a comment, if anything does."""
    login = cli.login(known)
    if login is None:
        return None
    variable = clis.variable_of(login)
    return login.options, f"{variable or 'Its token'} comes from {known[variable]}"


def _forge(home: Paths, found: Repository, *, is_asked: bool) -> Forge | None:
    """Return where a repository is pushed to; the agent may push there with the user's secret."""
    forge = draft.forge(found.remote_hosts)
    held = keychain.held(home).get(forge.variable) if forge else None
    if forge is None or held is None:
        return forge
    return replace(forge, is_allowed=is_asked and forge.host in held.hosts)


def _shared(found: Repository, directory: str) -> dict[str, str]:
    """Return what else is mounted, and how: a worktree needs the repository itself."""
    return {} if found.common.is_relative_to(directory) else {str(found.common): "rw"}


def project_of(home: Paths, run: Run) -> Project:
    """Return the project of a run."""
    return discovery.project(runs.directory_of(home, run.name))


def at(home: Paths, directory: Path) -> Run | None:
    """Return the run of a name, or the one whose agent works in a directory; None: no run.

    Raises:
        CompanionError: it could be one of several.
    """
    name = str(directory)
    if runs.is_name(name) and not files.is_directory(directory) and (run := runs.read(home, name)):
        return run
    if not files.is_directory(files.expanded(directory)):
        return None
    found = lookup.projects_at(home, directory)
    if len(found) > 1:
        names = ", ".join(sorted(project.directory.name for project in found))
        what = f"several sandboxes work in {directory.absolute()}: {names}"
        raise CompanionError(what, "name one of them", code=Code.AGENT_UNKNOWN)
    return runs.of_project(home, found[0])


def take_back(home: Paths, run: Run, *, discard: bool = False) -> bool:
    """Remove the project that we wrote, and the worktree; return False if something of it is kept.

    A config that was edited stays, and the next run in the same directory uses it. Call it once the
    sandbox is gone.

    Raises:
        CompanionError: work would be lost, unless `discard` says so; nothing was removed.
    """
    if run.worktree:
        if not discard:
            unsaved_work.require_nothing_lost(run, run.worktree)
        worktrees.remove(run.worktree)
    return take_back_config(home, run)


def take_back_config(home: Paths, run: Run) -> bool:
    """Remove the project that we wrote, unless it was edited; return False if it is kept."""
    directory = runs.directory_of(home, run.name)
    config = files.read_text(directory / project_paths.CONFIG_NAME)
    is_ours = config is None or digest(config) == run.written
    if is_ours:
        files.remove(directory / project_paths.CONFIG_NAME)
        for name in (project_paths.ENV_EXAMPLE_NAME, ".gitignore", draft.HOOK):
            files.remove(directory / name)
        _remove_empty((directory / draft.HOOK).parent)
        trees.remove(directory / project_paths.BUILD_NAME)
    if is_ours or run.worktree:
        runs.forget(home, run.name)
    if is_ours:
        _remove_empty(directory)
        _remove_empty(home.sandboxes)
    return not files.is_directory(directory)


def _remove_empty(directory: Path) -> None:
    if files.is_directory(directory) and not any(directory.iterdir()):
        directory.rmdir()


def _is_kept(home: Paths, name: str) -> bool:
    """Tell whether a config that the user edited is left of an earlier run."""
    return files.inode(_config(home, name)) is not None


def _config(home: Paths, name: str) -> Path:
    return runs.directory_of(home, name) / project_paths.CONFIG_NAME
