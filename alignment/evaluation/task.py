"""Tasks: the problems of evaluation sources, or of the evaluation split of procedural ones.

Neighbours: data/sources/rows.py (reads them), answering.py (answers and judges them).
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

from alignment.core.errors import DataError
from alignment.core.typed_json import Json
from alignment.core.vocabulary import SPLITS, Split
from alignment.data.rows import Problem
from alignment.data.sources.declared import Procedural, Table
from alignment.data.sources.named import is_own, load_source
from alignment.data.sources.own_task import as_asked, task_name, task_of
from alignment.data.sources.rows import source_problems
from alignment.evaluation.lm_eval.names import is_lm_eval, lm_eval_fault
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.schema import Recipe
from alignment.rollout.references import measuring_fault


def held_out(recipe: Recipe, count: int, seed: int) -> list[Problem]:
    """`count` problems of each of a recipe's evaluation tasks. Raises DataError as `task_problems` does."""
    chosen: list[Problem] = []
    for name in recipe.evaluations.after_each_stage:
        override = recipe.data.sources.get(name)
        parameters = recipe.evaluations.parameters.get(name, {})
        chosen += task_problems(name, count, seed, parameters=parameters, path=override.path if override else None)
    return chosen


def task_problems(
    name: str, count: int, seed: int, *, parameters: Mapping[str, Json], path: Path | None = None
) -> list[Problem]:
    """`count` problems of one task, the same for the same seed; no stage trains on them.

    Raises DataError for a source that is not for evaluation.
    """
    if is_lm_eval(name):
        from alignment.evaluation.lm_eval.task import lm_eval_task  # heavy, and an extra

        return lm_eval_task(name).problems(count, seed)
    source, task = evaluation_source(name), task_of(name)
    splits: tuple[Split, ...] = ("evaluation",) if isinstance(source, Procedural) else SPLITS
    found = source_problems(source, seed=seed, parameters=parameters, path=path, splits=splits)
    if task is None:
        return list(itertools.islice(found, count))
    return [as_asked(task, problem) for problem in itertools.islice(found, min(count, task.count or count))]


def all_problems(settings: Evaluations, files: Mapping[str, str]) -> list[Problem]:
    """The problems of all tasks of an evaluation, some from local files. Raises DataError as `named_problems` does."""
    return [one for name in settings.after_each_stage for one in named_problems(settings, name, files.get(name))]


def named_problems(settings: Evaluations, name: str, file: str | None) -> list[Problem]:
    """The problems of one task with an evaluation's settings, from a local file if given.

    Raises DataError for a task without problems, and as `task_problems` does.
    """
    name = entry_of(settings, name)
    path = Path(file) if file else None
    parameters = settings.parameters.get(name, {})
    found = task_problems(name, settings.count, settings.seed, parameters=parameters, path=path)
    if not found:
        raise DataError(
            f"task `{name}` has no problems; write another name after --tasks, or fix {path or 'its source'}"
        )
    return found


def evaluation_source(name: str) -> Procedural | Table:
    """The declaration of a task.

    Raises DataError if there is none, if it is for training, or if this machine cannot isolate the programs it runs.
    """
    source = load_source(name)
    fault = lm_eval_fault(name) if is_lm_eval(name) else measuring_fault(source, own=is_own(name))
    if fault is not None:
        raise DataError(fault)
    return source


def entry_of(settings: Evaluations, name: str) -> str:
    """The entry of `after_each_stage` that a task's name in a report stands for."""
    return next((entry for entry in settings.after_each_stage if name in (entry, task_name(entry))), name)
