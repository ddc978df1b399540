"""Settings file: our entries in the settings of one editor, beside the user's own."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from companion.desktop import editor_memory, made_directories
from companion.desktop.editor_memory import SettingsFile
from companion.errors import CompanionError
from companion.system import files, user_files
from companion.system.paths import Paths
from editors.base import Editor
from editors.jsonc_tree import JsoncError
from editors.owned import Entry, Owned, merge, reclaimed, remembered, settle

Outcome = Literal["written", "unchanged", "failed"]


@dataclass(frozen=True, slots=True)
class InstalledEditor:
    """An editor that is on this desktop; what opens folders without a command does so by URL."""

    editor: Editor
    settings: Path
    command: str | None


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one editor's settings; `problem` says why nothing was written."""

    found: InstalledEditor
    outcome: Outcome
    problem: str = ""


def write(home: Paths, here: InstalledEditor, wanted: tuple[Entry, ...]) -> Synced:
    """Make an editor's settings hold exactly these entries of ours."""
    try:
        return user_files.changing(here.settings, partial(_merge, home, here, wanted))
    except JsoncError as error:
        return Synced(here, "failed", _snippet(here, error, wanted))
    except CompanionError as error:
        return Synced(here, "failed", str(error))


def _merge(home: Paths, here: InstalledEditor, wanted: tuple[Entry, ...]) -> Synced:
    """Make a settings file hold exactly the wanted entries of ours; remember them first."""
    memory = editor_memory.read(home)
    name = str(here.settings)
    before = memory.files.get(name, SettingsFile())
    others = {n: f for n, f in memory.files.items() if n != name}
    text = _text(here)
    before = _settled(before, text or "")
    new, owned = merge(text or "", wanted, before.owned)
    former = remembered(before.former, before.owned, owned)
    made = before.made if text is not None else bool(new)
    if new != (text or ""):
        intent = replace(before, intended=owned, intended_made=made, former=former)
        editor_memory.write(home, replace(memory, files={**others, name: intent}))
        made_directories.note(home, here.settings)
    if made and not new:
        files.remove(files.real(here.settings))
    elif wanted and new != (text or ""):
        user_files.write(here.settings, new, text, backup=not made)
    elif text is not None and not wanted:
        user_files.restore(here.settings, new, text)
    after = SettingsFile(owned, made and bool(new), former=former)
    editor_memory.write(home, replace(memory, files={**others, name: after}))
    return Synced(here, "written" if new != (text or "") else "unchanged")


def _text(here: InstalledEditor) -> str | None:
    """Return the text of an editor's settings, None if there are none.

    Raises:
        CompanionError: it cannot be read or is not UTF-8.
    """
    text = user_files.read(here.settings)
    if text and not text.isascii():
        files.read_text(here.settings)
    return text


def _settled(file: SettingsFile, text: str) -> SettingsFile:
    """Return what is ours in a file after a write that may have been killed."""
    if file.intended is not None:
        happened, owned = settle(text, file.owned, file.intended)
        made = file.intended_made if happened else file.made
        file = SettingsFile(owned, made, former=file.former)
    return replace(file, owned=reclaimed(text, file.owned, file.former))


def _snippet(here: InstalledEditor, error: JsoncError, wanted: tuple[Entry, ...]) -> str:
    """Say where the file is broken, and what to paste once it is repaired."""
    paste, _ = merge("", wanted, Owned())
    where = f"{here.settings}:{error.line}:{error.column}: {error.what}"
    return f"{where}, correct it and run this again" + (f", or add:\n{paste}" if wanted else "")
