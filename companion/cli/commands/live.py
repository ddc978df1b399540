"""Commands that keep registered projects up to date: watch, tray, autostart."""

import os
from argparse import Namespace

from companion.cli.output import Result, comment
from companion.daemon.loop import Loop, alone
from companion.daemon.news import News
from companion.daemon.view import View
from companion.daemon.wording import line
from companion.desktop import autostart as starting
from companion.errors import CompanionError
from companion.system import memory, process, programs
from companion.system.paths import Paths
from companion.system.renewal import Fate

_STAY = "sandboxes keep running; install it again to stop or remove them"


def watch(_: Namespace) -> Result:
    """Apply the saves of all registered projects until interrupted."""
    return _watch("watching; press Ctrl-C to stop (sandboxes keep running)")


def tray(_: Namespace) -> Result:
    """Apply the saves of all registered projects, with an icon on the desktop."""
    from companion.tray import app, icon  # noqa: PLC0415 - Pillow, pystray and the bus only here

    home = _at_home()
    if icon.has_desktop():
        _renew("tray", app.App(home, _say).run())
        return Result(text="sandboxes keep running")
    return _watch("no desktop session: watching without an icon; press Ctrl-C to stop")


def autostart(arguments: Namespace) -> Result:
    """Turn the start of the tray at login on or off, or show whether it is on."""
    home = Paths.of_user()
    if arguments.action == "on":
        starting.turn_on(home)
    elif arguments.action == "off":
        starting.turn_off(home)
    on, place = starting.is_on(home), starting.place(home)
    text = f"the tray starts at login ({place})" if on else "the tray does not start at login"
    return Result(text=text, data={"on": on, "place": place})


def _watch(greeting: str) -> Result:
    comment(greeting)
    home = _at_home()
    loop = Loop(home, _say)
    with alone(home):
        loop.run()
    _renew("watch", loop.fate)
    return Result()


def _renew(command: str, fate: Fate) -> None:
    """Start the version that took the place of this one, or report that there is none."""
    if fate is Fate.REPLACED:
        comment("Companion was updated: starting the installed version")
        process.become(programs.companion(command))
    if fate is Fate.REMOVED:
        raise CompanionError("Companion was removed: saves are not applied any more", _STAY)


def _at_home() -> Paths:
    """Work in the home directory from now on: where we were started may be an agent's."""
    memory.share_between_threads()
    home = Paths.of_user()
    os.chdir(home.home)
    return home


def _say(view: View, news: News) -> None:
    if text := line(view, news):
        comment(text)
