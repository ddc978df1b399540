"""What does a gateway's resolver know? Names that a test adds, as the engine's resolver would."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def tell(gateway: Any, address: str, *names: str) -> None:
    """Let a running gateway (as `inspect` shows it) know an address by names."""
    with Path(gateway["HostsPath"]).open("a") as hosts:
        hosts.write(f"\n{address} {' '.join(names)}\n")
    for pid in descendants(gateway["State"]["Pid"]):
        if Path(f"/proc/{pid}/comm").read_text() == "dnsmasq\n":
            os.kill(pid, signal.SIGHUP)


def descendants(pid: int) -> Iterator[int]:
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        yield child
        yield from descendants(child)
