"""Runs all checks of a recipe, and has those of names, paths, templates, budgets and evaluations.

A check is a function from a recipe to issues. An issue says where, what was found, why it cannot work and what to write. All
checks run, so that every error is shown at once. Neighbours: recipe/load.py (errors of the schema), training.py,
model_files.py, references.py, conversations.py and others (checks by subject), plan.py.
"""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from alignment.checks.conversations import conversations
from alignment.checks.generators import procedural_parameters
from alignment.checks.lengths import sequence_lengths
from alignment.checks.model_files import model_files
from alignment.checks.references import references
from alignment.checks.splits import split_overlap
from alignment.checks.training import reward_specs, trainer_settings
from alignment.core.errors import DataError, RecipeError
from alignment.core.resources import resource
from alignment.core.vocabulary import MODES
from alignment.data.mixture import load_parts, mixture_names
from alignment.data.sources import Procedural, Table, can_be_imitated, load_source, local_path, source_names
from alignment.inference.start import vllm_problem
from alignment.recipe.data import MixturePart
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import StageKind, kind_of, kinds
from alignment.recipe.load import Document
from alignment.recipe.sampling import ThinkingBudget
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rollout_of
from alignment.rollout.references import measuring_problem
from alignment.run.plan import Pipeline
from alignment.run.processes import accelerate_config

TRACKERS = ["tensorboard", "trackio", "wandb"]  # of those that TRL reports to
SAMPLING = ("temperature", "top_p", "top_k")  # required for each mode of the evaluations


def checked(path: Path, overrides: list[str]) -> Pipeline:
    """Load a recipe and run every check. Raises RecipeError with all issues, each with file and line."""
    document = Document(path, overrides)
    recipe, problems = document.recipe()
    if recipe is not None:
        for find in CHECKS:
            problems += find(recipe)
    if problems or recipe is None:
        lines = list(dict.fromkeys(document.describe(problem) for problem in document.in_order(problems)))
        raise RecipeError("\n".join([*lines, f"{len(lines)} error{'s' * (len(lines) != 1)}; nothing was started"]))
    return Pipeline.load(path, overrides)


def stage_order(recipe: Recipe) -> Iterator[Issue]:
    """Stage names are unique, and a stage only uses policies and rows of earlier stages."""
    names = recipe.stage_names
    for index, stage in enumerate(recipe.stages):
        place: Place = ("stages", index)
        if names.index(stage.name) < index:
            yield Issue((*place, "name"), f"two stages are called `{stage.name}`; give each a different name")
        earlier = recipe.stages[:index]
        trained = [other.name for other in earlier if kind_of(other).leaves_policy]
        if stage.start_from is not None and stage.start_from not in trained:
            yield Issue((*place, "start_from"), _not_before(stage.start_from, stage.name, names, trained, "a policy"))
        takes = kind_of(stage).takes
        giving = [other.name for other in earlier if takes in kind_of(other).gives]
        for part_place, part in _parts(recipe, index):
            if part.stage is not None and takes != "problems" and part.stage not in giving:
                yield Issue((*part_place, "stage"), _not_before(part.stage, stage.name, names, giving, takes))


def data_names(recipe: Recipe) -> Iterator[Issue]:
    """Mixtures and sources exist, fit the stage's kind, and are not reserved for evaluation."""
    for name in recipe.data.sources:
        if name not in source_names():
            yield Issue(("data", "sources", name), f"there is no such source; {nearest(name, source_names())}")
        elif not recipe.data.sources[name].path.is_file():
            yield Issue(("data", "sources", name, "path"), f"{recipe.data.sources[name].path} is not a file")
    for index, stage in enumerate(recipe.stages):
        place: Place = ("stages", index, "data")
        if isinstance(stage.data, str) and stage.data not in mixture_names():
            yield Issue(place, f"there is no mixture `{stage.data}`; {nearest(stage.data, mixture_names())}")
            continue
        if not isinstance(stage.data, str) and not stage.data:
            yield Issue(place, "is empty, so there is nothing to train on; name a mixture or write parts")
        try:
            for part_place, part in _parts(recipe, index):
                yield from _part_issues(recipe, kind_of(stage), part_place, part)
        except DataError as error:
            yield Issue(place, str(error))


def _part_issues(recipe: Recipe, kind: StageKind[Any], place: Place, part: MixturePart) -> Iterator[Issue]:
    if part.stage is not None:
        if kind.takes == "problems":
            message = f"a {kind.name} stage needs problems with answers, not conversations; name a source"
            yield Issue((*place, "stage"), message)
        return
    if kind.takes in ("pairs", "steps"):
        what = "judged pairs" if kind.takes == "pairs" else "steps with labels"
        wanted = " or ".join(other.name for other in kinds() if kind.takes in other.gives)
        message = f"a {kind.name} stage takes {what}; write `stage: NAME` of a {wanted} stage"
        yield Issue((*place, "source"), message)
    if part.source not in source_names():
        yield Issue(
            (*place, "source"), f"there is no source `{part.source}`; {nearest(str(part.source), source_names())}"
        )
        return
    source = load_source(part.source)
    if kind.takes == "rows" and not can_be_imitated(source):
        yield Issue((*place, "source"), f"`{part.source}` has no answers to train on; use it in a grpo or sample stage")
    if part.split == "evaluation" or (isinstance(source, Table) and source.use == "evaluation"):
        yield Issue(
            (*place, "split" if part.split == "evaluation" else "source"),
            f"`{part.source}` is reserved for evaluation and never trained on; choose another",
        )
    if isinstance(source, Procedural):
        if part.count is None:
            yield Issue(place, f"`{part.source}` generates an unlimited number of problems; write `count`")
        if part.split is None:
            yield Issue(
                place, f"`{part.source}` is procedural; write `split`, so that no stage sees another's problems"
            )
        return
    override = recipe.data.sources.get(str(part.source))
    path = local_path(source, override.path if override else None)
    if path is None and source.hub is None:
        yield Issue((*place, "source"), f"has no hub id; write --set data.sources.{part.source}.path=FILE")
    if path is not None and not path.is_file():
        yield Issue((*place, "source"), f"its file {path} is missing")


def trackers(recipe: Recipe) -> Iterator[Issue]:
    """Trackers are known and installed; a missing one would end the first stage after the model is loaded."""
    for index, name in enumerate(recipe.report_to):
        place: Place = ("report_to", index)
        if name not in TRACKERS:
            yield Issue(place, f"there is no tracker `{name}`; {nearest(name, TRACKERS)}")
        elif importlib.util.find_spec(name) is None:
            yield Issue(
                place, f"{name} is not installed; run `uv pip install {name}` in this environment, or remove it"
            )


def surroundings(recipe: Recipe) -> Iterator[Issue]:
    """The launcher config and the template exist."""
    try:
        accelerate_config(recipe.hardware)
    except RecipeError as error:
        yield Issue(("hardware", "accelerate"), str(error).split(": ", 1)[1])
    if recipe.chat_template and not (resource("data/templates") / f"{recipe.chat_template}.jinja").is_file():
        known = sorted(path.stem for path in resource("data/templates").glob("*.jinja"))
        yield Issue(
            ("chat_template",), f"there is no template `{recipe.chat_template}`; {nearest(recipe.chat_template, known)}"
        )


def rollouts(recipe: Recipe) -> Iterator[Issue]:
    """Engines can run here, and thinking budgets leave room for an answer."""
    for index, stage in enumerate(recipe.stages):
        rollout = rollout_of(stage)
        if rollout is None:
            continue
        place: Place = ("stages", index, "rollout")
        problem = vllm_problem(recipe.hardware.processes if kind_of(stage).trains else 1)
        if rollout.engine == "vllm" and problem:
            yield Issue((*place, "engine"), f"vllm cannot run here: {problem}; write `auto` or `transformers`")
        yield from _budget(place, rollout.thinking_budget, rollout.max_completion_tokens)


def own_checks(recipe: Recipe) -> Iterator[Issue]:
    """The checks that each kind has for its own stages."""
    for index, stage in enumerate(recipe.stages):
        for check in kind_of(stage).checks:
            yield from check(recipe, index, stage)


def _budget(place: Place, budget: ThinkingBudget, longest: int) -> Iterator[Issue]:
    """The stop text ends the thinking, `least` is not above `most`, and both leave room for an answer."""
    place = (*place, "thinking_budget")
    if "</think>" not in budget.stop_text:
        yield Issue((*place, "stop_text"), "has no </think>, so thinking would never end; add it")
    if budget.most is not None and budget.most >= longest:
        yield Issue(
            (*place, "most"), f"leaves no token for the answer; write less than max_completion_tokens {longest}"
        )
    if budget.most is not None and budget.least > budget.most:
        yield Issue((*place, "least"), f"{budget.least} is above most, {budget.most}; lower it")


def evaluations(recipe: Recipe) -> Iterator[Issue]:
    """Tasks exist and can be judged here, budgets leave room for an answer, and both modes have sampling settings."""
    place: Place = ("evaluations",)
    wanted = recipe.evaluations
    yield from _budget(place, wanted.thinking_budget, wanted.max_completion_tokens)
    for index, budget in enumerate(wanted.budgets):
        if not 0 <= budget < wanted.max_completion_tokens:
            yield Issue(
                (*place, "budgets", index),
                f"found {budget}; a budget lies between 0 and max_completion_tokens {wanted.max_completion_tokens}",
            )
    if wanted.budgets and not wanted.after_each_stage:
        yield Issue((*place, "budgets"), "there is no task to measure them on; name one in after_each_stage")
    for index, name in enumerate(wanted.after_each_stage):
        if name not in source_names():
            yield Issue(
                (*place, "after_each_stage", index), f"there is no source `{name}`; {nearest(name, source_names())}"
            )
        elif (problem := measuring_problem(load_source(name))) is not None:
            yield Issue((*place, "after_each_stage", index), problem)
    for mode in MODES:
        given = wanted.sampling.get(mode, {})
        for key in [*(key for key in SAMPLING if key not in given), *(key for key in given if key not in SAMPLING)]:
            why = "is missing; each mode has" if key in SAMPLING else "unknown key; write"
            yield Issue((*place, "sampling", mode, key), f"{why} {', '.join(SAMPLING)}")


def _parts(recipe: Recipe, index: int) -> Iterator[tuple[Place, MixturePart]]:
    """The parts of a stage's data with their places; parts of a mixture file have the place of its name."""
    data = recipe.stages[index].data
    place: Place = ("stages", index, "data")
    try:
        for number, part in enumerate(load_parts(data)):
            yield (place if isinstance(data, str) else (*place, number)), part
    except DataError:
        if not isinstance(data, str) or data in mixture_names():
            raise


def _not_before(name: str, stage: str, names: list[str], allowed: list[str], needed: str) -> str:
    """Why a stage cannot take what it needs (a policy, rows, pairs) from the stage of that name."""
    if name == stage:
        return f"`{name}` cannot use its own output; name an earlier stage"
    if name in names[names.index(stage) :]:
        return f"`{name}` runs after `{stage}`, which would be a cycle; move it before"
    if name in names:
        return f"`{name}` leaves no {needed.removeprefix('a ')}; {nearest(name, allowed)}"
    return f"no stage before this one that leaves {needed} is called `{name}`; {nearest(name, allowed)}"


Check = Callable[[Recipe], Iterator[Issue]]
CHECKS: tuple[Check, ...] = (
    stage_order, data_names, split_overlap, procedural_parameters, trainer_settings, own_checks, reward_specs, model_files,
    sequence_lengths, trackers, surroundings, rollouts, evaluations, references, conversations,
)  # fmt: skip
