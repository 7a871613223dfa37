"""The console that commands print to. Lines are wrapped for a terminal alone: in a pipe or a log, a broken path is no path.

Neighbours: progress.py (a line that changes), page.py (HTML).
"""

import os

from rich.console import Console

UNWRAPPED = 10_000  # characters of a line


def open_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or as COLUMNS says; without either, wide enough for every line."""
    found = Console(stderr=stderr)
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(stderr=stderr, width=UNWRAPPED)
