"""Commands about editors: editors list/sync/remove, and open."""

import shlex
from argparse import Namespace

from companion import editing, opening, roster, seats
from companion.cli.output import Result, comment, table
from companion.cli.sandbox import offer_include
from companion.editing import Found, Synced
from companion.errors import Problem
from companion.paths import Paths


def editors(arguments: Namespace) -> Result:
    """List the editors that are here, write our entries into their settings, or take them out."""
    home = Paths.of_user()
    if arguments.action == "list":
        return _listed(editing.found(home))
    change = editing.sync if arguments.action == "sync" else editing.remove
    done = change(home, arguments.editor)
    rows = [(s.found.editor.name, s.outcome, str(s.found.settings)) for s in done]
    failed = tuple(Problem(s.problem) for s in done if s.problem)
    nothing = "no editor is here" if arguments.action == "sync" else "there was nothing of ours"
    names = ("editor", "outcome", "settings")
    return Result(
        text=table(rows) if rows else nothing,
        data=[dict(zip(names, row, strict=True)) for row in rows],
        code=1 if failed else 0,
        problems=failed,
    )


def open_in_editor(arguments: Namespace) -> Result:
    """Open the agent's workdir in an editor; a stopped sandbox is started first."""
    home, project = Paths.of_user(), seats.project(arguments.directory_option)
    here = editing.choose(home, arguments.editor)
    if not arguments.print_only:
        opening.start(home, roster.seat_of(home, project, arguments.agent), comment)
    remote = opening.remote(home, project, arguments.agent)
    path = opening.folder(remote, arguments.path)
    if arguments.print_only:
        argv = editing.command(here, remote, path)
        url = editing.opening(here.editor).url(remote, path)
        return Result(text=shlex.join(argv), data={"command": argv, "url": url})
    offer_include(home, yes=arguments.yes)
    _tell(editing.sync(home, here.editor.id))
    argv = editing.open_folder(home, here, remote, path)
    text = f"{here.editor.name} opens {path} of {remote.alias}"
    return Result(text=text, data={"command": argv, "directory": str(project.directory)})


def _listed(here: tuple[Found, ...]) -> Result:
    rows = [(f.editor.id, f.editor.name, _way(f), str(f.settings)) for f in here]
    names = ("id", "name", "command", "settings")
    return Result(
        text=table([tuple(n.upper() for n in names), *rows]) if rows else "no editor is here",
        data=[dict(zip(names, row, strict=True)) for row in rows],
    )


def _way(here: Found) -> str:
    """Say how folders are opened in an editor."""
    return here.command or ("by URL" if here.editor.opening else "-")


def _tell(done: tuple[Synced, ...]) -> None:
    for one in done:
        if one.problem:
            comment(one.problem)
        elif one.outcome == "written":
            comment(f"wrote our entries into {one.found.settings}")
