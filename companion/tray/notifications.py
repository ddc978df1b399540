"""Which news is worth a notification, and what does it say? Pure."""

from dataclasses import dataclass

from companion.daemon.news import EngineSilent, News, WatchDegraded, WorkCrashed, WorkFinished
from companion.daemon.view import View
from companion.daemon.wording import first_line
from companion.tray.menu import Click, Verb


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification; a newer one of the same topic takes its place on the screen."""

    topic: str
    title: str
    text: str
    click: Click | None = None
    label: str = ""
    """What a click on it does, in words."""


NO_TRAY = Notification(
    "tray",
    "Companion runs, but this desktop has no tray",
    "Your sandboxes are kept current all the same. Use `companion --help` in a terminal.",
)
RUNS_ALREADY = Notification(
    "tray", "Companion is running already", "Look for its icon in the tray."
)


def notification_for(view: View, news: News) -> Notification | None:
    """Return the notification that news deserve."""
    match news:
        case WorkFinished(sandbox, text, trouble, grant_problem, changed):
            agent_view = view.sandboxes.get(sandbox)
            if agent_view is None or not (trouble or changed):
                return None
            if trouble is None and grant_problem:
                return Notification(
                    sandbox, f"{agent_view.name} needs you", first_line(grant_problem)
                )
            if trouble is None:
                return Notification(sandbox, f"{agent_view.name} is ready", text)
            verb, label = (
                (Verb.EDIT, "Open agent.yaml") if trouble.place else (Verb.LOG, "Open log")
            )
            click = Click(verb, sandbox)
            return Notification(
                sandbox, f"{agent_view.name} was not changed", first_line(trouble), click, label
            )
        case WorkCrashed(sandbox, text):
            agent_view = view.sandboxes.get(sandbox)
            title = f"{agent_view.agent if agent_view else sandbox} crashed"
            return Notification(sandbox, title, text, Click(Verb.LOGS, sandbox), "Show its log")
        case WatchDegraded(why):
            return Notification("watch", "Saves are seen late", why)
        case EngineSilent(engine, why):
            return Notification(f"engine:{engine.name}", f"{engine.name} does not answer", why)
        case _:
            return None
