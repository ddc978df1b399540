"""How do loop and icon live together? The icon has the main thread, as macOS demands."""

import signal
import threading
from collections.abc import Callable

from companion.daemon.loop import Loop, alone
from companion.daemon.view import Ended, News, Picture, mood
from companion.desktop import autostart, editor_settings, ssh_config
from companion.errors import AlreadyRunningError
from companion.system.paths import Paths
from companion.tray import icon, menu
from companion.tray.actions import Clicks
from companion.tray.menu import Row, Surroundings
from companion.tray.notifications import NO_TRAY, RUNS_ALREADY, Note, note

_GOODBYE = 5.0
"""Seconds that the loop has to end."""


class App:
    """The tray of one user, from its start to Quit; `say` gets each piece of news, too."""

    def __init__(self, home: Paths, say: Callable[[Picture, News], None]) -> None:
        self._home, self._say = home, say
        self._loop = Loop(home, self._show)
        self._clicks = Clicks(home, self._loop, self._tell, self._quit)
        self._mood = mood(Picture())
        self._icon = icon.make(
            menu.title(Picture()), self._rows, self._clicks, lambda: self._tell(NO_TRAY)
        )

    def run(self) -> None:
        """Show the icon and keep the projects current until the user quits.

        Raises:
            AlreadyRunningError: a tray or a watch of this user runs.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._icon.stop())
        try:
            with alone(self._home):
                thread = threading.Thread(target=self._loop.run, daemon=True)
                self._icon.run(lambda _: self._begin(thread))
                self._loop.stop()
                thread.join(_GOODBYE)
        except AlreadyRunningError:
            self._icon.run(lambda _: self._say_goodbye())
            raise

    def _begin(self, thread: threading.Thread) -> None:
        self._icon.visible = True
        thread.start()

    def _say_goodbye(self) -> None:
        self._tell(RUNS_ALREADY)
        self._icon.stop()

    def _quit(self) -> None:
        self._icon.stop()

    def _rows(self) -> tuple[Row, ...]:
        desk = Surroundings(
            editors=tuple(
                (f.editor.id, f.editor.name) for f in editor_settings.openers(self._home)
            ),
            included=ssh_config.is_included(self._home),
            at_login=autostart.is_on(self._home),
        )
        return menu.rows(self._loop.picture, desk)

    def _tell(self, one: Note) -> None:
        icon.show_note(self._icon, one, self._clicks)

    def _show(self, picture: Picture, news: News) -> None:
        """Draw what the loop has news of (in the loop's thread)."""
        self._say(picture, news)
        if (now := mood(picture)) is not self._mood:
            self._mood = now
            self._icon.icon = icon.image(now)
        self._icon.title = menu.title(picture)
        self._icon.update_menu()
        if one := note(picture, news):
            self._tell(one)
        if isinstance(news, Ended):
            self._clicks.ended(news)
