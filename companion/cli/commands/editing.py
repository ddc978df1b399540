"""Commands about editors: editors list/sync/remove, open, and edit."""

import shlex
import sys
from argparse import Namespace

from companion.cli import live
from companion.cli.commands import trust
from companion.cli.commands.lifecycle import offer_include
from companion.cli.output import Result, comment, report, table
from companion.cli.targets import agent_of, project_of
from companion.desktop import editor_settings, ssh_config
from companion.desktop.settings_file import InstalledEditor, Synced
from companion.errors import Code, Problem
from companion.operations import open_editor, started
from companion.project import discovery, inventory, runs
from companion.project.model import AgentRef
from companion.reconcile.validate import check
from companion.system import files, process, programs
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
    home, project, agent = agent_of(arguments)
    here = editor_settings.choose(home, arguments.editor)
    if not arguments.print_only:
        trust.offer(home, project, "Start it", arguments)
        with live.of_one(agent) as progress:
            started.ensure(home, project, agent, progress, even_first=True)
        ssh_config.sync(home)
    remote = open_editor.remote(home, project, agent)
    path = open_editor.folder(remote, arguments.path)
    if arguments.print_only:
        argv = editor_settings.command(here, remote, path)
        url = editor_settings.opening(here.editor).url(remote, path)
        facts = {"command": argv, "url": url}
        return Result(text=shlex.join(argv), data=facts, is_verbatim=True)
    if editor_settings.other_ssh_config(here) is None:
        offer_include(home, yes=arguments.yes)
    _tell(editor_settings.sync(home, here.editor.id))
    argv = editor_settings.open_folder(home, here, remote, path)
    text = f"{here.editor.name} opens {path} of {remote.alias}"
    return Result(text=text, data={"command": argv, "directory": str(project.directory)})


def edit(arguments: Namespace) -> Result:
    """Open an agent.yaml in the user's editor; check it after an editor of the terminal ended."""
    home = Paths.of_user()
    ref = _configured(home, arguments)
    file = ref.config if ref.folder or not ref.project.fleet.exists() else ref.project.fleet
    if not files.is_file(file):
        discovery.config_text(ref)
    argv = programs.text_editor(str(file)) if sys.stdin.isatty() else None
    facts = {"file": str(file)}
    if argv is None:
        process.launch(programs.text_opener(file))
        return Result(text=f"opened {file}", data=facts)
    if code := process.attach(argv):
        return Result(text=f"{argv[0]} ended with {code}", data=facts, code=1)
    for one in (ref,) if ref.folder else discovery.agent_refs(ref.project):
        check(home, one)
    then = f"`companion -C {shlex.quote(str(ref.project.directory))} up` applies it"
    return Result(text=f"{file} is valid; {then}", data=facts)


def _configured(home: Paths, arguments: Namespace) -> AgentRef:
    """Return the agent of a run's name, of this project, or this project itself."""
    name = arguments.agent
    if name and runs.is_name(name) and runs.read(home, name):
        return AgentRef(discovery.project(runs.directory_of(home, name)))
    _, project = project_of(arguments)
    if name and project.fleet.exists():
        return AgentRef(project, name)
    return inventory.find_agent(home, project, name) if name else AgentRef(project)


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
