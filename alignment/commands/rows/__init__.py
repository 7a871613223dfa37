"""`alignment rows`: how many rows a stage needs.

Neighbours: trying.py (shared with commands/mixture.py), run/trials/row_curve.py (the work).
"""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alignment.commands.options import AsJson, Overrides, RecipeFile
from alignment.core.vocabulary import Mode

if TYPE_CHECKING:
    from alignment.records.trials import RowCurve

OfStage = Annotated[str | None, typer.Option(help="The stage that is trained again and again (default: the first).")]
Measured = Annotated[Mode, typer.Option(help="The mode whose accuracy counts.")]
RunDirectory = Annotated[Path | None, typer.Option("--run", help="The run directory (default: runs/NAME).")]


def rows(
    recipe: RecipeFile,
    stage: OfStage = None,
    sizes: Annotated[
        str, typer.Option(help="Numbers of rows, such as 50,100,200 (default: all of the stage's, and halves of it).")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings at each number of rows.")] = 1,
    mode: Measured = "thinking",
    set_: Overrides = None,
    run_: RunDirectory = None,
    json_: AsJson = False,
) -> None:
    """Measure accuracy over the number of rows that a stage trains on, and name the fewest that will do.

    Each number is a training from the same start and an evaluation. What is measured is kept; running again resumes.
    """
    from alignment.commands.rows.trying import asked_sizes, finished, trials_of
    from alignment.run.trials.row_curve import measure_rows

    trials = trials_of(recipe, set_ or [], run_, stage, mode)
    with trials.alone(), closing(trials):
        trials.prepare()
        curve = measure_rows(trials, asked_sizes(sizes), seeds)
    finished(trials, curve, as_json=json_, words=_said(curve))


def _said(curve: "RowCurve") -> str:
    if curve.chosen is None:
        return f"{curve.stage}: only the most rows reach the interval of the best; the curve still rises"
    counts = next(one.counts for one in curve.points if one.rows == curve.chosen)
    written = ", ".join(f"{name}: {count}" for name, count in counts.items())
    return f"{curve.stage}: {curve.chosen:,} rows are within the interval of the best; write count {written}"
