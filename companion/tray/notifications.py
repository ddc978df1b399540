"""The notifications: which news deserve one, and its text. Pure."""

from dataclasses import dataclass

from companion.daemon.news import EngineSilent, News, WatchDegraded, WorkCrashed, WorkFinished
from companion.daemon.view import View
from companion.daemon.wording import first_line
from companion.tray.menu import Click, Verb


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification; a newer one with the same topic replaces it on the screen."""

    topic: str
    title: str
    text: str
    click: Click | None = None
    label: str = ""
    """The label of its action."""


NO_TRAY = Notification(
    "tray",
    "Companion is running, but this desktop has no tray",
    "Your sandboxes stay up to date. In a terminal, `companion --help` lists the commands.",
)
RUNS_ALREADY = Notification("tray", "Companion is already running", "Its icon is in the tray.")


def notification_for(view: View, news: News) -> Notification | None:
    """Return the notification for a piece of news; None: it deserves none."""
    match news:
        case WorkFinished(sandbox, text, trouble, grant_problem, changed):
            agent_view = view.sandboxes.get(sandbox)
            if agent_view is None or not (trouble or changed):
                return None
            if trouble is None and grant_problem:
                return Notification(
                    sandbox, f"{agent_view.name} needs attention", first_line(grant_problem)
                )
            if trouble is None:
                return Notification(sandbox, f"{agent_view.name} is ready", text)
            verb, label = (
                (Verb.EDIT, "Open agent.yaml") if trouble.place else (Verb.LOG, "Open log")
            )
            click = Click(verb, sandbox)
            return Notification(
                sandbox, f"{agent_view.name}: change not applied", first_line(trouble), click, label
            )
        case WorkCrashed(sandbox, text):
            agent_view = view.sandboxes.get(sandbox)
            title = f"{agent_view.agent if agent_view else sandbox} crashed"
            return Notification(sandbox, title, text, Click(Verb.LOGS, sandbox), "Show log")
        case WatchDegraded(why):
            return Notification("watch", "File changes may be detected late", why)
        case EngineSilent(engine, why):
            return Notification(f"engine:{engine.name}", f"{engine.name} is not responding", why)
        case _:
            return None
