"""A desktop's side of the tray, in pure Python: watcher, host and notification server on a bus."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from dbus_fast import Message, MessageType, PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from companion.tray.icon import MOMENT

Names = Annotated[list[str], DBusSignature("as")]
Hints = Annotated[dict[str, Variant], DBusSignature("a{sv}")]
# No service activation: a notification daemon of the machine must not answer instead of ours.
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


@contextmanager
def session_bus(place: Path) -> Iterator[str]:
    """Run a session bus of our own; yields its address."""
    config = place / "bus.conf"
    config.write_text(CONFIG)
    argv = ["dbus-daemon", "--nofork", "--print-address=1", f"--config-file={config}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as daemon:
        try:
            yield daemon.stdout.readline().strip()
        finally:
            daemon.terminate()


@dataclass
class Row:
    """One row of a menu as the panel sees it."""

    id: int
    text: str
    enabled: bool
    checked: bool | None
    rows: list["Row"] = field(default_factory=list)


@dataclass
class Note:
    """A notification that is on the screen."""

    id: int
    title: str
    text: str
    actions: list[str]
    at: float = field(default_factory=time.monotonic)
    """When it was shown."""


class Panel:
    """A panel with a tray and a notification server; every call waits for its answer."""

    def __init__(self, address: str, *, tray: bool = True) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._watcher, self._notes = _Watcher(), _Notes()
        self._do(self._connect(address, tray))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._bus.disconnect)
        time.sleep(0.05)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def show_up(self) -> None:
        """Begin to have a tray."""
        self._do(self._bus.request_name("org.kde.StatusNotifierWatcher"))

    @property
    def notes(self) -> list[Note]:
        return list(self._notes.shown.values())

    @property
    def said(self) -> str:
        """All that was ever shown."""
        return self._notes.said

    def wait_for_icon(self, seconds: float = 60) -> None:
        until(lambda: self._watcher.items, seconds)

    def properties(self) -> dict[str, Any]:
        """Return the icon's title, status, pixels and so on."""
        path, interface = "/StatusNotifierItem", "org.freedesktop.DBus.Properties"
        return self._call(path, interface, "GetAll", "s", "org.kde.StatusNotifierItem")[0]

    def rows(self) -> list[Row]:
        menu = "com.canonical.dbusmenu"
        self._menu = self.properties()["Menu"]
        self._call(self._menu, menu, "AboutToShow", "i", 0)
        return _row(self._call(self._menu, menu, "GetLayout", "iias", 0, -1, [])[1]).rows

    def find(self, path: str) -> Row:
        rows, found = self.rows(), None
        for text in path.split("/"):
            found = next((r for r in rows if text in {r.text, name_of(r.text)}), None)
            assert found, f"no row {text!r} among {[r.text for r in rows]}"
            rows = found.rows
        return found

    def click(self, path: str) -> None:
        self.press(self.find(path))

    def press(self, row: Row) -> None:
        """Click on a row of the menu that was read last."""
        event = (row.id, "clicked", Variant("i", 0), 0)
        self._call(self._menu, "com.canonical.dbusmenu", "Event", "isvu", *event)

    def left_click(self) -> None:
        item = "org.kde.StatusNotifierItem"
        self._call("/StatusNotifierItem", item, "Activate", "ii", 0, 0)

    def click_note(self, note: Note, key: str = "default") -> None:
        self._loop.call_soon_threadsafe(self._notes.ActionInvoked, note.id, key)

    def answer(self, note: Note, key: str) -> None:
        """Click on a note once the user can have read it."""
        until(lambda: time.monotonic() > note.at + MOMENT)
        self.click_note(note, key)

    def wait_for_note(self, title: str, seconds: float = 60) -> Note:
        def found() -> list[Note]:
            return [note for note in self.notes if title in note.title]

        until(found, seconds)
        return found()[-1]

    def _call(self, path: str, interface: str, member: str, signature: str, *body: Any) -> Any:
        message = Message(
            destination=self._watcher.items[-1],
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        reply = self._do(self._bus.call(message))
        assert reply.message_type is not MessageType.ERROR, reply.body
        return plain(reply.body)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _connect(self, address: str, tray: bool) -> None:
        self._bus = await MessageBus(bus_address=address).connect()
        self._bus.export("/StatusNotifierWatcher", self._watcher)
        self._bus.export("/org/freedesktop/Notifications", self._notes)
        if tray:
            await self._bus.request_name("org.kde.StatusNotifierWatcher")
        await self._bus.request_name("org.freedesktop.Notifications")


class _Watcher(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.kde.StatusNotifierWatcher")
        self.items: list[str] = []

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: DBusStr) -> None:
        self.items.append(service)

    @dbus_property(access=PropertyAccess.READ)
    def IsStatusNotifierHostRegistered(self) -> DBusBool:
        return True


class _Notes(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")
        self.shown: dict[int, Note] = {}
        self.said = ""

    @dbus_method()
    def Notify(
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        summary: DBusStr,
        body: DBusStr,
        actions: Names,
        hints: Hints,
        timeout: DBusInt32,
    ) -> DBusUInt32:
        self.said += f"{summary}\n{body}\n"
        number = replaces or len(self.shown) + 1
        self.shown.pop(number, None)
        self.shown[number] = Note(number, summary, body, actions)
        return number

    @dbus_method()
    def GetCapabilities(self) -> Names:
        return ["body", "actions", "body-markup"]

    @dbus_signal()
    def ActionInvoked(self, number, key) -> Annotated[list[Any], DBusSignature("us")]:
        return [number, key]


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def plain(value: Any) -> Any:
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def name_of(text: str) -> str:
    """Return the name of a sandbox that a row is about."""
    return text[2:].partition(" \N{EN DASH} ")[0]


def _row(node: Any) -> Row:
    number, properties, children = node
    text = properties.get("label", "-").replace("__", "_")
    checked = bool(properties["toggle-state"]) if "toggle-type" in properties else None
    return Row(number, text, properties.get("enabled", True), checked, [_row(c) for c in children])
