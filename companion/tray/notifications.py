"""Which news is worth a notification, and what does it say? Pure."""

from dataclasses import dataclass

from companion.daemon.view import Crashed, Ended, Hindered, News, Picture, Silent, first_line
from companion.tray.menu import Click, Verb


@dataclass(frozen=True, slots=True)
class Note:
    """One notification; a newer one of the same topic takes its place on the screen."""

    topic: str
    title: str
    text: str
    click: Click | None = None
    label: str = ""
    """What a click on it does, in words."""


NO_TRAY = Note(
    "tray",
    "Companion runs, but this desktop has no tray",
    "Your sandboxes are kept current all the same. Use `companion --help` in a terminal.",
)
RUNS_ALREADY = Note("tray", "Companion is running already", "Look for its icon in the tray.")


def note(picture: Picture, news: News) -> Note | None:
    """Return the notification that news deserve."""
    match news:
        case Ended(sandbox, text, trouble, lack, changed):
            view = picture.sandboxes.get(sandbox)
            if view is None or not (trouble or changed):
                return None
            if trouble is None and lack:
                return Note(sandbox, f"{view.name} needs you", first_line(lack))
            if trouble is None:
                return Note(sandbox, f"{view.name} is ready", text)
            verb, label = (
                (Verb.EDIT, "Open agent.yaml") if trouble.place else (Verb.LOG, "Open log")
            )
            click = Click(verb, sandbox)
            return Note(sandbox, f"{view.name} was not changed", first_line(trouble), click, label)
        case Crashed(sandbox, text):
            view = picture.sandboxes.get(sandbox)
            title = f"{view.agent if view else sandbox} crashed"
            return Note(sandbox, title, text, Click(Verb.LOGS, sandbox), "Show its log")
        case Hindered(why):
            return Note("watch", "Saves are seen late", why)
        case Silent(engine, why):
            return Note(f"engine:{engine.name}", f"{engine.name} does not answer", why)
        case _:
            return None
