"""The command `run`: from a repository to an agent at work in a terminal."""

import shlex
import sys
import textwrap
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from companion.cli import live
from companion.cli.commands import edits, missing_login, trust
from companion.cli.output import Result, ask, comment
from companion.config import decode
from companion.config.devcontainer import DevContainer
from companion.desktop import ssh_config
from companion.errors import Code, CompanionError, ConfigError, UsageError, named
from companion.operations import repository, repository_check, runs_made, started, unfinished_runs
from companion.operations.repository import Repository
from companion.operations.session import LOST, TAKEN, Session
from companion.operations.unfinished_runs import Note
from companion.plugins import clis
from companion.plugins.clis import CLIS, WORDS, Cli
from companion.project import discovery, inventory
from companion.project.model import AgentRef, Project
from companion.project.record import AgentRecord
from companion.project.runs import Run
from companion.reconcile import elsewhere
from companion.reconcile import run as reconciling
from companion.reconcile import trust as judging
from companion.reconcile.comparison import Restarts
from companion.system import files, project_paths, worktrees
from companion.system.paths import Paths
from companion.system.worktrees import Worktree

_WIDTH = 80
_NAMED = 4
"""Files with secrets."""


def run(arguments: Namespace) -> Result:
    """Make a sandbox for a repository, or find it; start it, and attach a terminal."""
    home = Paths.of_user()
    cli, directory = _words(arguments)
    if arguments.on:
        elsewhere.require_place(home, arguments.on)
    found = repository.find(directory)
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.as_json
    with unfinished_runs.one_at_a_time(home, found.common, _waiting(found)):
        known = _known(home, found, cli, arguments)
        made = known or _new(home, found, cli, arguments, asks=has_terminal and not arguments.yes)
    project = runs_made.project_of(home, made)
    ref = AgentRef(project)
    name = inventory.agent_name(home, ref)
    if known and started.is_running(home, project, name):
        edits.apply(home, ref, arguments, asks=has_terminal and not arguments.yes)
    else:
        if known:
            trust.offer(home, project, "Start it", arguments)
        missing_login.offer(home, made, asks=has_terminal and not arguments.yes)
    record = _start(home, ref, name, arguments.on, raw=arguments.verbose)
    program = _program(made, ref, arguments.rest)
    session = Session(record, program, missing_login.words(home, made))
    again = _again(home, made, is_short=has_terminal)
    facts = _facts(made, record, project)
    if has_terminal:
        comment(f"Ctrl-B D leaves the agent at work; `{again}` comes back to it")
        code = session.attach(home, is_new=bool(arguments.rest))
        if code == TAKEN:
            raise _taken(name, program, again)
        if code == LOST:
            comment(
                f"the connection ended; the agent keeps working, and `{again}` comes back to it"
            )
        for danger in repository_check.at_a_glance(home, project, name):
            comment(f"before you run git, look at this: {danger}")
        return Result(data=facts, code=code)
    if arguments.rest and not session.begin(home):
        raise _taken(name, program, again)
    text = f"{made.name} is running: {made.runtime} in {made.directory}\nto attach, run `{again}`"
    return Result(text=text, data=facts)


def _waiting(found: Repository) -> Callable[[], None]:
    return lambda: comment(f"waiting for another `companion run` in {_main(found)}")


def _again(home: Paths, made: Run, *, is_short: bool) -> str:
    """Return the command that comes back to a run; a short one does so from where the user is."""
    words = ["companion", "run"]
    if len(runs_made.of_directory(home, Path(made.directory))) > 1:
        words += ["--name", made.name]
    if is_short and Path.cwd().is_relative_to(made.directory):
        return shlex.join(words)
    tree = made.worktree
    if is_short and tree and Path.cwd().is_relative_to(Path(tree.common).parent):
        return shlex.join((*words, "--branch", tree.branch))
    return shlex.join((*words, made.directory))


def _words(arguments: Namespace) -> tuple[Cli | None, Path]:
    """Return the agent program and the directory that are named; either may be left out."""
    words = list(arguments.words)
    cli = clis.by_word(words[0]) if words else None
    if cli:
        words.pop(0)
    if len(words) > 1:
        raise UsageError(f"'{words[0]}' is no agent program", f"choose one of {WORDS}")
    if words and not cli and "/" not in words[0] and not files.is_directory(Path(words[0])):
        what = f"{named(words[0])} is neither an agent program nor a directory"
        raise UsageError(what, decode.suggest(words[0], (one.word for one in CLIS)))
    return cli, Path(words[0]) if words else arguments.directory_option


def _known(home: Paths, found: Repository, cli: Cli | None, arguments: Namespace) -> Run | None:
    """Return the run that a command line means, if there is one.

    Raises:
        CompanionError: it could be one of several.
    """
    runs = runs_made.of_directory(home, found.top)
    if arguments.branch:
        runs = runs_made.on_branch(home, found.common, arguments.branch)
    if cli:
        runs = tuple(one for one in runs if one.runtime == cli.runtime)
    if arguments.name:
        runs = tuple(one for one in runs if one.name == arguments.name)
    if len(runs) > 1:
        names = ", ".join(one.name for one in runs)
        what = f"several sandboxes work in {found.top}: {names}"
        raise CompanionError(what, "name one with --name", code=Code.AGENT_UNKNOWN)
    return runs[0] if runs else None


def _new(
    home: Paths, found: Repository, cli: Cli | None, arguments: Namespace, *, asks: bool
) -> Run:
    """Make a sandbox's project, show what it opens, and record that the user agrees."""
    chosen, why = _chosen(home, cli, can_ask=asks)
    inferred = f"{_main(found).name}-{arguments.branch}" if arguments.branch else found.top.name
    if not arguments.branch and runs_made.of_directory(home, found.top):
        inferred = f"{found.top.name}-{chosen.word}"
    with unfinished_runs.noted(home, found, arguments.name, inferred) as note:
        return _noted(home, found, (chosen, why), arguments.branch, note, asks=asks)


def _noted(
    home: Paths,
    found: Repository,
    cli: tuple[Cli, str],
    branch: str | None,
    note: Note,
    *,
    asks: bool,
) -> Run:
    worktree = _worktree(home, found, branch, note) if branch else None
    made: Run | None = None
    try:
        made, container = runs_made.make(home, found, cli, note.name, worktree, asks=asks)
        reviewed = judging.review(home, runs_made.project_of(home, made))
        told = (*_container(container, is_taken=asks), *_seen(made, found))
        for line in (*told, *reviewed.lines(located=False)[1:]):
            comment(line)
        if asks and ask("Start it? [Y/n] ", at_the_end="n").lower() not in {"", "y", "yes"}:
            raise CompanionError("nothing was started", code=Code.CONFIRMATION_REQUIRED)
        judging.agree(home, reviewed)
    except BaseException as error:
        if made:
            runs_made.take_back(home, made, discard=True)
        elif worktree:
            worktrees.remove(worktree)
        if isinstance(error, ConfigError):
            raise _cannot_work(found, error) from None
        raise
    return made


def _chosen(home: Paths, cli: Cli | None, *, can_ask: bool) -> tuple[Cli, str]:
    """Return the agent program, and why it is that one."""
    if cli:
        return cli, "as you named it"
    found = clis.with_login(runs_made.credentials(home))
    if len(found) == 1:
        return found[0], "the only one with a credential"
    if can_ask:
        answer = ask(f"Which agent? ({WORDS}) ")
        if chosen := clis.by_word(answer):
            return chosen, "as you chose"
    what = "several agent programs have a credential" if found else "no agent program is named"
    raise UsageError(what, f"name one: companion run {CLIS[0].word}; known: {WORDS}")


def _worktree(home: Paths, found: Repository, branch: str, note: Note) -> Worktree:
    place = runs_made.worktree_place(found.top, found.common, branch)
    runs_made.require_out_of_reach(home, place)
    made = worktrees.add(found.top, found.common, branch, place, note.about)
    note.about(made, is_written=True)
    how = "new branch" if made.makes_branch else "existing branch"
    comment(f"made the worktree {place} on the {how} {branch}")
    return made


def _main(found: Repository) -> Path:
    return found.common.parent if found.common.name == ".git" else found.top


def _seen(made: Run, found: Repository) -> tuple[str, ...]:
    """Return what the agent sees of the repository."""
    lines = [f"{made.runtime} will work in {made.directory}"]
    if made.worktree:
        lines.append(f"and share {found.common} with the other worktrees.")
    elif found.secrets:
        names, more = found.secrets[:_NAMED], len(found.secrets) - _NAMED
        others = f" and {more} more" if more > 0 else ""
        lines.append(f"and see what git ignores there, too: {', '.join(names)}{others}.")
    return (*lines, f"The sandbox {made.name} (! reaches far)")


def _container(container: DevContainer | None, *, is_taken: bool) -> Iterator[str]:
    """Yield what becomes of a devcontainer.json, which the repository's author wrote."""
    if container is None:
        return
    if not is_taken:
        yield f"{container.file} is left out: what it asks for needs a yes on a terminal"
        return
    for title, notes in (("taken over", container.taken), ("not taken over", container.left)):
        if notes:
            yield f"{title} from {container.file}:"
        for note in notes:
            text = f"{note.key} (line {note.place.line}): {note.what}"
            yield from textwrap.wrap(
                text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
            )


def _cannot_work(found: Repository, error: ConfigError) -> CompanionError:
    """Return why no agent can work in a repository, in words that do not name a file of ours."""
    first = error.problems[0]
    place = first.place
    if place and Path(place.file).name != project_paths.CONFIG_NAME:  # the user's settings
        return error
    about_mounts = first.what.startswith("the mount ")
    hint = "move it into a directory of its own below your home" if about_mounts else first.hint
    return CompanionError(f"no agent can work in {found.top}: {first.what}", hint, code=first.code)


def _program(made: Run, ref: AgentRef, arguments: list[str]) -> tuple[str, ...]:
    """Return the command line of the agent program, in its sandbox."""
    name, command = made.runtime, tuple[str, ...]()
    with suppress(CompanionError):  # the sandbox runs, whatever was saved since
        runtime = decode.agent(discovery.config_text(ref))[0].runtime
        name, command = runtime.name or "", tuple(runtime.cmd)
    cli = clis.by_word(name)
    return (*((cli.word,) if cli else command), *arguments)


def _taken(name: str, program: tuple[str, ...], again: str) -> CompanionError:
    """Return why arguments are not used: the session that is there may be at work."""
    what = f"{name} has a terminal already, so `{shlex.join(program)}` was not started"
    beside = shlex.join(("companion", "exec", name, "--", *program))
    hint = f"`{again}` leads to that terminal; to run this beside it: `{beside}`"
    return CompanionError(what, hint, code=Code.ALREADY_RUNNING)


def _facts(made: Run, record: AgentRecord, project: Project) -> dict[str, object]:
    return {
        "agent": made.name,
        "runtime": made.runtime,
        "alias": record.allocation.alias,
        "directory": made.directory,
        "branch": made.worktree.branch if made.worktree else None,
        "project": str(project.directory),
    }


def _start(home: Paths, ref: AgentRef, name: str, on: str | None, *, raw: bool) -> AgentRecord:
    """Start the sandbox unless it runs, or move it to another engine; return its record.

    Raises:
        CompanionError: it does not start, or no terminal can be attached to it.
    """
    with live.of_one(name, raw=raw) as progress:
        if on:
            report = reconciling.reconcile_on(home, ref, progress, on, Restarts.EDITED)
            started.tell_waiting(report, progress)
        record = started.ensure(home, ref.project, name, progress, even_first=True)
    ssh_config.sync(home)
    if not record.allocation.ssh_port:
        what = f"{name} accepts no SSH logins, so no terminal can be attached"
        raise CompanionError(what, "add the ssh plugin to agent.yaml", code=Code.NO_LOGINS)
    return record
