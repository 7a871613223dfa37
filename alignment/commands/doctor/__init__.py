"""`alignment doctor`: checks the installation. Neighbour: examination.py (the work)."""

import typer


def doctor() -> None:
    """Check the installation; print the command that fixes each problem."""
    from alignment.commands.doctor.examination import examine
    from alignment.core.console import open_console

    raise typer.Exit(examine(open_console()))
