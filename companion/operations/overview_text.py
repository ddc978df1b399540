"""The overview in words: the cells of `companion list` and `companion top`. Unknown is a dash."""

from companion.operations.figures import Figures
from companion.operations.overview import AgentOverview
from companion.traffic import attention
from companion.traffic.words import size

UNKNOWN = "-"
_PERCENT = 100


def name(one: AgentOverview) -> str:
    """Return an agent's name."""
    return one.agent or "?"


def state(one: AgentOverview) -> str:
    """Return its state, and whether it works or waits for the user while it runs."""
    words = [one.state]
    if one.state == "crashed":
        words = [f"crashed (exit code {one.condition.exit_code})"]
    if one.state == "running" and (shown := attention.shown(one.attention)):
        words.append(shown)
    if one.paused:
        words.append("paused")
    return ", ".join(words)


def memory(used: Figures) -> str:
    """Return the memory in use: 26 MB."""
    return UNKNOWN if used.memory is None else size(used.memory)


def cpu(used: Figures) -> str:
    """Return the CPU time in use, as a part of one CPU: 3%."""
    return UNKNOWN if used.cpu is None else f"{used.cpu * _PERCENT:.0f}%"


def ports(one: AgentOverview) -> str:
    """Return the desktop's ports that lead into it: `ssh 2222, 8080 → 80`."""
    ssh = [f"ssh {one.ssh_port}"] if one.ssh_port else []
    pairs = (*one.published, *((f.port, f.inside) for f in one.forwards))
    others = [str(port) if port == inside else f"{port} → {inside}" for port, inside in pairs]
    return ", ".join((*ssh, *others)) or UNKNOWN


def refused(one: AgentOverview) -> str:
    """Return the number of refused hosts."""
    return str(one.refused) if one.refused else UNKNOWN


def directory(one: AgentOverview, home: str) -> str:
    """Return where it works, or its project's directory; `home` is the user's, shown as ~."""
    place = one.works_in or str(one.ref.directory)
    return f"~{place.removeprefix(home)}" if place.startswith(f"{home}/") else place
