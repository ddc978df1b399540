"""What does the world look like? Reads disk, host and engine; changes nothing."""

import ipaddress
import json
import os
import re
import socket
import stat
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from companion import files, paths, process
from companion.contribution import Contribution, ProjectFile
from companion.desired import Assets
from companion.engine import Engine
from companion.errors import CompanionError
from companion.sandbox import Found, HostFacts, mount_files, project_files
from companion.seats import Seat
from companion.services import File
from companion.settings import Settings
from companion.state import Observed

DEFAULT_UID = 1000
MAX_OVERLAY = 64 * 1024 * 1024
MAX_OVERLAY_FILES = 10_000
_MOST_LINKS = 40  # as Linux


def find(seat: Seat, whole: Contribution) -> dict[ProjectFile, Found]:
    """Look at every path that a config names: what it is, where it really lies, what is in it."""
    found = {file: _find(seat, file, content=True) for file in project_files(whole)}
    return found | {file: _find(seat, file, content=False) for file in mount_files(whole)}


def control_files(seat: Seat) -> tuple[str, ...]:
    """Return what steers an agent by its name, with every link on the way: it may not write there.

    What its config names comes on top.
    """
    own = (seat.config, seat.project.fleet, *seat.env_files, seat.project.build)
    return tuple(dict.fromkeys(p for path in own for p in (str(path), *_way(path))))


def others_of_fleet(seat: Seat, agents: Iterable[str]) -> tuple[str, ...]:
    """Return the directories of an agent's fellows; `agents` are those of the whole fleet."""
    others = (seat.project.directory / name for name in agents if name != seat.folder)
    return tuple(dict.fromkeys(p for path in others for p in (str(path), *_way(path))))


def host(home: paths.Paths, settings: Settings) -> HostFacts:
    """Return what the desktop tells. The CA's text is empty until there is one."""
    own = (home.config, home.data, home.state, home.home / ".ssh")
    return HostFacts(
        uid=os.geteuid() or DEFAULT_UID,
        home=str(home.home.resolve()),
        own_directories=tuple(str(directory.resolve()) for directory in own),
        addresses=tuple(sorted(_public_addresses())),
        ca_certificate=files.read_text(home.ca_certificate) or "",
        images=tuple(sorted(settings.images.items())),
        trusted_certificates=b"".join(
            files.read_bytes(Path(name).expanduser()) for name in settings.trusted_certificates
        ),
    )


def taken_subnets() -> list[str]:
    """Return every subnet that the host has a route to, as CIDR texts."""
    routes = _ip_json("-4", "route", "show", "table", "all")
    return [r["dst"] for r in routes if re.match(r"[0-9.]+(/[0-9]+)?\Z", str(r.get("dst", "")))]


def outward_address() -> str:
    """Return the address that this machine has for others, "" without a network; sends nothing."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))
        return str(out.getsockname()[0])
    return ""


def port_is_free(port: int) -> bool:
    """Tell whether who listens on a loopback port right now is reached there.

    Binding alone does not tell: a forwarding rule that a killed engine left behind leads away.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
            with socket.create_connection(("127.0.0.1", port), timeout=1) as caller:
                listener.settimeout(1)
                reached, address = listener.accept()
                reached.close()
                return bool(address == caller.getsockname())
        except OSError:
            return False


def engine(handle: Engine, images: Collection[str] = ()) -> Observed:
    """Return what the engine holds of its agent, and which of some images, by their tags.

    Raises:
        EngineError: it does not answer; then nothing may be concluded.
    """
    with ThreadPoolExecutor() as asked:  # the engine's client starts slowly: ask all at once
        containers, networks = asked.submit(handle.containers), asked.submit(handle.networks)
        held = asked.submit(handle.held, images)
        return Observed(containers.result(), networks.result(), held.result())


def assets() -> Assets:
    """Return the static files that go into images."""
    root = assets_directory()
    names = ("Dockerfile", "closed.sh", "gateway.sh", "net.sh", "reload.sh", "stage.sh")
    gateway = tuple(File(n, files.read_bytes(root / "gateway" / n)) for n in names)
    return Assets(gateway, files.read_bytes(root / "agent" / "entrypoint.sh"))


def assets_directory() -> Path:
    """Return where our assets lie: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent
    inside = package / "assets"
    return inside if inside.is_dir() else package.parent / "assets"


def _find(seat: Seat, file: ProjectFile, *, content: bool) -> Found:
    whole = seat.project.directory
    named = os.path.expanduser(file.path)  # noqa: PTH111 - Path's refuses users that are not there
    path = (whole if file.is_shared else seat.directory) / named
    real = files.real(path)
    inside = real.is_relative_to(whole) and real not in {whole, seat.directory}
    links = tuple(_links(path))
    status = files.status(real)
    if status is None:
        return Found("missing", str(real), inside, links)
    read = content and inside
    if stat.S_ISDIR(status.st_mode):
        return Found("directory", str(real), inside, links, _whole_tree(real) if read else ())
    single = (File("", files.read_bytes(real)),) if read and stat.S_ISREG(status.st_mode) else ()
    return Found("file", str(real), inside, links, single)


def _way(path: Path) -> tuple[str, ...]:
    """Return where the links lie that lead to a path, and where it really is."""
    return (*_links(path), str(files.real(path)))


def _links(path: Path) -> Iterator[str]:
    """Yield where each symbolic link really lies that an absolute path leads through."""
    place, left = Path(path.anchor), list(reversed(path.parts[1:]))
    followed = 0
    while left and followed < _MOST_LINKS:
        step = place / left.pop()
        try:
            target = step.readlink()
        except OSError:  # it is none, or no path at all
            place = step.parent.parent if step.name == ".." else step
            continue
        yield str(step)
        followed += 1
        place = Path(target.anchor) if target.is_absolute() else place
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _whole_tree(root: Path) -> tuple[File, ...]:
    try:
        return tuple(_tree(root))
    except OSError as error:
        what = f"cannot read all of {root}: {error.strerror}"
        raise CompanionError(what, "check what is in it") from None


def _tree(root: Path) -> Iterator[File]:
    """Yield a directory's files, sorted; symlinks are refused: they could lead anywhere."""
    total = count = 0
    for directory, folders, names in os.walk(root):
        folders.sort()
        count += len(folders) + len(names)
        if count > MAX_OVERLAY_FILES:
            raise CompanionError(f"{root} holds more than 10,000 files", "mount it instead")
        for name in sorted((*names, *folders)):
            path = Path(directory, name)
            if path.is_symlink():
                raise CompanionError(f"{path} is a symbolic link", "copy what it points to")
            if not path.is_file():
                continue
            total += path.stat().st_size
            if total > MAX_OVERLAY:
                raise CompanionError(f"{root} holds more than 64 MiB", "mount it instead")
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            yield File(path.relative_to(root).as_posix(), files.read_bytes(path), mode)


def _public_addresses() -> Iterable[str]:
    """Yield the host's own public IPv4 addresses; private ones are never reachable anyway."""
    for link in _ip_json("-4", "addr"):
        for info in link.get("addr_info", ()):
            if ipaddress.ip_address(info["local"]).is_global:
                yield info["local"]


def _ip_json(*arguments: str) -> list[dict[str, Any]]:
    done = process.run(("ip", "-json", *arguments), timeout=5)
    try:
        return list(json.loads(done.stdout)) if done.code == 0 else []
    except json.JSONDecodeError:
        return []
