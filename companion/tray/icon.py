"""The connection of view and clicks to pystray: images, menu items, the platform's backend."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from companion.daemon.view import IconState
from companion.system import assets, plain
from companion.tray.clicks import GRANTS, Click
from companion.tray.notifications import Notification
from companion.tray.rows import SEPARATOR, Row

if sys.platform == "linux":
    # Without a display pystray's own backends raise on import; we bring a backend of our own.
    os.environ["PYSTRAY_BACKEND"] = "dummy"
import pystray

if TYPE_CHECKING:
    from PIL import Image

OnClick = Callable[[Click], None]
MOMENT = 1.0
"""Seconds in which a click on a new notification was meant for what was there before."""


class Item(pystray.MenuItem):  # type: ignore[misc]
    """A menu item that keeps the key of its row."""

    def __init__(self, row: Row, on_click: OnClick) -> None:
        checked = row.checked
        super().__init__(
            plain.line(row.text),
            _action(row, on_click),
            checked=None if checked is None else lambda _: checked,
            default=row.default,
            enabled=bool(row.click or row.rows),
        )
        self.key = row.key


def _action(row: Row, on_click: OnClick) -> pystray.Menu | Callable[[], None] | None:
    if row.rows:
        return menu(lambda: row.rows, on_click)
    click = row.click
    return None if click is None else lambda: on_click(click)


def menu(rows: Callable[[], Iterable[Row]], on_click: OnClick) -> pystray.Menu:
    """Return a menu that asks for its rows each time it is shown."""
    separator = pystray.Menu.SEPARATOR
    return pystray.Menu(
        lambda: [separator if row is SEPARATOR else Item(row, on_click) for row in rows()]
    )


def paint(icon: pystray.Icon, icon_state: IconState) -> None:
    """Show a state."""
    has_pixels = hasattr(icon, "pixmaps")  # our own backend
    icon.icon = icon.pixmaps(_content(icon_state)) if has_pixels else _image(icon_state)


def _content(icon_state: IconState) -> bytes:
    """Return the picture of a state in all its sizes, an .ico."""
    return (assets.assets_directory() / "icons" / f"{icon_state}.ico").read_bytes()


def _image(icon_state: IconState) -> "Image.Image":
    from PIL import Image  # noqa: PLC0415 - our own backend saves its memory

    return Image.open(BytesIO(_content(icon_state)))


def has_desktop() -> bool:
    """Tell whether there is a desktop session that could show an icon."""
    if sys.platform == "linux":
        from companion.tray.linux import backend  # noqa: PLC0415 - pystray first, as above

        return backend.has_session()
    return True


def make(
    title: str, rows: Callable[[], Iterable[Row]], on_click: OnClick, no_tray: Callable[[], None]
) -> pystray.Icon:
    """Return the icon of this platform, not yet shown."""
    name, built, title = "companion", menu(rows, on_click), plain.line(title)
    if sys.platform == "linux":
        from companion.tray.linux import backend  # noqa: PLC0415 - pystray first, as above

        gtk = None if backend.has_tray() else _gtk_backend()
        if gtk:
            return gtk(name, _image(IconState.IDLE), title, built)
        shown = backend.Icon.pixmaps(_content(IconState.IDLE))
        return backend.Icon(name, shown, title, built, no_tray)
    return pystray.Icon(name, _image(IconState.IDLE), title, built)


def on_main_thread(change: Callable[[], None]) -> None:
    """Change the icon that is shown: macOS ends a program that does so from another thread."""
    if sys.platform == "darwin":
        from PyObjCTools import AppHelper  # noqa: PLC0415 - only macOS has it

        AppHelper.callAfter(change)
    else:
        change()


def _gtk_backend() -> type[pystray.Icon] | None:
    """Return pystray's GTK backend, which also supports X11 trays, if it is usable here."""
    if not os.environ.get("DISPLAY"):
        return None
    try:
        from pystray import _appindicator  # noqa: PLC0415 - GTK only where nothing else helps
    except (ImportError, ValueError):  # no gi, or no AppIndicator for it
        return None
    backend: type[pystray.Icon] = _appindicator.Icon
    return backend


def _answer(click: Click, shown: float, on_click: OnClick, again: Callable[[], None]) -> None:
    """Do what a click on a notification means; ask again if it cannot have been read yet."""
    if click.verb in GRANTS and time.monotonic() < shown + MOMENT:
        again()
    else:
        on_click(click)


def show_notification(icon: pystray.Icon, notification: Notification, on_click: OnClick) -> None:
    """Show a notification; only our own backend reports clicks on it."""
    title, text = plain.line(notification.title), plain.plain(notification.text)
    if hasattr(icon, "notify_about"):
        again = partial(show_notification, icon, notification, on_click)
        shown = time.monotonic()
        actions = tuple(
            (label, partial(_answer, click, shown, on_click, again))
            for label, click in notification.actions
        )
        icon.notify_about(notification.topic, title, text, actions)
    else:
        icon.notify(text, title)
