"""Locate: looks up where paths of the desktop lie, by name, inode and device."""

from pathlib import Path

from companion.sandbox.places import DevicePath, Inode, Place
from companion.system import files, mount_table


class Locator:
    """Finds places as they are during one check; remembers the directories that paths share."""

    def __init__(self) -> None:
        self._table = mount_table.read()
        self._real: dict[Path, Path] = {}
        self._inodes: dict[Path, tuple[Inode, ...]] = {}
        self._devices: dict[Path, DevicePath | None] = {}
        self._asked: dict[Path, None] = {}

    @property
    def asked(self) -> tuple[Path, ...]:
        """Every path that was looked up, in order."""
        return tuple(self._asked)

    def place(self, path: Path) -> Place:
        """Return where an absolute path leads, through all links, even if nothing is there."""
        self._asked[path] = None
        return self._at(files.real(path)) if _may_lead_on(path) else self.entry(path)

    def entry(self, path: Path) -> Place:
        """Return where an absolute path itself lies: the link, if it is one."""
        self._asked[path] = None
        if path.parent == path:
            return self._at(path)
        above = self._real.get(path.parent)
        if above is None:
            above = self._real[path.parent] = files.real(path.parent)
        return self._at(above / path.name)

    def _at(self, path: Path) -> Place:
        name = str(path)
        return Place(
            path=name,
            inode=files.inode(path),
            above=() if path.parent == path else self._chain(path.parent),
            device_path=self._device_path(path),
            mounted=self._table.mounted_below(name),
        )

    def _chain(self, directory: Path) -> tuple[Inode, ...]:
        """Return the inodes of a directory and of those above it, as far as they exist."""
        found = self._inodes.get(directory)
        if found is None:
            chain = map(files.inode, (directory, *directory.parents))
            found = self._inodes[directory] = tuple(inode for inode in chain if inode)
        return found

    def _device_path(self, path: Path) -> DevicePath | None:
        if path.parent == path or str(path) in self._table.points:
            return self._table.device_path(str(path))
        above = self._devices.get(path.parent)
        if above is None:
            above = self._table.device_path(str(path.parent))
            self._devices[path.parent] = above
        return (above[0], f"{above[1].rstrip('/')}/{path.name}") if above else None


def _may_lead_on(path: Path) -> bool:
    return ".." in path.parts or files.is_link(path)
