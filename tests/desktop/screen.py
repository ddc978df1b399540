"""A real desktop on a screen that nobody sees: Xvfb, xfwm4, xfce4-panel with its tray, dunst."""

import io
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from panel import session_bus, until
from PIL import Image, ImageChops

WIDTH, HEIGHT, BAR = 1000, 640, 32
BLUE, ORANGE = (0x1F, 0x6F, 0xEB), (0xD9, 0x48, 0x0F)
VIOLET, GRAY = (0x70, 0x48, 0xE8), (0x6B, 0x72, 0x80)
BACKGROUND = "#dfe3e8"
"""Of a desktop that is shown."""
PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array"><value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="false"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="32"/>
      <property name="icon-size" type="uint" value="24"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/><value type="int" value="2"/><value type="int" value="3"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
    <property name="plugin-3" type="string" value="clock"/>
  </property>
</channel>
"""
DUNST = "[global]\nfont = DejaVu Sans 10\norigin = top-right\noffset = 8x42\nwidth = (0, 460)\n"


@dataclass
class Screen:
    """What is on the screen, and a mouse."""

    environment: dict[str, str]
    scale: int = 1
    """Pixels of the screen for each of a program; 2 on a screen of high density."""
    place: tuple[int, int] = (0, 0)
    """Where the icon was last."""

    def view(self) -> Image.Image:
        done = self.run("import", "-window", "root", "png:-")
        return Image.open(io.BytesIO(done)).convert("RGB")

    def icon(self, colour: tuple[int, int, int] = BLUE) -> tuple[int, int] | None:
        """Return where in the panel a colour of ours is, if it is there."""
        width, height = WIDTH * self.scale, BAR * self.scale
        bar = self.view().crop((0, 0, width, height))
        pixels = bar.load()
        found = [(x, y) for x in range(width) for y in range(height) if pixels[x, y] == colour]
        if not found:
            return None
        return tuple(sum(axis) // len(found) for axis in zip(*found, strict=True))

    def wait_for_icon(self, colour: tuple[int, int, int] = BLUE) -> tuple[int, int]:
        until(lambda: self.icon(colour), 30)
        place = self.icon(colour)
        assert place
        self.place = place
        return place

    def click(self, place: tuple[int, int], button: int) -> None:
        self.run("xdotool", "mousemove", *map(str, place), "sleep", "0.3", "click", str(button))
        time.sleep(1)

    def keys(self, *names: str) -> None:
        for name in names:
            self.run("xdotool", "key", name)
            time.sleep(0.4)

    def park(self) -> None:
        """Take the mouse out of the way: over the icon it brings up the tooltip."""
        self.run("xdotool", "mousemove", "5", str(HEIGHT * self.scale - 5))

    def brighten(self) -> None:
        """Give the desktop a background."""
        size = f"{WIDTH * self.scale}x{HEIGHT * self.scale}"
        argv = ["display", "-size", size, "-window", "root", f"xc:{BACKGROUND}"]
        subprocess.run(argv, env=self.environment, capture_output=True, check=False)  # it exits 1

    def open_menu(self, *keys: str) -> None:
        """Open the menu of the icon, without notifications behind it, and go on with keys."""
        self.run("dunstctl", "close-all")
        self.click(self.place, 3)
        self.keys(*keys)
        self.park()
        time.sleep(0.3)

    def save_menu(self, path: Path) -> None:
        """Save what is not the black background, with the panel above it."""
        view = self.view()
        top, margin = (BAR + 2) * self.scale, 8 * self.scale
        bare = Image.new("RGB", view.size, BACKGROUND)
        below = ImageChops.difference(view, bare).crop((0, top, *view.size)).getbbox()
        left, bottom = (below[0], below[3]) if below else (view.width // 2, 0)
        box = (max(0, left - margin), 0, view.width, top + bottom + margin)
        view.crop(box).quantize(256).save(path, optimize=True)

    def run(self, *argv: str) -> bytes:
        return subprocess.run(argv, env=self.environment, capture_output=True, check=True).stdout


@contextmanager
def screen(place: Path, scale: int = 1) -> Iterator[Screen]:
    """Run the desktop until the block ends."""
    place.mkdir(parents=True, exist_ok=True)
    config = place / "config/xfce4/xfconf/xfce-perchannel-xml"
    config.mkdir(parents=True)
    (config / "xfce4-panel.xml").write_text(PANEL)
    (place / "dunstrc").write_text(f"{DUNST}scale = {scale}\n")
    (place / "run").mkdir(mode=0o700)
    with ExitStack() as stack:
        number = stack.enter_context(_display(place, scale))
        environment = {
            **os.environ,
            "DISPLAY": f":{number}",
            "DBUS_SESSION_BUS_ADDRESS": stack.enter_context(session_bus(place)),
            "XDG_CONFIG_HOME": str(place / "config"),
            "XDG_CACHE_HOME": str(place / "cache"),
            "XDG_RUNTIME_DIR": str(place / "run"),
            "NO_AT_BRIDGE": "1",
            "GTK_THEME": "Adwaita",
            "GDK_SCALE": str(scale),
        }
        (xfconfd,) = Path("/usr/lib").glob("*/xfce4/xfconf/xfconfd")
        for argv in (
            [xfconfd],
            ["xfwm4", "--compositor=off"],
            ["xfce4-panel", "--disable-wm-check"],
            ["dunst", "-config", place / "dunstrc"],
        ):
            stack.enter_context(_running(argv, environment, place))
        yield Screen(environment, scale)


@contextmanager
def _display(place: Path, scale: int) -> Iterator[int]:
    """Run an X server on a number that it chooses itself."""
    read, write = os.pipe()
    size = f"{WIDTH * scale}x{HEIGHT * scale}x24"
    argv = ["Xvfb", "-displayfd", str(write), "-screen", "0", size]
    with (
        (place / "xvfb.log").open("wb") as out,
        subprocess.Popen(
            [*argv, "-nolisten", "tcp"], stdout=out, stderr=out, pass_fds=[write]
        ) as server,
    ):
        os.close(write)
        try:
            with os.fdopen(read) as told:
                yield int(told.readline())
        finally:
            server.terminate()


@contextmanager
def _running(argv: list[object], environment: dict[str, str], place: Path) -> Iterator[None]:
    log = place / f"{Path(str(argv[0])).name}.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(argv, env=environment, stdout=out, stderr=out) as program,
    ):
        try:
            yield
        finally:
            program.terminate()
