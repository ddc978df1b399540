"""What does a click do? Each runs in a thread of its own; failures become notifications."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from companion.daemon.loop import Loop
from companion.daemon.news import WorkFinished
from companion.daemon.scheduler import Order
from companion.daemon.view import AgentView
from companion.desktop import autostart, editor_settings, ssh_config
from companion.engine.model import Health
from companion.errors import CompanionError
from companion.operations import open_editor, registry
from companion.system import files, process, programs
from companion.system.paths import Paths
from companion.tray.menu import Click, Verb
from companion.tray.notifications import Notification


@dataclass(slots=True)
class Actions:
    """Carries clicks out."""

    home: Paths
    loop: Loop
    tell: Callable[[Notification], None]
    quit: Callable[[], None]
    _waiting: dict[str, Click] = field(default_factory=dict)
    """Clicks that need a sandbox that is being started, by sandbox; the newest counts."""

    def __call__(self, click: Click) -> None:
        """Begin to do what a click means."""
        threading.Thread(target=self._safely, args=(click,), daemon=True).start()

    def ended(self, news: WorkFinished) -> None:
        """Go on with what waited for a sandbox; if it did not start, the news say why."""
        if news.settled or news.trouble:
            click = self._waiting.pop(news.sandbox, None)
            if click and news.settled:
                self(click)

    def _safely(self, click: Click) -> None:
        try:
            self._do(click)
        except CompanionError as error:
            self.tell(Notification("click", "That did not work", str(error)))
        except Exception as error:  # noqa: BLE001 - one click's bug must not end the tray
            self.tell(Notification("click", "This is a bug in companion", repr(error)))

    def _do(self, click: Click) -> None:
        deeds: dict[Verb, Callable[[Click], object]] = {
            Verb.OPEN: self._get_in,
            Verb.TERMINAL: self._get_in,
            Verb.START: lambda c: self.loop.ask(c.sandbox, Order.START),
            Verb.RESTART: lambda c: self.loop.ask(c.sandbox, Order.RESTART),
            Verb.STOP: lambda c: self.loop.ask(c.sandbox, Order.STOP),
            Verb.LOGS: self._logs,
            Verb.LOG: lambda _: process.launch(programs.opener(str(self.home.log))),
            Verb.COPY: self._copy,
            Verb.EDIT: self._edit,
            Verb.INCLUDE: self._include,
            Verb.ADD: self._add,
            Verb.PAUSE: lambda _: files.write(self.home.paused, ""),
            Verb.RESUME: lambda _: self.home.paused.unlink(missing_ok=True),
            Verb.LOGIN_ON: lambda _: autostart.turn_on(self.home),
            Verb.LOGIN_OFF: lambda _: autostart.turn_off(self.home),
            Verb.QUIT: lambda _: self.quit(),
        }
        deeds[click.verb](click)

    def _get_in(self, click: Click) -> None:
        """Open an editor or a terminal in a sandbox, starting it first if need be."""
        agent_view = self._view(click)
        if agent_view.health is not Health.RUNNING:
            self._waiting[agent_view.id] = click
            self.loop.ask(agent_view.id, Order.START)
            return
        remote = open_editor.remote(self.home, agent_view.ref.project, agent_view.agent)
        if click.verb is Verb.TERMINAL:
            ssh = ("ssh", "-F", str(self.home.ssh_config), remote.alias)
            process.launch(programs.terminal(ssh))
            return
        if not ssh_config.is_included(self.home):
            text = f"Editors look in {self.home.user_ssh_config}. One line there is enough."
            title = "ssh does not find the sandboxes yet"
            self.tell(Notification("include", title, text, Click(Verb.INCLUDE), "Add the line"))
            return
        here = editor_settings.choose(self.home, click.editor)
        for one in editor_settings.sync(self.home, here.editor.id):
            if one.problem:
                self.tell(
                    Notification(
                        "click", f"{here.editor.name}'s settings stay as they are", one.problem
                    )
                )
        editor_settings.open_folder(self.home, here, remote, open_editor.folder(remote, None))

    def _logs(self, click: Click) -> None:
        agent_view = self._view(click)
        where = ("-C", str(agent_view.ref.project.directory))
        argv = (sys.executable, "-m", "companion", *where, "logs", agent_view.agent, "--follow")
        process.launch(programs.terminal(argv))

    def _edit(self, click: Click) -> None:
        process.launch(programs.opener(str(self._view(click).ref.config)))

    def _include(self, _: Click) -> None:
        ssh_config.include(self.home)
        text = f"One line was added at the top of {self.home.user_ssh_config}."
        self.tell(Notification("click", "ssh and editors find the sandboxes now", text))

    def _add(self, _: Click) -> None:
        if directory := programs.choose_folder():
            registry.add(self.home, directory)

    def _copy(self, click: Click) -> None:
        agent_view = self._view(click)
        remote = open_editor.remote(self.home, agent_view.ref.project, agent_view.agent)
        known = ssh_config.is_included(self.home)
        text = f"ssh {remote.alias}" if known else f"ssh -F {self.home.ssh_config} {remote.alias}"
        if programs.copy(text):
            self.tell(Notification("click", "Copied", text))
        else:
            self.tell(Notification("click", "No program here copies text", text))

    def _view(self, click: Click) -> AgentView:
        try:
            return self.loop.view.sandboxes[click.sandbox]
        except KeyError:
            raise CompanionError("this sandbox is not known any more") from None
