"""`alignment launch`: runs a recipe on several machines, which this one asks by ssh, Slurm starts, or the user does."""

from pathlib import Path
from typing import Annotated

import typer

from alignment.commands.options import Overrides, RecipeFile, Redo


def launch(
    recipe: RecipeFile,
    hosts: Annotated[
        str,
        typer.Option(help="Addresses of the machines, separated by commas; this one first, as the others reach it."),
    ] = "",
    slurm: Annotated[
        int | None, typer.Option(min=1, help="Write an sbatch script for so many nodes, and submit it.")
    ] = None,
    ssh: Annotated[
        str, typer.Option(help="How other machines are reached; empty: you type there what is printed here.")
    ] = "ssh -o BatchMode=yes",
    redo: Redo = None,
    set_: Overrides = None,
    run_: Annotated[
        Path | None, typer.Option("--run", help="The run directory, on a file system that all share.")
    ] = None,
) -> None:
    """Run a recipe, or resume it, with stages that train on several machines. The first one runs everything else."""

    from alignment.checks.recipe import checked
    from alignment.commands.run import carry_out, set_aside
    from alignment.core.console import open_console
    from alignment.core.errors import OptionError
    from alignment.run.machines.first import Machines
    from alignment.run.machines.several import asked, refuse_hosts
    from alignment.run.machines.slurm import submit
    from alignment.run.plan import RunPlan

    console = open_console()
    checked(recipe, set_ or [])
    plan = RunPlan.load(recipe, set_ or [], run_)
    names = tuple(name.strip() for name in hosts.split(",") if name.strip())
    if bool(names) == bool(slurm):
        raise OptionError(
            "write either --hosts a,b with all machines, this one first, or --slurm with the number of nodes"
        )
    refuse_hosts(plan.recipe, len(names) or int(slurm or 0))
    set_aside(plan, redo or [], console)
    if slurm:
        submit(plan, slurm, console)
        return
    plan.prepare()
    machines = Machines(plan.run.path.absolute(), names, names[0])
    try:
        with asked(machines, ssh.split(), console):
            machines.wait()
            carry_out(plan, console, machines=machines)
    finally:
        machines.close()
