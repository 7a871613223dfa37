"""`alignment doctor`: checks the installation. Neighbour: examination.py (the work)."""

import typer


def doctor() -> None:
    """Check the installation; print the command that fixes each problem."""
    from rich.console import Console

    from alignment.commands.doctor.examination import examine

    raise typer.Exit(examine(Console()))
