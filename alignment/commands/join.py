"""`alignment join`: one of the other machines of a run that `alignment launch` runs."""

from pathlib import Path
from typing import Annotated

import typer

from alignment.commands.options import RunDirectory


def join(
    run: RunDirectory,
    machine: Annotated[int, typer.Option(min=1, help="This machine's number, as `alignment launch` printed it.")],
) -> None:
    """Run this machine's ranks of a run that `alignment launch` runs on the first machine, until it is over."""

    from alignment.core.console import open_console
    from alignment.run.machines.join import Joined, ranks_of

    directory = Path(run).absolute()
    Joined(directory, machine, ranks_of(directory), open_console()).go()
