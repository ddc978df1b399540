"""Commands about what goes on by itself: watch, list, pause, resume."""

from argparse import Namespace

from companion import files, observe, state_file
from companion.cli.output import Result, comment, table
from companion.daemon.loop import Loop
from companion.errors import CompanionError
from companion.paths import Paths, ProjectPaths


def watch(_: Namespace) -> Result:
    """Keep all known projects current until interrupted."""
    comment("watching; stop with Ctrl-C, sandboxes keep running")
    Loop(Paths.of_user(), comment).run()
    return Result()


def listing(_: Namespace) -> Result:
    """List the known projects."""
    home = Paths.of_user()
    rows = [
        (", ".join(w.agents), w.wanted, "paused" if home.project(i).paused.exists() else "",
         w.directory)
        for i, w in state_file.all_projects(home).items()
    ]  # fmt: skip
    names = ("agents", "wanted", "paused", "directory")
    return Result(
        text=table([tuple(n.upper() for n in names), *rows]) if rows else "no project yet",
        data=[dict(zip(names, row, strict=True)) for row in rows],
    )


def pause(arguments: Namespace) -> Result:
    """Leave the project alone on saves."""
    place = _known(arguments)
    files.write(place.paused, "")
    return Result(text="paused", data={"paused": True})


def resume(arguments: Namespace) -> Result:
    """React to saves again; the watcher looks at once."""
    place = _known(arguments)
    place.paused.unlink(missing_ok=True)
    return Result(text="resumed", data={"paused": False})


def _known(arguments: Namespace) -> ProjectPaths:
    home, project = Paths.of_user(), observe.project(arguments.directory_option)
    place = home.project(project.id)
    if not place.state.exists():
        raise CompanionError(f"{project.directory} is not known yet", "run `companion up` there")
    return place
