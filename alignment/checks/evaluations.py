"""Checks of the evaluations: their tasks, budgets and sampling settings.

Neighbours: recipe.py (runs the checks), rollouts.py (thinking budgets).
"""

from collections.abc import Iterator

from alignment.checks.own_tasks import repeated_names, task_faults
from alignment.checks.rollouts import engine, environment, thinking_budget
from alignment.core.errors import DataError
from alignment.core.vocabulary import MODES
from alignment.data.rows import Problem
from alignment.data.sources.own_task import task_of
from alignment.data.tables.paired_prompts import paired_prompts
from alignment.evaluation.lm_eval.names import is_lm_eval
from alignment.evaluation.task import task_problems
from alignment.recipe.blocks.evaluation import LEAST_SAMPLES
from alignment.recipe.issue import Issue, Place
from alignment.recipe.schema import Recipe
from rewards.own.loading import is_own as is_own_code

SAMPLING = ("temperature", "top_p", "top_k")  # required for each mode of the evaluations


def evaluations(recipe: Recipe) -> Iterator[Issue]:
    """Tasks exist and can be judged here, budgets leave room for an answer, and both modes have sampling settings."""
    place: Place = ("evaluations",)
    wanted = recipe.evaluations
    yield from engine(place, wanted.engine, processes=1)
    yield from thinking_budget(place, wanted.thinking_budget, wanted.max_completion_tokens)
    yield from environment(place, wanted.environment, _first(recipe))
    for index, budget in enumerate(wanted.budgets):
        if not 0 <= budget < wanted.max_completion_tokens:
            yield Issue(
                (*place, "budgets", index),
                f"found {budget}; a budget lies between 0 and max_completion_tokens {wanted.max_completion_tokens}",
            )
    if wanted.budgets and not wanted.after_each_stage:
        yield Issue((*place, "budgets"), "there is no task to measure them on; name one in after_each_stage")
    for index, name in enumerate(wanted.after_each_stage):
        for fault in task_faults(name, recipe.data.max_failing_fraction):
            yield Issue((*place, "after_each_stage", index), fault)
    if "calibration" in wanted.audits and wanted.samples < LEAST_SAMPLES:
        told = f"calibration compares samples of a problem, and `samples` is {wanted.samples}; write {LEAST_SAMPLES} or more"
        yield Issue((*place, "audits"), told)
    if wanted.paired_prompts is not None:
        yield from _paired(wanted.paired_prompts, (*place, "paired_prompts"))
    for index, fault in repeated_names(wanted.after_each_stage):
        yield Issue((*place, "after_each_stage", index), fault)
    for mode in MODES:
        given = wanted.sampling.get(mode, {})
        for key in [*(key for key in SAMPLING if key not in given), *(key for key in given if key not in SAMPLING)]:
            why = "is missing; each mode has" if key in SAMPLING else "unknown key; write"
            yield Issue((*place, "sampling", mode, key), f"{why} {', '.join(SAMPLING)}")


def _first(recipe: Recipe) -> list[Problem]:
    """A problem of a task that an environment of the user's own will get, to try it with."""
    wanted = recipe.evaluations
    if not is_own_code(wanted.environment.kind):
        return []
    for name in wanted.after_each_stage:
        own, override = task_of(name), recipe.data.sources.get(name)
        if is_lm_eval(name) or (own is not None and own.environment is not None):
            continue
        try:
            path = override.path if override else None
            found = task_problems(name, 1, wanted.seed, parameters=wanted.parameters.get(name, {}), path=path)
        except DataError:
            continue  # said of the task itself
        if found:
            return found
    return []


def _paired(name: str, place: Place) -> Iterator[Issue]:
    try:
        paired_prompts(name)
    except DataError as error:
        yield Issue(place, str(error))
