"""`alignment doctor`: what this machine has and lacks. Neighbour: examination.py (looks)."""

import typer


def doctor() -> None:
    """Say what is installed and what is missing. With what this machine allows, and the command that fixes it."""
    from rich.console import Console

    from alignment.commands.doctor.examination import examine

    raise typer.Exit(examine(Console()))
