"""Progress: what long work reports while it runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives a sentence as each step begins; details of a step are indented."""


class Display(ABC):
    """A progress that also shows what the tools say that perform the steps."""

    @abstractmethod
    def __call__(self, sentence: str) -> None:
        """Show that a step begins."""

    @abstractmethod
    def output(self, line: str) -> None:
        """Show a line of a tool's output."""

    def end(self) -> None:  # noqa: B027 - lines are shown whole, and have no end to show
        """Show that the last step is over."""


def report_output(progress: Progress, line: str) -> None:
    """Report a line of a tool's output to a progress that shows it."""
    if isinstance(progress, Display):
        progress.output(line)
