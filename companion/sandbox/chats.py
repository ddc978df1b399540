"""Chats of the desktop: what an agent may do where the user wants all agents to be. Pure."""

from collections.abc import Iterable, Iterator

from companion.plugins.contribution import RuntimeProgram
from companion.sandbox.powers import Agreed, Kind, Power


def powers(program: RuntimeProgram, names: Iterable[str]) -> Iterator[Power]:
    """Yield what an agent may do in chats of the desktop, if it speaks ACP.

    Args:
        program: its runtime.
        names: the programs in whose chats the user wants all agents.
    """
    for name in names if program.acp_command else ():
        where = f"is an agent in the chat of {name}"
        text = f"{where}, where it may ask for the desktop's files and commands"
        yield Power(Agreed(Kind.CHAT, name), text)
