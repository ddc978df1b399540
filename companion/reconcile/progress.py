"""Progress: what long work reports while it runs."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives a sentence as each step begins; details of a step are indented."""


class Display:
    """A progress that also shows what the tools say that perform the steps."""

    def __call__(self, sentence: str) -> None:
        """Show that a step begins."""
        raise NotImplementedError

    def output(self, line: str) -> None:
        """Show a line of a tool's output."""
        raise NotImplementedError

    def end(self) -> None:
        """Show that the last step is over."""


def report_output(progress: Progress, line: str) -> None:
    """Report a line of a tool's output to a progress that shows it."""
    if isinstance(progress, Display):
        progress.output(line)
