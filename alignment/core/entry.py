"""Entry points of the project's processes: an error meant for the user is printed as a message, without a traceback.

Every entry point (the command line, a stage, an evaluation) uses it, so an error reads the same wherever it is raised.
Neighbours: errors.py (our errors), rewards/errors.py (those of rewards/), run/processes.py (shows a child's error).
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alignment.core.errors import AlignmentError
from alignment.core.process import die_with_parent

PREFIX, CONTINUED = "error: ", "  "
# Python looks for cycles after 700 new objects; importing torch, TRL and vLLM makes millions, and none is freed.
OBJECTS_BETWEEN_COLLECTIONS = 50_000


def exit_status(error: Exception) -> int | None:
    """The exit status for an error meant for the user; None for a bug of this project."""
    if isinstance(error, AlignmentError):
        return error.exit_status
    from rewards.errors import RewardsError

    return 1 if isinstance(error, RewardsError) else None


def in_words(error: Exception) -> str:
    """Format an error for a log: `error: ` and its text, further lines indented, which marks its end."""
    return PREFIX + str(error).replace("\n", "\n" + CONTINUED)


def reported_in(log: str) -> str | None:
    """The first error that `in_words` wrote into a log, without what launchers add; None without an error."""
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
    """Context manager that prints an error meant for the user and raises SystemExit with its status.

    A bug of this project passes through with its traceback.
    """
    try:
        yield
    except Exception as error:
        status = exit_status(error)
        if status is None:
            raise
        print(words(error), file=sys.stderr, flush=True)
        raise SystemExit(status) from None


def run_child(main: Callable[..., None]) -> None:
    """Run the entry point of a child process with the arguments of its command line; the process ends with its parent."""
    die_with_parent()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)  # a traceback goes into the log as it is
    app.command()(main)
    with errors_in_words():
        app()
