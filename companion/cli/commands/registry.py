"""Commands about registered projects: add, remove, pause, resume."""

from argparse import Namespace
from pathlib import Path

from companion.cli.output import Result, comment
from companion.cli.targets import project_of
from companion.errors import Code, CompanionError, UsageError
from companion.project import discovery, store
from companion.project.runs import Run
from companion.system import files
from companion.system.paths import Paths
from companion.system.project_paths import ProjectPaths


def add(arguments: Namespace) -> Result:
    """Register a project without starting it."""
    from companion.cli.commands import trust  # noqa: PLC0415 - start-up time is a budget
    from companion.operations import registry  # noqa: PLC0415

    directory = arguments.directory or arguments.directory_option
    home = Paths.of_user()
    trust.offer(home, discovery.project(directory), "Register it", arguments)
    new = registry.add(home, directory)
    text = (
        "registered; start it with `companion up` or in the tray" if new else "already registered"
    )
    return Result(text=text, data={"new": new})


def remove(arguments: Namespace) -> Result:
    """Take the project's sandbox down and forget the project."""
    from companion.operations import registry, runs_made  # noqa: PLC0415 - start-up time is a budget

    home, directory = Paths.of_user(), arguments.directory or arguments.directory_option
    if made := runs_made.at(home, directory):
        return _taken_back(home, made, arguments)
    if arguments.discard:
        raise UsageError("--discard is for a worktree of `companion run`", "leave it out")
    registry.remove(home, directory, comment, volumes=arguments.volumes)
    volumes = "volumes were removed" if arguments.volumes else "volumes remain"
    text = f"removed from the registered projects; its files are unchanged, {volumes}"
    return Result(text=text, data={"directory": str(directory)})


def _taken_back(home: Paths, made: Run, arguments: Namespace) -> Result:
    """Remove the sandbox of a repository, and the worktree that was made for it."""
    from companion.operations import registry, runs_made, unsaved_work  # noqa: PLC0415 - start-up time is a budget

    project = runs_made.project_of(home, made)
    if made.worktree and not arguments.discard:
        unsaved_work.require_no_copy(home, project, made)
        unsaved_work.require_nothing_lost(made, made.worktree)
    if store.is_registered(home.project(project.id).root):
        registry.forget(home, project.id, comment, volumes=arguments.volumes)
    is_gone = runs_made.take_back(home, made, discard=arguments.discard)
    removed = [f"the sandbox {made.name}"]
    if made.worktree:
        removed.append(f"the worktree {made.directory}")
        if made.worktree.makes_branch:
            removed.append(f"its branch {made.worktree.branch}")
    lines = [f"removed {', '.join(removed)}"]
    lines += [] if arguments.volumes else ["volumes remain"]
    lines += [] if is_gone else [f"{project.directory} remains, because it was edited"]
    return Result(text="\n".join(lines), data={"directory": str(project.directory)})


def pause(arguments: Namespace) -> Result:
    """Stop applying saves, of the project or of all."""
    files.write(_pause_file(arguments), "")
    return Result(text="paused", data={"paused": True})


def resume(arguments: Namespace) -> Result:
    """Apply saves again; the watcher checks at once."""
    files.remove(_pause_file(arguments))
    return Result(text="resumed", data={"paused": False})


def _pause_file(arguments: Namespace) -> Path:
    return Paths.of_user().paused if arguments.all else _known(arguments).paused


def _known(arguments: Namespace) -> ProjectPaths:
    home, project = project_of(arguments)
    project_paths = home.project(project.id)
    if not project_paths.state.exists():
        raise CompanionError(
            f"{project.directory} is not registered",
            "run `companion up` there",
            code=Code.NOT_REGISTERED,
        )
    return project_paths
