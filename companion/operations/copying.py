"""Copying: files and directories into a sandbox and out of it, as archives through an exec.

Whatever comes out was made by the agent: see system/unpack.py. On the desktop no link is followed
that lies where an agent may write.
"""

import os
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from companion.engine.driver import Driver
from companion.engine.model import Command
from companion.errors import Code, CompanionError, UsageError
from companion.operations import destination, disarming
from companion.operations.copy_scripts import (
    CONTENT,
    IS_DIRECTORY,
    IS_FILE,
    NO_PARENT,
    NOT_THERE,
    RECEIVE,
    SEND,
)
from companion.operations.disarming import Disarmed
from companion.project import store
from companion.project.record import AgentRecord
from companion.system import children, files, links, merge, pack, unpack
from companion.system.paths import Paths
from companion.system.plain import plain
from companion.system.unpack import RefusedError, Unpacked

_REST = 1024 * 1024
"""Bytes after the end of an archive: tar fills its last block."""


@dataclass(frozen=True, slots=True)
class CopiedOut:
    """Where a copy on the desktop is, what was written, and what git will not obey in it."""

    place: Path
    written: Unpacked
    disarmed: Disarmed


@dataclass(frozen=True, slots=True)
class Inside:
    """A path in a running sandbox, from its workdir on."""

    engine: Driver
    record: AgentRecord
    path: str

    @property
    def name(self) -> str:
        """What a copy is called in a directory; "" if only what lies in it is meant."""
        last = self.path.rstrip("/").rpartition("/")[2]
        if last == "..":
            raise UsageError(f"{self.path} has no name of its own", "name the directory itself")
        if self.path == "~":
            return self.record.config.user
        return "" if last == "." else last or PurePosixPath(self.record.config.workdir).name

    def command(self, script: str, name: str = "", kind: str = "") -> Command:
        """Return the command line that runs a script there with the path, a name and a kind."""
        config = self.record.config
        begin = self.engine.inside(config.login, workdir=config.workdir)
        words = ("sh", "-c", script, "companion-cp", self.path, name, kind)
        return Command((*begin.argv, *words), begin.environment)


def into(home: Paths, source: str, inside: Inside) -> str:
    """Copy a file or directory of the desktop into a sandbox, and return its path there.

    A directory that is there already keeps what else is in it.

    Raises:
        CompanionError: it cannot be read, or the sandbox does not take it.
    """
    _require_handles()
    whole = files.expanded(Path(source)).absolute()
    _require_own_links(home, whole)
    real = files.real(whole)
    if not (real.is_dir() or real.is_file()):
        what = f"{source} is neither a file nor a directory"
        raise CompanionError(what, "check the path", code=Code.FILE_ACCESS)
    name = real.name if whole.name == ".." else whole.name
    if real.is_dir() and _is_content(source):
        name = ""
    kind = "directory" if real.is_dir() else "file"
    with destination.opened(real.parent) as parent:
        return _sent(inside, (name, kind), lambda out: pack.pack(out, parent, real.name, CONTENT))


def put(content: bytes, name: str, inside: Inside) -> str:
    """Write a file in a sandbox, and return its path there.

    Raises:
        CompanionError: the sandbox does not take it.
    """
    return _sent(inside, (name, "file"), lambda out: pack.pack_bytes(out, content, CONTENT))


def out_of(home: Paths, inside: Inside, target: str) -> CopiedOut:
    """Copy a file or directory of a sandbox to the desktop.

    A directory that is there already keeps what else is in it, and its `.git`. What would have git
    run something is renamed.

    Raises:
        CompanionError: it cannot be written, or something other than a plain tree came out.
    """
    _require_handles()
    named_place = files.expanded(Path(target))
    is_directory = files.is_directory(named_place)
    whole = (named_place / inside.name if is_directory else named_place).absolute()
    _require_own_links(home, whole.parent)
    place = files.real(whole.parent) / whole.name
    if place.is_dir() and not place.is_symlink():
        with destination.opened(place) as there, destination.temporary(there) as (name, work):
            done = _received(inside, work, destination.room(there))
            disarmed = _disarmed(done, place / name / CONTENT)
            written = _merged(done, work, there, place)
            return CopiedOut(place, written, disarmed.without(written.left_out))
    with destination.opened(place.parent) as parent, destination.temporary(parent) as (name, work):
        done = _received(inside, work, destination.room(parent))
        disarmed = _disarmed(done, place.parent / name / CONTENT)
        if target.endswith("/") and not done.is_directory:
            raise CompanionError(f"there is no directory {target}", "create it first")
        _require_no_repository(parent, place, done)
        try:
            os.rename(CONTENT, place.name, src_dir_fd=work, dst_dir_fd=parent)
        except OSError as error:
            raise destination.unwritable(str(place), error) from None
    return CopiedOut(place, done, disarmed)


def _require_no_repository(parent: int, place: Path, done: Unpacked) -> None:
    """Check that nothing which git obeys is replaced or completed beside what is there.

    Raises:
        CompanionError: git would take the directory for a repository, or the copy for its `.git`.
    """
    if merge.is_git(place.name) and not done.is_directory:  # git goes where a file `.git` says
        what = f"git would look for the repository of {place.parent} where {place.name} says"
        raise CompanionError(what, "choose another name", code=Code.FILE_ACCESS)
    if merge.is_repository([*os.listdir(parent), place.name]):
        what = f"git would take {place.parent} for a repository, and obey {place.name} in it"
        raise CompanionError(what, "choose another directory or name", code=Code.FILE_ACCESS)


def _disarmed(done: Unpacked, place: Path) -> Disarmed:
    """Rename what would have git run something in what came out, before it gets its name."""
    try:
        disarmed = disarming.disarm(place) if done.is_directory else Disarmed()
    except OSError as error:
        raise destination.unwritable("what came out", error) from None
    except ValueError:  # NUL in a path
        what = "a `.git` that came out names what cannot be a path; nothing was kept"
        raise CompanionError(what, "remove it inside", code=Code.FILE_ACCESS) from None
    if not disarmed.is_whole:
        what = "there is too much to look for all that git would run in it; nothing was kept"
        raise CompanionError(what, "copy a part of it", code=Code.FILE_ACCESS)
    return disarmed


def _is_content(source: str) -> bool:
    """Tell whether a path means what lies in a directory, as it does to `cp` and `docker cp`."""
    return source.rstrip("/").rpartition("/")[2] == "."


def _merged(done: Unpacked, work: int, there: int, place: Path) -> Unpacked:
    """Move what came out into a directory that is there; return what was written."""
    if not done.is_directory:
        what = f"{place} is a directory"
        raise CompanionError(what, "remove it, or choose another name", code=Code.EXISTS)
    try:
        left_out = merge.move(work, CONTENT, there)
    except merge.ClashError as error:
        what = f"cannot write {place / error.path}: {error}"
        raise CompanionError(what, "nothing was kept", code=Code.EXISTS) from None
    except OSError as error:
        what = f"cannot write into {place}: {error.strerror or error}"
        raise CompanionError(what, "part of it was copied", code=Code.FILE_ACCESS) from None
    return replace(done, left_out=[*done.left_out, *left_out])


def _sent(inside: Inside, words: tuple[str, str], send: Callable[[IO[bytes]], None]) -> str:
    """Send an archive of one thing, which gets a name if it lands in a directory, and is a kind."""
    engine, command = inside.engine, inside.command(RECEIVE, *words)
    with children.piped(command.argv, env=command.environment) as program:
        try:
            send(program.stdin)
            program.stdin.close()
        except BrokenPipeError:  # it says why
            pass
        except OSError as error:
            named = f"{error.filename} in " if error.filename else ""
            what = f"cannot read {named}what is to be copied: {error.strerror or error}"
            raise CompanionError(what, "nothing was copied", code=Code.FILE_ACCESS) from None
        said = program.stdout.read(_REST)
        code, complaint = program.ends()
    if code in {IS_DIRECTORY, IS_FILE}:
        kind = "a directory" if code == IS_DIRECTORY else "no directory"
        what = f"{inside.path or '.'}, or {words[0]} in it, is there already, and is {kind}"
        raise CompanionError(what, "remove it, or choose another name", code=Code.EXISTS)
    if code == NO_PARENT:
        raise CompanionError(f"there is no directory for {inside.path}", "create it first")
    if code:
        raise CompanionError(f"{engine.agent} did not take it: {_last_line(complaint)}")
    return plain(said.decode(errors="replace").removesuffix("\n"))


def _received(inside: Inside, work: int, room: int) -> Unpacked:
    """Write what comes out of a sandbox as the content of a directory of ours."""
    engine, command = inside.engine, inside.command(SEND)
    with children.piped(command.argv, env=command.environment) as program:
        done: Unpacked | None = None
        why = "its archive is incomplete"
        try:
            done = unpack.unpack(program.stdout, work, CONTENT, room)
            program.stdin.close()
            if len(program.stdout.read(_REST)) == _REST:
                raise RefusedError("data follows the end of its archive")
        except (RefusedError, tarfile.TarError) as error:
            why = str(error) if isinstance(error, RefusedError) else why
            if isinstance(error, RefusedError):
                what = f"what came out of {engine.agent} was refused: {why}"
                raise CompanionError(what, "nothing was kept") from None
        except OSError as error:
            raise destination.unwritable("what came out", error) from None
        code, complaint = program.ends()
    if code == NOT_THERE:
        what = f"there is no {inside.path} in {engine.agent}"
        raise CompanionError(what, f"relative paths begin in {inside.record.config.workdir}")
    if done is None or code:
        why = _last_line(complaint) or why
        raise CompanionError(f"nothing was copied out of {engine.agent}: {why}")
    return done


def _require_handles() -> None:
    """Require a system on which files are opened in a directory that is held."""
    if sys.platform == "win32":
        raise CompanionError("`companion cp` needs Linux or macOS", "use `scp -r`")


def _require_own_links(home: Paths, path: Path) -> None:
    """Require that every link on a path of the desktop is its user's own.

    Raises:
        CompanionError: one lies where an agent may write.
    """
    writable = tuple(map(Path, store.writable(home)))
    for link in links.on_path(path):
        if any(link.is_relative_to(place) for place in writable):
            what = f"{link} is a symbolic link that an agent may have made"
            raise CompanionError(what, "name what it leads to", code=Code.FILE_ACCESS)


def _last_line(text: str) -> str:
    return plain((text.strip().splitlines() or [""])[-1])
