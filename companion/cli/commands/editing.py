"""Commands about editors: editors list/sync/remove, and open."""

import shlex
from argparse import Namespace

from companion.cli.commands import trust
from companion.cli.commands.lifecycle import offer_include
from companion.cli.output import Result, comment, report, table
from companion.desktop import editor_settings
from companion.desktop.editor_settings import InstalledEditor, Synced
from companion.errors import Code, Problem
from companion.operations import open_editor
from companion.project import discovery, inventory
from companion.system.paths import Paths


def editors(arguments: Namespace) -> Result:
    """List installed editors, or write or remove our entries in their settings."""
    home = Paths.of_user()
    if arguments.action == "list":
        return _listed(editor_settings.found(home))
    change = editor_settings.sync if arguments.action == "sync" else editor_settings.remove
    done = change(home, arguments.editor)
    rows = [(s.found.editor.name, s.outcome, str(s.found.settings)) for s in done]
    failed = tuple(Problem(s.problem, code=Code.FILE_ACCESS) for s in done if s.problem)
    nothing = (
        "no supported editor found"
        if arguments.action == "sync"
        else "no entries of ours to remove"
    )
    names = ("editor", "outcome", "settings")
    return Result(
        text=table(rows) if rows else nothing,
        data=[dict(zip(names, row, strict=True)) for row in rows],
        code=1 if failed else 0,
        problems=failed,
    )


def open_in_editor(arguments: Namespace) -> Result:
    """Open the agent's workdir in an editor; a stopped sandbox is started first."""
    home, project = Paths.of_user(), discovery.project(arguments.directory_option)
    here = editor_settings.choose(home, arguments.editor)
    if not arguments.print_only:
        trust.offer(home, project, "Start it", arguments)
        open_editor.start(home, inventory.find_agent(home, project, arguments.agent), comment)
    remote = open_editor.remote(home, project, arguments.agent)
    path = open_editor.folder(remote, arguments.path)
    if arguments.print_only:
        argv = editor_settings.command(here, remote, path)
        url = editor_settings.opening(here.editor).url(remote, path)
        return Result(text=shlex.join(argv), data={"command": argv, "url": url})
    if editor_settings.other_ssh_config(here) is None:
        offer_include(home, yes=arguments.yes)
    _tell(editor_settings.sync(home, here.editor.id))
    argv = editor_settings.open_folder(home, here, remote, path)
    text = f"{here.editor.name} opens {path} of {remote.alias}"
    return Result(text=text, data={"command": argv, "directory": str(project.directory)})


def _listed(here: tuple[InstalledEditor, ...]) -> Result:
    rows = [(f.editor.id, f.editor.name, _way(f), str(f.settings)) for f in here]
    names = ("id", "name", "command", "settings")
    return Result(
        text=table([tuple(n.upper() for n in names), *rows])
        if rows
        else "no supported editor found",
        data=[dict(zip(names, row, strict=True)) for row in rows],
    )


def _way(here: InstalledEditor) -> str:
    """Say how folders are opened in an editor."""
    return here.command or ("by URL" if here.editor.opening else "-")


def _tell(done: tuple[Synced, ...]) -> None:
    for one in done:
        if one.problem:
            report([Problem(one.problem, code=Code.FILE_ACCESS)], label="warning")
        elif one.outcome == "written":
            comment(f"updated {one.found.settings}")
