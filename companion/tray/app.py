"""The tray application: the icon in the main thread, as macOS requires, the loop in another."""

import signal
import threading
from collections.abc import Callable
from datetime import date, datetime
from functools import partial

from companion.daemon.loop import Loop, alone
from companion.daemon.news import News, WorkFinished
from companion.daemon.view import View
from companion.daemon.wording import icon_state
from companion.desktop import autostart, editor_settings, ssh_include
from companion.errors import AlreadyRunningError
from companion.operations import ports_inside
from companion.project import forwards
from companion.system import plain
from companion.system.paths import Paths
from companion.system.renewal import Fate
from companion.tray import icon, menu
from companion.tray.actions import Actions
from companion.tray.notifications import NO_TRAY, RUNS_ALREADY, Notification, notification_for
from companion.tray.rows import AgentPorts, DesktopInfo, Row

_STOP_TIMEOUT = 5.0
"""Seconds to wait for the loop to end."""


class App:
    """The tray of one user, from its start to Quit; `say` also receives each piece of news."""

    def __init__(self, home: Paths, say: Callable[[View, News], None]) -> None:
        self._home, self._say = home, say
        self._loop = Loop(home, self._show)
        self._actions = Actions(home, self._loop, self._tell, self._quit)
        self._state = icon_state(View())
        self._icon = icon.make(
            menu.title(View()), self._rows, self._actions, lambda: self._tell(NO_TRAY)
        )

    def run(self) -> Fate:
        """Show the icon and keep the projects current until the user quits, or our program changed.

        Returns:
            What became of the program, if that is why it ended.

        Raises:
            AlreadyRunningError: a `tray` or `watch` of this user is running.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._icon.stop())
        try:
            with alone(self._home):
                thread = threading.Thread(target=self._keep_current, daemon=True)
                self._icon.run(lambda _: self._begin(thread))
                self._loop.stop()
                thread.join(_STOP_TIMEOUT)
        except AlreadyRunningError:
            self._icon.run(lambda _: self._announce_end())
            raise
        return self._loop.fate

    def _keep_current(self) -> None:
        self._loop.run()
        self._icon.stop()

    def _begin(self, thread: threading.Thread) -> None:
        self._icon.visible = True
        thread.start()

    def _announce_end(self) -> None:
        self._tell(RUNS_ALREADY)
        self._icon.stop()

    def _quit(self) -> None:
        self._icon.stop()

    def _rows(self) -> tuple[Row, ...]:
        desk = DesktopInfo(
            editors=tuple(
                (f.editor.id, f.editor.name) for f in editor_settings.openers(self._home)
            ),
            included=ssh_include.is_included(self._home),
            at_login=autostart.is_on(self._home),
            has_settings=self._home.settings.exists(),
            ports=self._ports(),
            today=_today().isoformat(),
        )
        return menu.rows(self._loop.view, desk)

    def _ports(self) -> dict[str, AgentPorts]:
        """Look where servers listen right now; this asks the kernel, not the engine."""
        active, found = forwards.active(self._home), {}
        for view in self._loop.view.sandboxes.values():
            project = view.ref.project.id
            mine = tuple(f for f in active if (f.project, f.agent) == (project, view.agent))
            forwarded = {forward.inside for forward in mine}
            listening = ports_inside.offered(self._home, project, view.agent, view.condition)
            offered = tuple(port for port in listening if port not in forwarded)
            found[view.id] = AgentPorts(offered, mine)
        return found

    def _tell(self, one: Notification) -> None:
        icon.show_notification(self._icon, one, self._actions)

    def _show(self, view: View, news: News) -> None:
        """Show news from the loop; called in the loop's thread."""
        self._say(view, news)
        icon.on_main_thread(partial(self._repaint, view))
        if one := notification_for(view, news):
            self._tell(one)
        if isinstance(news, WorkFinished):
            self._actions.ended(news)

    def _repaint(self, view: View) -> None:
        if (now := icon_state(view)) is not self._state:
            self._state = now
            icon.paint(self._icon, now)
        self._icon.title = plain.line(menu.title(view))
        self._icon.update_menu()


def _today() -> date:
    return datetime.now().astimezone().date()
