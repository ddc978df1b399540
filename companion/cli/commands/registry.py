"""Commands about registered projects: add, remove, list, pause, resume."""

from argparse import Namespace
from pathlib import Path

from companion.cli.output import Result, comment, table
from companion.cli.targets import project_of
from companion.errors import Code, CompanionError
from companion.project import discovery, store
from companion.project.record import Written
from companion.system import files
from companion.system.paths import Paths, ProjectPaths


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
    from companion.operations import registry  # noqa: PLC0415 - start-up time is a budget

    directory = arguments.directory or arguments.directory_option
    registry.remove(Paths.of_user(), directory, comment, volumes=arguments.volumes)
    volumes = "volumes were removed" if arguments.volumes else "volumes remain"
    text = f"removed from the registered projects; its files are unchanged, {volumes}"
    return Result(text=text, data={"directory": str(directory)})


def listing(_: Namespace) -> Result:
    """List the registered projects."""
    home = Paths.of_user()
    known = store.all_projects(home)
    rows = [
        (", ".join(w.names), _wanted(w), "paused" if home.project(i).paused.exists() else "",
         w.directory)
        for i, w in known.items()
    ]  # fmt: skip
    names = ("agents", "wanted", "paused", "directory")
    return Result(
        text=table([tuple(n.upper() for n in names), *rows]) if rows else "no registered projects",
        data=[dict(zip(names, row, strict=True)) for row in rows],
        problems=tuple(problem for w in known.values() for problem in w.problems),
    )


def _wanted(written: Written) -> str:
    """Return what the user wants of a project's agents, all of them or each."""
    each = dict.fromkeys(written.broken, "unknown")
    each |= {name: record.wanted for name, record in written.agents.items()}
    wanted = set(each.values())
    if len(wanted) > 1:
        return ", ".join(f"{name} {each[name]}" for name in written.names)
    return wanted.pop() if wanted else "down"


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
