"""A pystray backend for Linux desktops: over D-Bus, without GTK and X11.

It shows item.py's icon and dbusmenu.py's menu, and speaks org.freedesktop.Notifications. It extends
pystray's private base class: pystray is pinned, and tests/desktop holds the contract.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from dbus_fast import BusType, Message, MessageType, NameFlag
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError
from pystray import MenuItem, _base

from companion.system import plain
from companion.tray.linux import icon_file
from companion.tray.linux.dbusmenu import MenuInterface
from companion.tray.linux.icon_file import Pixmap
from companion.tray.linux.item import MENU_PATH, ItemInterface

ITEM_PATH = "/StatusNotifierItem"
Actions = Sequence[tuple[str, Callable[[], None]]]
"""Labels and what they do."""
PATIENCE = 10.0
"""Seconds that a panel may take to appear before we say that there is none."""
_SEND_TIMEOUT = 2.0
"""Seconds to wait at the end for notifications that are being sent."""
_WATCHER, _WATCHER_PATH = "org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher"
_NOTES, _NOTES_PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
_BUS, _BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"


def has_session() -> bool:
    """Tell whether there is a session bus: whether somebody is logged in to a desktop here."""
    return _owner(_BUS) is not None


def has_tray() -> bool:
    """Tell whether a panel on this desktop shows icons of our kind now."""
    return bool(_owner(_WATCHER))


def _owner(name: str) -> str | None:
    """Return who owns a name on the session bus, empty if nobody does; None: there is no bus."""

    async def ask() -> str:
        bus = await MessageBus(bus_type=BusType.SESSION).connect()
        call = Message(_BUS, _BUS_PATH, _BUS, "GetNameOwner", signature="s", body=[name])
        reply = await bus.call(call)
        bus.disconnect()
        return str(reply.body[0]) if reply.message_type is MessageType.METHOD_RETURN else ""

    try:
        return asyncio.run(ask())
    except (InvalidAddressError, AuthError, DBusError, OSError):
        return None


class Icon(_base.Icon):  # type: ignore[misc]
    """pystray's Icon for Linux, of pixels; notify_about() also takes what a click does."""

    pixmaps = staticmethod(icon_file.pixmaps)

    def __init__(
        self,
        name: str,
        icon: list[Pixmap],
        title: str,
        menu: _base.Menu,
        no_tray: Callable[[], None],
    ) -> None:
        super().__init__(name, icon, title, menu)
        self._no_tray = no_tray
        self._loop: asyncio.AbstractEventLoop | None = None
        self._notes: dict[int, dict[str, Callable[[], None]]] = {}
        self._topics: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._registered = asyncio.Event()

    def notify_about(self, topic: str, title: str, text: str, actions: Actions) -> None:
        """Show a notification instead of the last one of its topic; callable from any thread."""
        self._soon(lambda: self._begin(self._show_note(topic, title, text, actions)))

    # What pystray asks of a backend; callable from any thread.

    def _run(self) -> None:
        asyncio.run(self._main())

    def _stop(self) -> None:
        self._soon(self._done.set)

    def _show(self) -> None:
        self._soon(lambda: self._begin(self._register()))

    def _hide(self) -> None:
        self._soon(lambda: self._item.set_status("Passive"))

    def _update_icon(self) -> None:
        pixmaps = self._icon
        self._soon(lambda: self._item.set_pixmaps(pixmaps))
        self._icon_valid = True

    def _update_title(self) -> None:
        self._soon(lambda: self._item.set_title(self.title))

    def _update_menu(self) -> None:
        self._soon(self._menu_interface.refresh)

    def _notify(self, message: str, title: str | None = None) -> None:
        self.notify_about("", title or self.title, message, ())

    # The bus; all below runs in the loop's thread.

    async def _main(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._done.set)
        self._bus = await MessageBus(bus_type=BusType.SESSION).connect()
        self._item = ItemInterface(
            self.name, self.title, lambda: self._clicked(None), self._has_default
        )
        self._menu_interface = MenuInterface(lambda: self.menu, self._clicked)
        self._bus.export(ITEM_PATH, self._item)
        self._bus.export(MENU_PATH, self._menu_interface)
        self._bus_name = f"org.kde.StatusNotifierItem-{os.getpid()}-1"
        await self._bus.request_name(self._bus_name, NameFlag.DO_NOT_QUEUE)
        self._bus.add_message_handler(self._on_message)
        await self._listen(f"sender='{_BUS}',member='NameOwnerChanged',arg0='{_WATCHER}'")
        await self._listen(f"interface='{_NOTES}',path='{_NOTES_PATH}'")
        self._mark_ready()
        self._loop.call_later(PATIENCE, lambda: self._registered.is_set() or self._no_tray())
        session = asyncio.create_task(self._end_with_the_session())
        try:
            await self._done.wait()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_SEND_TIMEOUT)
        finally:
            session.cancel()
            self._running = False
            self._bus.disconnect()

    async def _end_with_the_session(self) -> None:
        await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self._done.set()

    def _has_default(self) -> bool:
        return any(item.default for item in self.menu)

    def _clicked(self, item: MenuItem | None) -> None:
        """Do what a row, or a click on the icon itself, means, and show what it changed."""
        (self if item is None else self._handler(item))()

    async def _listen(self, rule: str) -> None:
        await self._call(_BUS, _BUS_PATH, _BUS, "AddMatch", "s", f"type='signal',{rule}")

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        match message.member, message.body:
            case "NameOwnerChanged", [name, _, owner] if name == _WATCHER:
                self._registered.clear()
                if owner and self._visible:  # the panel was started, or started again
                    self._begin(self._register())
            case "ActionInvoked", [number, key] if key in self._notes.get(number, {}):
                self._notes[number][key]()
            case "NotificationClosed", [number, _]:
                self._notes.pop(number, None)
            case _:
                pass

    async def _register(self) -> None:
        self._item.set_status("Active")
        if not self._registered.is_set():
            member = "RegisterStatusNotifierItem"
            reply = await self._call(_WATCHER, _WATCHER_PATH, _WATCHER, member, "s", self._bus_name)
            if reply is not None:
                self._registered.set()

    async def _show_note(self, topic: str, title: str, text: str, actions: Actions) -> None:
        """Show a notification; the first action is also what a click on it means.

        Few desktops show a button for that, so where there is a choice it has one of its own.
        """
        named = [("default", action) for action in actions[:1]]
        if len(actions) > 1:
            named += ((str(number), action) for number, action in enumerate(actions))
        able = await self._call(_NOTES, _NOTES_PATH, _NOTES, "GetCapabilities") or [[]]
        body = plain.escaped(text) if "body-markup" in able[0] else text
        buttons = [word for key, (label, _) in named for word in (key, label)]
        reply = await self._call(
            *(_NOTES, _NOTES_PATH, _NOTES, "Notify", "susssasa{sv}i"),
            *("Companion", self._topics.get(topic, 0), "", title, body, buttons, {}, -1),
        )
        if reply:
            self._topics[topic] = reply[0]
            self._notes[reply[0]] = {key: act for key, (_, act) in named}

    async def _call(
        self, name: str, path: str, interface: str, member: str, signature: str = "", *body: object
    ) -> list[Any] | None:
        """Call a method on the bus; None: it failed, and the log says how."""
        reply = await self._bus.call(
            Message(
                destination=name,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=list(body),
            )
        )
        if reply.message_type is MessageType.ERROR:
            log = logging.getLogger("companion")
            log.info("%s on the session bus failed: %s", member, reply.body)
            return None
        return reply.body

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _soon(self, work: Callable[[], object]) -> None:
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(work)
