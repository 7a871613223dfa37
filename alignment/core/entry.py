"""How the processes of this project begin and end: an error that is meant for the user ends in words, not in a traceback.

Every entry (the command line, a stage, an evaluation) comes through here, so that the same error reads the same wherever
it is raised. Neighbours: errors.py (our own errors), rewards/errors.py (those of the rewards), run/processes.py (shows
what a child process has said).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alignment.core.errors import AlignmentError
from alignment.core.process import die_with_parent

PREFIX, CONTINUED = "error: ", "  "


def exit_status(error: Exception) -> int | None:
    """The status that a process ends with for an error meant for the user; None for a defect of this project."""
    if isinstance(error, AlignmentError):
        return error.exit_status
    from rewards.errors import RewardsError

    return 1 if isinstance(error, RewardsError) else None


def in_words(error: Exception) -> str:
    """An error as a log shows it: `error: ` and its text, further lines indented, so that its end can be told."""
    return PREFIX + str(error).replace("\n", "\n" + CONTINUED)


def reported_in(log: str) -> str | None:
    """The first error that `in_words` wrote into a log, without what launchers add to it; None where there is none."""
    lines = log.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith(PREFIX)), None)
    if start is None:
        return None
    words = [lines[start].removeprefix(PREFIX)]
    for line in lines[start + 1 :]:
        if not line.startswith(CONTINUED):
            break
        words.append(line.removeprefix(CONTINUED))
    return "\n".join(words)


@contextmanager
def errors_in_words(words: Callable[[Exception], str] = in_words) -> Iterator[None]:
    """Print an error that is meant for the user and exit with its status. Raises SystemExit; a defect passes through."""
    try:
        yield
    except Exception as error:
        status = exit_status(error)
        if status is None:
            raise
        print(words(error), file=sys.stderr, flush=True)
        raise SystemExit(status) from None


def run_child(main: Callable[..., None]) -> None:
    """Run a child process's entry from its command line; the process ends with its parent."""
    die_with_parent()
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)  # a defect's traceback goes into a log
    app.command()(main)
    with errors_in_words():
        app()
