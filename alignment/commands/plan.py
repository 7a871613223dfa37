"""`alignment plan`: what a recipe needs of each device, part by part, and how long it takes at most."""

from typing import TYPE_CHECKING, Annotated

import typer

from alignment.commands.options import Overrides, RecipeFile

if TYPE_CHECKING:
    from rich.table import Table

    from alignment.recipe.schema import Recipe
    from alignment.sizing.estimate import Estimates

OnHardware = Annotated[
    str | None,
    typer.Option(metavar="NxDEVICE", help="Devices, as in 8xH100 or RTX4090 (default: the recipe's hardware)."),
]


def plan(recipe: RecipeFile, hardware: OnHardware = None, set_: Overrides = None) -> None:
    """Estimate each stage's memory per device and its hours, before anything is rented. Starts nothing, needs no GPU."""

    from alignment.checks.plan import memory_lines
    from alignment.checks.recipe import checked
    from alignment.core.console import open_console
    from alignment.core.errors import OptionError
    from alignment.sizing.cluster import cluster_of, this_machine
    from alignment.sizing.estimate import estimates

    cluster = cluster_of(hardware) if hardware else this_machine()
    found = checked(recipe, set_ or [])
    estimated = estimates(found.recipe, found.base.path, cluster, _rows(found.recipe))
    if estimated is None:
        raise OptionError(
            f"{found.recipe.model}: no config.json with the sizes of a decoder can be read; download the model, and write its "
            "folder as `model`"
        )
    console, shape = open_console(), estimated.shape
    where = (
        f"{cluster.count} x {cluster.device.name}" if cluster else f"launcher config {found.recipe.hardware.accelerate}"
    )
    active = "" if shape.experts == 1 else f", {shape.active:,} of them for a token"
    console.print(
        f"{found.recipe.name}: {shape.parameters:,} parameters{active}, on {where}", highlight=False, soft_wrap=True
    )
    console.print(_table(estimated))
    for line in memory_lines(estimated.stages):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if cluster is not None:
        console.print(
            "Hours are the most: every row and completion as long as it may be. docs/hardware.md says how well both hold."
        )


def _table(estimated: "Estimates") -> "Table":
    from rich.table import Table

    beside = [name for name in ("scorers", "judges") if any(getattr(one.memory, name) for one in estimated.stages)]
    columns = ("weights", "gradients", "optimizer", "activations", "logits", "engine", "reference", *beside, "base")
    table = Table(box=None, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    for column in (*columns, "GiB", "of", "hours"):
        table.add_column(column, justify="right")
    for one in estimated.stages:
        parts = dict(one.memory.parts())
        hours = f"{one.duration.hours:.1f}" if one.duration else ""
        sizes = [f"{parts[name]:.1f}" if name in parts else "" for name in columns]
        table.add_row(one.stage, *sizes, f"{one.memory.gib:.1f}", f"{one.device_gib:.0f}", hours)
    return table


def _rows(recipe: "Recipe") -> dict[str, int]:
    """How many rows each stage trains on, where its parts all say so."""
    from alignment.data.mixture import load_parts

    counts = {stage.name: [part.count for part in load_parts(stage.data)] for stage in recipe.stages}
    return {name: sum(one or 0 for one in found) for name, found in counts.items() if found and all(found)}
