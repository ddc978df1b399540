"""A pystray menu on the session bus: the interface com.canonical.dbusmenu.

Source: the interface's description in libdbusmenu; checked against xfce4-panel 4.18.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from dbus_fast import DBusError, PropertyAccess, Variant
from dbus_fast.annotations import (
    DBusBool,
    DBusInt32,
    DBusSignature,
    DBusStr,
    DBusUInt32,
    DBusVariant,
)
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from pystray import Menu, MenuItem

Numbers = Annotated[list[int], DBusSignature("ai")]
Names = Annotated[list[str], DBusSignature("as")]
Events = Annotated[list[tuple[int, str, Variant, int]], DBusSignature("a(isvu)")]
Layout = Annotated[list[Any], DBusSignature("u(ia{sv}av)")]
Properties = Annotated[list[Any], DBusSignature("a(ia{sv})")]
Updates = Annotated[list[Any], DBusSignature("a(ia{sv})a(ias)")]
Shown = Annotated[list[Any], DBusSignature("aiai")]
Revision = Annotated[list[int], DBusSignature("ui")]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One row as the bus sees it."""

    id: int
    properties: dict[str, Variant]
    children: tuple["Node", ...] = ()
    item: MenuItem | None = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """The rows' ids as a tree: another shape is another layout."""
        return (self.id, tuple(child.shape for child in self.children))


class MenuInterface(ServiceInterface):
    """The menu of one icon. A row keeps its id as long as it means the same."""

    def __init__(self, menu: Callable[[], Menu], click: Callable[[MenuItem], None]) -> None:
        super().__init__("com.canonical.dbusmenu")
        self._menu, self._click = menu, click
        self._ids: dict[Path, int] = {}
        self._free = itertools.count(1)
        self._revision = 1
        self._root, self._nodes = self._read()

    def refresh(self) -> bool:
        """Read the menu anew and tell what changed; True: other rows than before."""
        old_root, old = self._root, self._nodes
        self._root, self._nodes = self._read()
        moved = old_root.shape != self._root.shape
        if moved:
            self._revision += 1
            self.LayoutUpdated(self._revision, 0)
        pairs = [(old[i], node) for i, node in self._nodes.items() if i in old]
        changed = [[n.id, diff] for o, n in pairs if (diff := _diff(o.properties, n.properties))]
        gone = [
            [n.id, lost]
            for o, n in pairs
            if (lost := [k for k in o.properties if k not in n.properties])
        ]
        if changed or gone:
            self.ItemsPropertiesUpdated(changed, gone)
        return moved

    def _read(self) -> tuple[Node, dict[int, Node]]:
        nodes: dict[int, Node] = {}
        rows = self._build(self._menu(), (), nodes)
        # Agents choose hosts, which are rows: those that are gone are not remembered.
        self._ids = {path: number for path, number in self._ids.items() if number in nodes}
        nodes[0] = Node(0, {"children-display": Variant("s", "submenu")}, rows)
        return nodes[0], nodes

    def _build(
        self, items: Iterable[MenuItem], above: Path, nodes: dict[int, Node]
    ) -> tuple[Node, ...]:
        built, separators = [], itertools.count()
        for item in items:
            key = (
                f"-{next(separators)}"
                if item is Menu.SEPARATOR
                else getattr(item, "key", item.text)
            )
            path = (*above, key)
            number = self._ids.setdefault(path, 0) or next(self._free)
            self._ids[path] = number
            children = self._build(item.submenu, path, nodes) if item.submenu else ()
            nodes[number] = Node(number, _properties(item), children, item)
            built.append(nodes[number])
        return tuple(built)

    def _node(self, number: int) -> Node:
        try:
            return self._nodes[number]
        except KeyError:
            raise DBusError("com.canonical.dbusmenu.Error", f"there is no row {number}") from None

    def _happened(self, number: int, event: str) -> None:
        item = self._node(number).item
        if event == "clicked" and item is not None and item.enabled:
            self._click(item)

    @dbus_method()
    def GetLayout(self, parent: DBusInt32, depth: DBusInt32, names: Names) -> Layout:
        return [self._revision, _packed(self._node(parent), depth, names)]

    @dbus_method()
    def GetGroupProperties(self, ids: Numbers, names: Names) -> Properties:
        there = (self._nodes[i] for i in (ids or self._nodes) if i in self._nodes)
        return [[node.id, _chosen(node, names)] for node in there]

    @dbus_method()
    def GetProperty(self, number: DBusInt32, name: DBusStr) -> DBusVariant:
        try:
            return self._node(number).properties[name]
        except KeyError:
            raise DBusError("com.canonical.dbusmenu.Error", f"no property {name}") from None

    @dbus_method()
    def Event(
        self, number: DBusInt32, event: DBusStr, _data: DBusVariant, _time: DBusUInt32
    ) -> None:
        self._happened(number, event)

    @dbus_method()
    def EventGroup(self, events: Events) -> Numbers:
        for number, event, _, _ in events:
            if number in self._nodes:
                self._happened(number, event)
        return [number for number, *_ in events if number not in self._nodes]

    @dbus_method()
    def AboutToShow(self, _number: DBusInt32) -> DBusBool:
        return self.refresh()

    @dbus_method()
    def AboutToShowGroup(self, ids: Numbers) -> Shown:
        moved = self.refresh()
        return [list(ids) if moved else [], [i for i in ids if i not in self._nodes]]

    @dbus_signal()
    def LayoutUpdated(self, revision: int, parent: int) -> Revision:
        return [revision, parent]

    @dbus_signal()
    def ItemsPropertiesUpdated(self, changed: list[Any], gone: list[Any]) -> Updates:
        return [changed, gone]

    @dbus_property(access=PropertyAccess.READ)
    def Version(self) -> DBusUInt32:
        return 3

    @dbus_property(access=PropertyAccess.READ)
    def TextDirection(self) -> DBusStr:
        return "ltr"

    @dbus_property(access=PropertyAccess.READ)
    def Status(self) -> DBusStr:
        return "normal"

    @dbus_property(access=PropertyAccess.READ)
    def IconThemePath(self) -> Names:
        return []


def _properties(item: MenuItem) -> dict[str, Variant]:
    if item is Menu.SEPARATOR:
        return {"type": Variant("s", "separator")}
    found = {"label": Variant("s", item.text.replace("_", "__"))}
    if not item.enabled:
        found["enabled"] = Variant("b", False)  # noqa: FBT003
    if item.checked is not None:
        found["toggle-type"] = Variant("s", "checkmark")
        found["toggle-state"] = Variant("i", int(bool(item.checked)))
    if item.submenu:
        found["children-display"] = Variant("s", "submenu")
    return found


def _diff(old: dict[str, Variant], new: dict[str, Variant]) -> dict[str, Variant]:
    return {key: value for key, value in new.items() if old.get(key) != value}


def _packed(node: Node, depth: int, names: list[str]) -> list[Any]:
    below = () if depth == 0 else node.children
    children = [Variant("(ia{sv}av)", _packed(child, depth - 1, names)) for child in below]
    return [node.id, _chosen(node, names), children]


def _chosen(node: Node, names: list[str]) -> dict[str, Variant]:
    return {key: value for key, value in node.properties.items() if not names or key in names}
