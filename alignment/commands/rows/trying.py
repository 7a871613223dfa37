"""What `alignment rows` and `alignment mixture` have in common: the trials of a stage, and what is printed in the end."""

import json
from pathlib import Path

from alignment.checks.recipe import checked
from alignment.core.console import open_console
from alignment.core.errors import OptionError
from alignment.core.typed_json import encode
from alignment.core.vocabulary import Mode
from alignment.records.trials import MixtureSearch, RowCurve
from alignment.report import write_report
from alignment.report.render.trials import MIXTURE_HEADINGS, ROW_HEADINGS, mixture_sentences, mixture_table, row_table
from alignment.run.plan import RunPlan
from alignment.run.trials.trial import Trials


def trials_of(recipe: Path, overrides: list[str], run: Path | None, stage: str | None, mode: Mode) -> Trials:
    """The trials of a recipe's stage; without a name, of its first that trains on rows. Raises as `alignment run` does."""
    checked(recipe, overrides)
    plan = RunPlan.load(recipe, overrides, run)
    name = stage or next(iter(plan.trained_stages()), plan.recipe.stage_names[0])
    plan.folder(name)  # refuses an unknown one
    return Trials(plan, name, mode, open_console(stderr=True))


def asked_sizes(text: str) -> list[int]:
    """The numbers of `50,100`. Raises OptionError for anything else."""
    try:
        return [int(one) for one in text.split(",") if one.strip()]
    except ValueError as error:
        raise OptionError(f"found {text!r} after --sizes; write whole numbers, separated by commas") from error


def finished(trials: Trials, found: RowCurve | MixtureSearch, *, as_json: bool, words: str) -> None:
    """Print what was found, and put it into the report of the run."""
    write_report(trials.plan.run.path)
    if as_json:
        print(json.dumps(encode(found), indent=2, ensure_ascii=False))
        return
    console = open_console()
    rows, headings = (
        (row_table(found), ROW_HEADINGS) if isinstance(found, RowCurve) else (mixture_table(found), MIXTURE_HEADINGS)
    )
    for line in [headings, *rows]:
        console.print(
            "  ".join(f"{value:<16}" for value in line).rstrip(), highlight=False, markup=False, soft_wrap=True
        )
    for sentence in [] if isinstance(found, RowCurve) else mixture_sentences(found):
        console.print(sentence, highlight=False, markup=False)
    console.print(words, highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {trials.plan.run.path / 'report.html'}", highlight=False, markup=False, soft_wrap=True)
