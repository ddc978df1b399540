"""A real keychain on a session bus of its own: gnome-keyring, with the terms of Secret Service."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import secretstorage
from jeepney.io.blocking import open_dbus_connection
from panel import session_bus


@dataclass(frozen=True)
class Keychain:
    """A keychain that is unlocked, as after a login."""

    bus: str

    @property
    def environment(self) -> dict[str, str]:
        return {"DBUS_SESSION_BUS_ADDRESS": self.bus}

    def lock(self) -> None:
        self._collection().lock()

    def put(self, name: str, value: str) -> None:
        """Store a secret as the library keyring does, for its service `companion`."""
        terms = {"service": "companion", "username": name, "application": "Python keyring library"}
        self._collection().create_item(name, terms, value.encode(), replace=True)

    def values(self) -> dict[str, str]:
        """What it holds of ours, as every other program sees it."""
        mine = self._collection().search_items({"service": "companion"})
        return {one.get_attributes()["username"]: one.get_secret().decode() for one in mine}

    def _collection(self) -> secretstorage.Collection:
        connection = open_dbus_connection(self.bus)
        secretstorage.util.add_match_rules(connection)
        return secretstorage.get_default_collection(connection)


@contextmanager
def keychain(place: Path) -> Iterator[Keychain]:
    """Run a keychain; nobody is there to unlock it again once it is locked."""
    home, run = place / "keyrings", place / "run"
    for directory in (home, run):
        directory.mkdir(mode=0o700)
    with session_bus(place) as bus:
        argv = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
        own = {"HOME": str(home), "XDG_RUNTIME_DIR": str(run), "DBUS_SESSION_BUS_ADDRESS": bus}
        with subprocess.Popen(
            argv,
            env={"PATH": os.environ["PATH"], **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as daemon:
            try:
                daemon.stdin.write("a password")
                daemon.stdin.close()
                yield _answering(Keychain(bus))
            finally:
                daemon.terminate()


def _answering(one: Keychain) -> Keychain:
    connection = open_dbus_connection(one.bus)
    for _ in range(400):
        if secretstorage.check_service_availability(connection):
            return one
        time.sleep(0.05)
    raise AssertionError("gnome-keyring did not start")
