"""Locate: looks up where paths of the desktop lie, by name, inode and device."""

import os
from pathlib import Path

from companion.sandbox.places import DevicePath, Inode, Place
from companion.system import files, mount_table


class Locator:
    """Finds places as they are during one check; remembers them and the directories they share.

    Works on texts: a check of an agent in a large fleet looks up hundreds of paths.
    """

    def __init__(self) -> None:
        self._table = mount_table.read()
        self._real: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._inodes: dict[str, tuple[Inode, ...]] = {}
        self._devices: dict[str, DevicePath | None] = {}
        self._asked: dict[Path, None] = {}

    @property
    def asked(self) -> tuple[Path, ...]:
        """Every path that was looked up, in order."""
        return tuple(self._asked)

    def place(self, path: Path) -> Place:
        """Return where an absolute path leads, through all links, even if nothing is there."""
        self._asked[path] = None
        if ".." in path.parts or files.is_link(path):
            return self._at(os.path.realpath(path))
        return self._entry(str(path))

    def entry(self, path: Path) -> Place:
        """Return where an absolute path itself lies: the link, if it is one."""
        self._asked[path] = None
        return self._entry(str(path))

    def _entry(self, path: str) -> Place:
        above, name = os.path.split(path)
        if not name:
            return self._at(path)
        real = self._real.get(above)
        if real is None:
            real = self._real[above] = os.path.realpath(above)
        return self._at(os.path.join(real, name))  # noqa: PTH118 - see the class

    def _at(self, path: str) -> Place:
        found = self._places.get(path)
        if found is None:
            above, name = os.path.split(path)
            found = self._places[path] = Place(
                path=path,
                inode=files.inode(path),
                above=self._chain(above) if name else (),
                device_path=self._device_path(path, above, name),
                mounted=self._table.mounted_below(path),
            )
        return found

    def _chain(self, directory: str) -> tuple[Inode, ...]:
        """Return the inodes of a directory and of those above it, as far as they exist."""
        found = self._inodes.get(directory)
        if found is None:
            chain = map(files.inode, (directory, *map(str, Path(directory).parents)))
            found = self._inodes[directory] = tuple(inode for inode in chain if inode)
        return found

    def _device_path(self, path: str, above: str, name: str) -> DevicePath | None:
        if not name or path in self._table.by_point:
            return self._table.device_path(path)
        if above not in self._devices:
            self._devices[above] = self._table.device_path(above)
        found = self._devices[above]
        return (found[0], f"{found[1].rstrip('/')}/{name}") if found else None
