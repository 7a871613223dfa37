"""`alignment mixture`: which fractions of which source a stage should train on.

Neighbour: run/trials/mixture_search.py (the work).
"""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from alignment.commands.options import AsJson, Overrides, RecipeFile
from alignment.commands.rows import Measured, OfStage, RunDirectory

if TYPE_CHECKING:
    from alignment.records.trials import MixtureSearch


def mixture(
    recipe: RecipeFile,
    stage: OfStage = None,
    rows: Annotated[int | None, typer.Option(min=8, help="Rows of each trial (default: all of the stage's).")] = None,
    trials: Annotated[int, typer.Option(min=4, help="Mixtures that a round tries.")] = 8,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds; 1 tries at random, each further one what looks best.")
    ] = 2,
    seeds: Annotated[
        int, typer.Option(min=1, help="Trainings of the mixture found and of the recipe's, in the end.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the mixtures that are drawn.")] = 0,
    mode: Measured = "thinking",
    set_: Overrides = None,
    run_: RunDirectory = None,
    json_: AsJson = False,
) -> None:
    """Search for the fractions of a stage's sources by small trials and a regression, and measure what they gain.

    Search on a small model with `--set model=NAME --run DIRECTORY`. What is measured is kept; running again resumes.
    """
    from alignment.commands.rows.trying import finished, trials_of
    from alignment.run.trials.mixture_search import SearchSettings, search_mixture

    tried = trials_of(recipe, set_ or [], run_, stage, mode)
    with tried.alone(), closing(tried):
        tried.prepare()
        found = search_mixture(tried, SearchSettings(rows, trials, rounds, seeds, seed))
    finished(tried, found, as_json=json_, words=_said(found))


def _said(found: "MixtureSearch") -> str:
    written = ", ".join(f"{name}: {count}" for name, count in zip(found.groups, found.counts, strict=True))
    return f"{found.stage}: of {found.rows:,} rows, count {written}"
