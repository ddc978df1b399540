"""Memory that the C library keeps for each thread."""

import sys


def share_between_threads() -> None:
    """Let all threads allocate from one place, where that can be chosen: there are a hundred.

    glibc would keep a place for each of the first threads, eight for each core, with what is free
    in it. Only one thread runs Python at a time, so they do not wait for each other more.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - start-up time is a budget

        most_arenas = -8
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt:
            mallopt(most_arenas, 1)
