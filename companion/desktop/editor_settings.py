"""Editor settings: the editors on this desktop, and our entries in their settings."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from companion.desktop import (
    editor_memory,
    made_directories,
    settings_file,
    ssh_config,
    ssh_include,
)
from companion.desktop.editor_memory import Memory, SettingsFile
from companion.desktop.settings_file import InstalledEditor, Synced
from companion.errors import Code, CompanionError, Problem
from companion.project import store
from companion.project.record import AgentRecord
from companion.system import files, locks, platforms, process, programs, search
from companion.system.paths import Paths
from editors import jsonc
from editors.base import Desktop, Editor, Opening, Remote
from editors.catalogue import EDITORS
from editors.jsonc_tree import JsoncError
from editors.owned import Entry


def found(home: Paths) -> tuple[InstalledEditor, ...]:
    """Return the editors that are here, the one used last first."""
    last = editor_memory.read(home).last
    here = [f for f in _look(home) if f.command or f.settings.parent.is_dir()]
    return tuple(sorted(here, key=lambda f: f.editor.id != last))


def openers(home: Paths) -> tuple[InstalledEditor, ...]:
    """Return those that can be told to open a folder."""
    return tuple(f for f in found(home) if f.editor.opening)


def remotes(home: Paths) -> tuple[Remote, ...]:
    """Return every sandbox that takes logins, of all projects."""
    return tuple(
        remote(name, record)
        for written in store.all_projects(home).values()
        for name, record in written.agents.items()
        if record.allocation.ssh_port
    )


def remote(agent: str, record: AgentRecord) -> Remote:
    """Return an agent that takes logins as editors see it."""
    ssh = search.find("ssh") or "ssh"
    return Remote(
        record.allocation.alias, agent, record.config.workdir, record.config.acp_command, ssh
    )


def sync(home: Paths, only: str | None = None) -> tuple[Synced, ...]:
    """Write what each editor that is here (or only one) must know of the sandboxes.

    Some must have been named once.

    Raises:
        CompanionError: the one that is named is not here.
    """
    known, unreadable = remotes(home), tuple(_unreadable(home))
    with locks.exclusive(home.editors.with_suffix(".lock")):
        memory = editor_memory.read(home)
        here = [f for f in found(home) if _is_meant(f, only, memory)]
        if only and not here:
            raise CompanionError(
                f"{only} is not here", "see `companion editors list`", code=Code.EDITOR_MISSING
            )
        named = {f.editor.id for f in here if f.editor.only_if_named}
        editor_memory.write(home, replace(memory, named=tuple(sorted({*memory.named, *named}))))
        return tuple(
            settings_file.write(
                home,
                f,
                (
                    *(entry for remote in known for entry in f.editor.entries(remote)),
                    *_kept(f, unreadable, memory),
                ),
            )
            for f in here
        )


def _unreadable(home: Paths) -> Iterator[Remote]:
    """Yield a stand-in for each sandbox whose record cannot be read; only its names are right."""
    for project_id, written in store.all_projects(home).items():
        for agent in written.broken:
            alias = ssh_config.last_alias(home, home.project(project_id).agent(agent))
            if alias:
                yield Remote(alias, agent, workdir="", acp_command=("unknown",))


def _kept(here: InstalledEditor, unreadable: Collection[Remote], memory: Memory) -> Iterator[Entry]:
    """Yield our entries for sandboxes whose records cannot be read: they stay as they are."""
    paths = {entry.path for remote in unreadable for entry in here.editor.entries(remote)}
    file = memory.files.get(str(here.settings), SettingsFile())
    yield from (entry for entry in file.owned.entries if entry.path in paths)


def _is_meant(here: InstalledEditor, only: str | None, memory: Memory) -> bool:
    if only:
        return here.editor.id == only
    return not here.editor.only_if_named or here.editor.id in memory.named


def remove(home: Paths, only: str | None = None) -> tuple[Synced, ...]:
    """Take everything of ours out of the settings of all editors, or of one."""
    with locks.exclusive(home.editors.with_suffix(".lock")):
        memory = editor_memory.read(home)
        kept = tuple(name for name in memory.named if only not in {None, name})
        editor_memory.write(home, replace(memory, named=kept))
        done = tuple(
            settings_file.write(home, f, ())
            for f in _look(home)
            if str(f.settings) in memory.files and only in {None, f.editor.id}
        )
        done = tuple(s for s in done if s.outcome != "unchanged" or _owned(memory, s))
    made_directories.clear(home)
    return done


def _owned(memory: Memory, one: Synced) -> bool:
    """Tell whether there was something of ours in an editor's settings."""
    file = memory.files[str(one.found.settings)]
    return bool(file.owned.entries or file.intended)


def choose(home: Paths, wanted: str | None) -> InstalledEditor:
    """Return the editor with this id, or the one used last, or the first that is here.

    Raises:
        CompanionError: it is not here, or opens no folders.
    """
    known = {editor.id: editor for editor in EDITORS}
    ids = ", ".join(editor.id for editor in EDITORS if editor.opening)
    if wanted and wanted not in known:
        raise CompanionError(
            f"there is no editor '{wanted}'", f"known: {ids}", code=Code.EDITOR_MISSING
        )
    if wanted:
        opening(known[wanted])
    here = openers(home)
    fits = [f for f in here if wanted in {None, f.editor.id}]
    if fits:
        return fits[0]
    if wanted:
        installed = ", ".join(f.editor.id for f in here) or "none"
        raise CompanionError(
            f"{wanted} is not installed", f"installed: {installed}", code=Code.EDITOR_MISSING
        )
    raise CompanionError(
        "no editor that we know is installed", f"known: {ids}", code=Code.EDITOR_MISSING
    )


def opening(editor: Editor) -> Opening:
    """Return how an editor opens folders.

    Raises:
        CompanionError: it cannot be told to.
    """
    if editor.opening is None:
        what = f"{editor.name} cannot be told to open a folder over SSH"
        raise CompanionError(
            what, f"after `companion editors sync {editor.id}` the agent is in its chat"
        )
    return editor.opening


def command(here: InstalledEditor, remote: Remote, path: str) -> tuple[str, ...]:
    """Return the argv that opens a folder of a sandbox, through the desktop if need be."""
    how = opening(here.editor)
    if here.command:
        return (here.command, *how.arguments(remote, path))
    return programs.opener(how.url(remote, path))


def ssh_problem(home: Paths, here: InstalledEditor) -> Problem | None:
    """Return why an editor's ssh would not find the sandboxes, None if it would."""
    other = other_ssh_config(here)
    if ssh_include.is_included(home, other):
        return None
    line = f"put `{ssh_config.include_line(home)}` at its top"
    if other is None:
        what = f"{here.editor.name} reads {home.user_ssh_config}, which does not name the sandboxes"
        return Problem(what, f"{line}, or use --yes", code=Code.FILE_ACCESS)
    what = f"{here.editor.name} reads {other}, which does not name the sandboxes"
    named = f"{here.settings}: {' or '.join(here.editor.ssh_config_keys)}"
    return Problem(f"{what} ({named})", line, code=Code.FILE_ACCESS)


def other_ssh_config(here: InstalledEditor) -> Path | None:
    """Return the SSH config that an editor's settings name; None: it reads ~/.ssh/config."""
    with suppress(CompanionError, JsoncError):
        text = files.read_text(here.settings) if here.editor.ssh_config_keys else None
        found = (jsonc.get(text or "", (key,)) for key in here.editor.ssh_config_keys)
        named = (value for values in found for value in values if isinstance(value, str) and value)
        return next((files.expanded(Path(value)) for value in named), None)
    return None


def open_folder(home: Paths, here: InstalledEditor, remote: Remote, path: str) -> tuple[str, ...]:
    """Open a folder of a running sandbox in an editor; return the argv that did it.

    Raises:
        CompanionError: the editor's ssh would not find the sandbox, or it did not start.
    """
    if problem := ssh_problem(home, here):
        raise CompanionError(problem.what, problem.hint, code=problem.code)
    argv = command(here, remote, path)
    process.launch(argv)
    with locks.exclusive(home.editors.with_suffix(".lock")):
        editor_memory.write(home, replace(editor_memory.read(home), last=here.editor.id))
    return argv


def _look(home: Paths) -> Iterator[InstalledEditor]:
    place = Desktop(platforms.HERE, home.home.as_posix(), home.programs.as_posix())
    for editor in EDITORS:
        commands = editor.opening.commands if editor.opening else ()
        program = next(filter(None, map(search.find, commands)), None)
        yield InstalledEditor(editor, Path(editor.settings(place)), program)
