"""An icon on the session bus: the interface org.kde.StatusNotifierItem.

Source: the specification at freedesktop.org; checked against xfce4-panel 4.18.
"""

from collections.abc import Callable
from typing import Annotated, Any

from dbus_fast import PropertyAccess
from dbus_fast.annotations import DBusBool, DBusInt32, DBusObjectPath, DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from companion.tray.linux.icon_file import Pixmap

MENU_PATH = "/StatusNotifierItem/menu"
Pixmaps = Annotated[list[Any], DBusSignature("a(iiay)")]
Tip = Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]


class ItemInterface(ServiceInterface):
    """One icon; a change of it is announced to the panel."""

    def __init__(
        self, name: str, title: str, activate: Callable[[], None], activates: Callable[[], bool]
    ) -> None:
        super().__init__("org.kde.StatusNotifierItem")
        self._id, self._title = name, title
        self._activate, self._activates = activate, activates
        self._status = "Passive"
        self._pixmaps: list[Pixmap] = []

    def set_pixmaps(self, pixmaps: list[Pixmap]) -> None:
        self._pixmaps = pixmaps
        self.NewIcon()

    def set_title(self, title: str) -> None:
        self._title = title
        self.NewTitle()
        self.NewToolTip()

    def set_status(self, status: str) -> None:
        self._status = status
        self.NewStatus(status)

    @dbus_method()
    def ContextMenu(self, x: DBusInt32, y: DBusInt32) -> None:
        """Hosts that do not know our menu interface ask for this; there is nothing else."""

    @dbus_method()
    def Activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        self._activate()

    @dbus_method()
    def SecondaryActivate(self, x: DBusInt32, y: DBusInt32) -> None:
        """A middle click does nothing."""

    @dbus_method()
    def Scroll(self, delta: DBusInt32, orientation: DBusStr) -> None:
        """Scrolling does nothing."""

    @dbus_signal()
    def NewTitle(self) -> None:
        return

    @dbus_signal()
    def NewIcon(self) -> None:
        return

    @dbus_signal()
    def NewToolTip(self) -> None:
        return

    @dbus_signal()
    def NewStatus(self, status: str) -> DBusStr:
        return status

    @dbus_property(access=PropertyAccess.READ)
    def Category(self) -> DBusStr:
        return "ApplicationStatus"

    @dbus_property(access=PropertyAccess.READ)
    def Id(self) -> DBusStr:
        return self._id

    @dbus_property(access=PropertyAccess.READ)
    def Title(self) -> DBusStr:
        return self._title

    @dbus_property(access=PropertyAccess.READ)
    def Status(self) -> DBusStr:
        return self._status

    @dbus_property(access=PropertyAccess.READ)
    def WindowId(self) -> DBusInt32:
        return 0

    @dbus_property(access=PropertyAccess.READ)
    def IconName(self) -> DBusStr:
        return ""

    @dbus_property(access=PropertyAccess.READ)
    def IconPixmap(self) -> Pixmaps:
        return [list(pixmap) for pixmap in self._pixmaps]

    @dbus_property(access=PropertyAccess.READ)
    def OverlayIconName(self) -> DBusStr:
        return ""

    @dbus_property(access=PropertyAccess.READ)
    def AttentionIconName(self) -> DBusStr:
        return ""

    @dbus_property(access=PropertyAccess.READ)
    def ToolTip(self) -> Tip:
        return ["", [], self._title, ""]

    @dbus_property(access=PropertyAccess.READ)
    def ItemIsMenu(self) -> DBusBool:
        return not self._activates()

    @dbus_property(access=PropertyAccess.READ)
    def Menu(self) -> DBusObjectPath:
        return MENU_PATH
