"""Copying: files and directories into a sandbox and out of it, as archives through an exec.

Whatever comes out was made by the agent: see system/unpack.py. On the desktop no link is followed
that lies where an agent may write.
"""

import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from companion.engine.client import Engine
from companion.errors import Code, CompanionError
from companion.project import store
from companion.project.record import AgentRecord
from companion.system import children, files, links, pack, unpack
from companion.system.paths import Paths
from companion.system.plain import plain
from companion.system.unpack import RefusedError, Unpacked

_CONTENT = "content"
"""The name of what is copied until it is whole."""
_KEPT_FREE = 512 * 1024 * 1024
"""Bytes of the disk that what comes out may not fill."""
_REST = 1024 * 1024
"""Bytes after the end of an archive: tar fills its last block."""
_NOT_THERE, _IS_DIRECTORY, _NO_PARENT = 3, 4, 5
_AT_HOME = 'case $1 in "~") set -- "$HOME" "$2" ;; "~/"*) set -- "$HOME/${1#"~/"}" "$2" ;; esac'
_RECEIVE = f"""\
set -eu
{_AT_HOME}
target=${{1:-.}}
if [ -d "$target" ]; then target=${{target%/}}/$2; fi
if [ -d "$target" ] && [ ! -L "$target" ]; then exit {_IS_DIRECTORY}; fi
parent=$(dirname -- "$target")
[ -d "$parent" ] || exit {_NO_PARENT}
work=$(mktemp -d -- "$parent/.companion-cp.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
tar -x -f - -C "$work"
mv -fT -- "$work/{_CONTENT}" "$target"
cd -- "$parent"
printf '%s/%s' "$(pwd -P)" "$(basename -- "$target")"
"""
_SEND = f"""\
set -eu
{_AT_HOME}
source=${{1:-.}}
[ -e "$source" ] || exit {_NOT_THERE}
options="-c -f - --format=gnu --hard-dereference"
if [ -d "$source" ]; then exec tar $options -C "$source" .; fi
cd -- "$(dirname -- "$source")"
exec tar $options -h -- "$(basename -- "$source")"
"""


@dataclass(frozen=True, slots=True)
class Inside:
    """A path in a running sandbox, from its workdir on."""

    engine: Engine
    record: AgentRecord
    path: str

    def argv(self, script: str, name: str = "") -> tuple[str, ...]:
        """Return the command line that runs a script there with the path and a name."""
        workdir = ("--workdir", self.record.config.workdir) if self.record.config.workdir else ()
        options = self.engine.agent_arguments(self.record.config.login, "--interactive", *workdir)
        return self.engine.argv(*options, "sh", "-c", script, "companion-cp", self.path, name)


def into(home: Paths, source: Path, inside: Inside) -> str:
    """Copy a file or directory of the desktop into a sandbox, and return its path there.

    Raises:
        CompanionError: it cannot be read, or the sandbox does not take it.
    """
    _require_handles()
    whole = files.expanded(source).absolute()
    _require_own_links(home, whole)
    real = files.real(whole)
    if not (real.is_dir() or real.is_file()):
        what = f"{source} is neither a file nor a directory"
        raise CompanionError(what, "check the path", code=Code.FILE_ACCESS)
    name = real.name if whole.name == ".." else whole.name
    with _opened(real.parent) as parent:
        return _sent(inside, name, lambda out: pack.pack(out, parent, real.name, _CONTENT))


def put(content: bytes, name: str, inside: Inside) -> str:
    """Write a file in a sandbox, and return its path there.

    Raises:
        CompanionError: the sandbox does not take it.
    """
    return _sent(inside, name, lambda stream: pack.pack_bytes(stream, content, _CONTENT))


def out_of(home: Paths, inside: Inside, target: Path) -> tuple[Path, Unpacked]:
    """Copy a file or directory of a sandbox to the desktop; return where it is, and what is there.

    Raises:
        CompanionError: it cannot be written, or something other than a plain tree came out.
    """
    _require_handles()
    name = PurePosixPath(inside.path).name or PurePosixPath(inside.record.config.workdir).name
    is_directory = files.is_directory(files.expanded(target))
    whole = files.expanded(target / name if is_directory else target).absolute()
    _require_own_links(home, whole.parent)
    place = files.real(whole.parent) / whole.name
    if place.is_dir() and not place.is_symlink():
        what = f"{place} exists"
        raise CompanionError(what, "remove it, or choose another name", code=Code.EXISTS)
    with _opened(place.parent) as parent, _temporary(parent) as work:
        done = _received(inside, work, _room(parent))
        try:
            os.rename(_CONTENT, place.name, src_dir_fd=work, dst_dir_fd=parent)
        except OSError as error:
            raise _unwritable(str(place), error) from None
    return place, done


def _sent(inside: Inside, name: str, send: Callable[[IO[bytes]], None]) -> str:
    engine = inside.engine
    with children.piped(inside.argv(_RECEIVE, name), env=engine.environment) as program:
        try:
            send(program.stdin)
            program.stdin.close()
        except BrokenPipeError:  # it says why
            pass
        except OSError as error:
            what = f"cannot read what is to be copied: {error.strerror or error}"
            raise CompanionError(what, "nothing was copied", code=Code.FILE_ACCESS) from None
        said = program.stdout.read(_REST)
        code, complaint = program.ends()
    if code == _IS_DIRECTORY:
        what = f"{inside.path or '.'} is there already, and is a directory"
        raise CompanionError(what, "remove it, or choose another name", code=Code.EXISTS)
    if code == _NO_PARENT:
        raise CompanionError(f"there is no directory for {inside.path}", "create it first")
    if code:
        raise CompanionError(f"{engine.agent} did not take it: {_last_line(complaint)}")
    return plain(said.decode(errors="replace"))


def _received(inside: Inside, work: int, room: int) -> Unpacked:
    """Write what comes out of a sandbox as the content of a directory of ours."""
    engine = inside.engine
    with children.piped(inside.argv(_SEND), env=engine.environment) as program:
        done: Unpacked | None = None
        why = "its archive is incomplete"
        try:
            done = unpack.unpack(program.stdout, work, _CONTENT, room)
            if len(program.stdout.read(_REST)) == _REST:
                raise RefusedError("data follows the end of its archive")
        except (RefusedError, tarfile.TarError) as error:
            why = str(error) if isinstance(error, RefusedError) else why
            if isinstance(error, RefusedError):
                what = f"what came out of {engine.agent} was refused: {why}"
                raise CompanionError(what, "nothing was kept") from None
        except OSError as error:
            raise _unwritable("what came out", error) from None
        code, complaint = program.ends()
    if code == _NOT_THERE:
        what = f"there is no {inside.path} in {engine.agent}"
        raise CompanionError(what, f"relative paths begin in {inside.record.config.workdir}")
    if done is None or code:
        why = _last_line(complaint) or why
        raise CompanionError(f"nothing was copied out of {engine.agent}: {why}")
    return done


def _require_handles() -> None:
    """Require a system on which files are opened in a directory that is held."""
    if os.open not in os.supports_dir_fd:
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


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """Open a directory by its path without links; one that comes up meanwhile is refused."""
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(links.held(directory))
        except (FileNotFoundError, NotADirectoryError):
            raise CompanionError(f"there is no directory {directory}", "create it first") from None
        except OSError as error:
            raise _unwritable(str(directory), error) from None
        yield handle


@contextmanager
def _temporary(parent: int) -> Iterator[int]:
    """Make a directory of ours, which is removed afterwards with what is left in it."""
    name = f".companion-cp.{secrets.token_hex(6)}"
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except OSError as error:
        raise _unwritable("a file there", error) from None
    try:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            yield handle
        finally:
            os.close(handle)
    finally:
        shutil.rmtree(name, ignore_errors=True, dir_fd=parent)


def _room(directory: int) -> int:
    disk = os.fstatvfs(directory)
    return max(0, disk.f_bavail * disk.f_frsize - _KEPT_FREE)


def _unwritable(place: str, error: OSError) -> CompanionError:
    what = f"cannot write {place}: {error.strerror or error}"
    return CompanionError(what, "nothing was kept", code=Code.FILE_ACCESS)


def _last_line(text: str) -> str:
    return plain((text.strip().splitlines() or [""])[-1])
