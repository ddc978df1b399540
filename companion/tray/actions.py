"""The actions of clicks: each runs in a thread of its own; failures become notifications."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from companion.daemon.loop import Loop
from companion.daemon.news import WorkFinished
from companion.daemon.scheduler import Order
from companion.daemon.view import AgentView
from companion.desktop import autostart, editor_settings, ssh_config, ssh_include
from companion.engine.model import Health
from companion.errors import CompanionError
from companion.operations import allow, forwarding, open_editor, registry
from companion.project import discovery, forwards, runs
from companion.project.forwards import Forward
from companion.reconcile import port_holders, trust
from companion.system import files, process, programs
from companion.system.paths import Paths
from companion.tray import commands
from companion.tray.clicks import Click, Verb
from companion.tray.notifications import ABOUT, Notification

_REMOVAL = 600.0
"""Seconds that it may take to remove a project."""


@dataclass(slots=True)
class Actions:
    """Carries out clicks."""

    home: Paths
    loop: Loop
    tell: Callable[[Notification], None]
    quit: Callable[[], None]
    _waiting: dict[str, Click] = field(default_factory=dict)
    """The latest click on each sandbox that must start before the click can be carried out."""

    def __call__(self, click: Click) -> None:
        """Start to carry out a click."""
        threading.Thread(target=self._safely, args=(click,), daemon=True).start()

    def ended(self, news: WorkFinished) -> None:
        """Carry out the click that waited for a sandbox; drop it if the start failed."""
        if news.settled or news.trouble:
            click = self._waiting.pop(news.sandbox, None)
            if click and news.settled:
                self(click)

    def _safely(self, click: Click) -> None:
        try:
            self._do(click)
        except CompanionError as error:
            self.tell(Notification("click", "Action failed", str(error)))
        except Exception as error:  # noqa: BLE001 - one click's bug must not end the tray
            self.tell(Notification("click", "Unexpected error in Companion", repr(error)))

    def _do(self, click: Click) -> None:
        handlers: dict[Verb, Callable[[Click], object]] = {
            Verb.OPEN: self._enter,
            Verb.TERMINAL: self._enter,
            Verb.START: lambda c: self.loop.ask(c.sandbox, Order.START),
            Verb.RESTART: lambda c: self.loop.ask(c.sandbox, Order.RESTART),
            Verb.STOP: lambda c: self.loop.ask(c.sandbox, Order.STOP),
            Verb.START_ALL: lambda _: self._ask_all(Order.START, up=False),
            Verb.STOP_ALL: lambda _: self._ask_all(Order.STOP, up=True),
            Verb.REMOVE: self._remove,
            Verb.SECRET: self._secret,
            Verb.AGREE: self._agree,
            Verb.IGNORE: lambda _: None,
            Verb.ALLOW_ONCE: self._allow,
            Verb.ALLOW: self._allow,
            Verb.REFUSE: lambda c: self.loop.settle(c.sandbox, c.host, ignored=True),
            Verb.LOG: lambda _: process.launch(programs.text_opener(self.home.log)),
            Verb.COPY: self._copy,
            Verb.FORWARD: self._forward,
            Verb.VISIT: self._visit,
            Verb.UNFORWARD: lambda c: forwarding.end(self.home, self._forwarded(c)),
            Verb.EDIT: self._edit,
            Verb.INCLUDE: self._include,
            Verb.ADD: self._add,
            Verb.PAUSE: lambda _: files.write(self.home.paused, ""),
            Verb.RESUME: lambda _: files.remove(self.home.paused),
            Verb.LOGIN_ON: lambda _: autostart.turn_on(self.home),
            Verb.LOGIN_OFF: lambda _: autostart.turn_off(self.home),
            Verb.SETTINGS: lambda _: process.launch(programs.text_opener(self.home.settings)),
            Verb.HELP: lambda _: commands.show("help"),
            Verb.DOCTOR: lambda _: commands.show("doctor"),
            Verb.ABOUT: lambda _: self.tell(ABOUT),
            Verb.QUIT: lambda _: self.quit(),
        }
        if click.verb in commands.OF_SANDBOX:
            commands.show(*commands.words(self.home, self._view(click), click))
        else:
            handlers[click.verb](click)

    def _ask_all(self, order: Order, *, up: bool) -> None:
        """Order work on every sandbox that is up, or on every one that is not and may start."""
        for agent_view in tuple(self.loop.view.sandboxes.values()):
            is_free = not agent_view.step and not agent_view.review
            if agent_view.agent and agent_view.is_up is up and (up or is_free):
                self.loop.ask(agent_view.id, order)

    def _enter(self, click: Click) -> None:
        """Open an editor or a terminal in a sandbox; start the sandbox first if necessary."""
        agent_view = self._view(click)
        if agent_view.health is not Health.RUNNING:
            self._waiting[agent_view.id] = click
            self.loop.ask(agent_view.id, Order.START)
            return
        remote = open_editor.remote(self.home, agent_view.ref.project, agent_view.agent)
        if click.verb is Verb.TERMINAL:
            ssh = (remote.ssh, "-F", str(self.home.ssh_config), remote.alias)
            process.launch(programs.terminal(ssh))
            return
        here = editor_settings.choose(self.home, click.editor)
        other = editor_settings.other_ssh_config(here)
        if other is None and not ssh_include.is_included(self.home):
            text = f"Editors need one line in {self.home.user_ssh_config} to find your sandboxes."
            title = "SSH setup required"
            self.tell(
                Notification("include", title, text, (("Add the line", Click(Verb.INCLUDE)),))
            )
            return
        for one in editor_settings.sync(self.home, here.editor.id):
            if one.problem:
                self.tell(
                    Notification(
                        "click", f"Could not update {here.editor.name}'s settings", one.problem
                    )
                )
        editor_settings.open_folder(self.home, here, remote, open_editor.folder(remote, None))

    def _forward(self, click: Click) -> None:
        """Lead the same port of the desktop into a sandbox, or the next free one; open it."""
        agent_view = self._view(click)
        project, port = agent_view.ref.project, port_holders.next_free(max(click.port, 1024))
        forward = forwarding.forward_of(self.home, project, agent_view.agent, port, click.port)
        active = forwarding.begin(self.home, project, forward)
        process.launch(programs.opener(active.url))

    def _forwarded(self, click: Click) -> Forward:
        for active in forwards.active(self.home):
            if active.port == click.port:
                return active
        raise CompanionError(f"port {click.port} is no longer forwarded")

    def _visit(self, click: Click) -> None:
        """Open a port of the desktop that leads into a sandbox."""
        agent_view = self._view(click)
        is_published = click.port in agent_view.published
        url = forwards.url(agent_view.alias, click.port) if is_published else ""
        process.launch(programs.opener(url or self._forwarded(click).url))

    def _secret(self, click: Click) -> None:
        """Open the .env in which a value is missing; without one, ask for it in a terminal."""
        ref = self._view(click).ref
        for file in reversed(ref.env_files):
            if file.is_file():
                process.launch(programs.text_opener(file))
                return
        directory = str(ref.project.directory)
        commands.show("-C", directory, "secret", "set", click.name)

    def _remove(self, click: Click) -> None:
        """Forget a project once the user has agreed, and say what came of it."""
        project = self._view(click).ref.project
        name, directory = project.directory.name, str(project.directory)
        views = self.loop.view.sandboxes.values()
        agents = sum(agent_view.ref.project == project for agent_view in views)
        which = f"the {agents} sandboxes of {name}" if agents > 1 else f"the sandbox {name}"
        kept = commands.kept(directory, runs.of_project(self.home, project))
        if programs.confirm(f"Remove {which}?\n\n{kept}"):
            done = process.run(programs.companion("remove", directory), timeout=_REMOVAL)
            title = f"{name} was not removed" if done.code else f"{name} was removed"
            said = done.stderr if done.code else done.stdout
            self.tell(Notification("remove", title, said.strip()))

    def _agree(self, click: Click) -> None:
        """Agree to what a notification showed, and to nothing else."""
        agent_view = self._view(click)
        reviewed = trust.review(self.home, agent_view.ref.project).of(agent_view.agent)
        if reviewed.digest != click.digest:
            raise CompanionError("its files changed since it asked: read again what it opens")
        trust.agree(self.home, reviewed)

    def _allow(self, click: Click) -> None:
        """Let a sandbox reach a host, once or always, and apply that at once."""
        agent_view = self._view(click)
        ref, agent, host = agent_view.ref, agent_view.agent, allow.parsed(click.host)
        if click.verb is Verb.ALLOW:
            allow.always(self.home, ref, agent, host)
        else:
            allow.once(self.home, ref, agent, host, lambda _: None)
        self.loop.settle(click.sandbox, click.host)
        self.loop.ask(click.sandbox, Order.LOOK)

    def _edit(self, click: Click) -> None:
        """Open the file of a problem, if it is one that configures the sandbox; else agent.yaml."""
        ref = self._view(click).ref
        steering = {ref.named(path): path for path in (*ref.env_files, ref.project.fleet)}
        process.launch(programs.text_opener(steering.get(click.file, ref.config)))

    def _include(self, _: Click) -> None:
        ssh_config.include(self.home)
        text = f"Added one line at the top of {self.home.user_ssh_config}."
        self.tell(Notification("click", "SSH is set up", text))

    def _add(self, _: Click) -> None:
        """Register a project; one that somebody else wrote is reviewed first."""
        directory = programs.choose_folder()
        if directory is None:
            return
        reviewed = trust.review(self.home, discovery.project(directory))
        registry.add(self.home, directory)
        if not reviewed.is_trusted:
            commands.show("-C", str(reviewed.project.directory), "trust")

    def _copy(self, click: Click) -> None:
        agent_view = self._view(click)
        remote = open_editor.remote(self.home, agent_view.ref.project, agent_view.agent)
        known = ssh_include.is_included(self.home)
        text = f"ssh {remote.alias}" if known else f"ssh -F {self.home.ssh_config} {remote.alias}"
        if programs.copy(text):
            self.tell(Notification("click", "Copied", text))
        else:
            self.tell(Notification("click", "No clipboard program found", text))

    def _view(self, click: Click) -> AgentView:
        try:
            return self.loop.view.sandboxes[click.sandbox]
        except KeyError:
            raise CompanionError("this sandbox was removed") from None
