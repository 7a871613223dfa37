"""The identity of an evaluation: everything that decides its figures. Imports no torch.

Neighbours: run/runner.py (what is still to be measured), job.py (measures), sweep/plan.py (points of a budget sweep,
each with the identity of its task).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from alignment.core.files import file_hash
from alignment.core.typed_json import Json
from alignment.data.sources.declared import Table, local_path
from alignment.data.sources.named import is_file, load_source
from alignment.data.sources.own_task import task_content, task_name
from alignment.data.tables.files import table_hash
from alignment.data.tables.paired_prompts import table_path
from alignment.recipe.blocks.engine import WITHOUT_EFFECT
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.own.code import LM_EVAL
from alignment.recipe.schema import Recipe

# What adds figures of its own does not change the others; nor does how fast the engine is.
ELSEWHERE: dict[str, bool | set[str]] = {
    "base_model": True,
    "budgets": True,
    "follow_turns": True,
    "paired_prompts": True,
    "engine": set(WITHOUT_EFFECT),
}
# Nor do a declaration's words; a path of the user's own may change, since what lies there is known by its content.
NOT_DECIDING, OF_A_PATH = {"description", "licence"}, {"id", "hub", "file"}


def files_of(tasks: Sequence[str], recipe: Recipe | None) -> dict[str, str]:
    """The local files that stand in place of tasks: the recipe's overrides, and those that ship with the project."""
    found = {}
    for name in tasks:
        source, override = load_source(name), None if recipe is None else recipe.data.path_of(name)
        if isinstance(source, Table) and (path := local_path(source, override)):
            found[name] = str(path)
    return found


def task_identity(settings: Evaluations, name: str, files: Mapping[str, str]) -> dict[str, Json]:
    """What decides a task's problems: its declaration and parameters, its local file's content, and an own task's fields.

    files: the local file of each task that has one, from `files_of`.
    """
    excluded = NOT_DECIDING | (OF_A_PATH if is_file(name) or name.startswith(LM_EVAL) else set())
    return {
        "name": task_name(name),
        "source": load_source(name).model_dump(mode="json", exclude=excluded),
        "parameters": settings.parameters.get(name, {}),
        "file": table_hash(Path(files[name])) if name in files else None,
        **({"own_task": own} if (own := task_content(name)) is not None else {}),
        "count": settings.count,
        "seed": settings.seed,
    }


def evaluation_identity(recipe: Recipe, output_hash: str) -> Mapping[str, Json]:
    """A recorded evaluation is reused only where this is equal."""
    settings, names = recipe.evaluations, recipe.evaluations.after_each_stage
    written = settings.model_dump(mode="json", exclude=ELSEWHERE)
    if not settings.audits:
        del written["audits"]
    written["after_each_stage"] = [task_name(name) for name in names]
    files = files_of(names, recipe)
    tasks: list[Json] = [task_identity(settings, name, files) for name in names]
    return {"settings": written, "tasks": tasks, "policy": output_hash, "seed": settings.seed}


def follow_identity(recipe: Recipe, output_hash: str) -> Mapping[str, Json]:
    """As `evaluation_identity`, with how many turns a conversation has."""
    return {**evaluation_identity(recipe, output_hash), "follow_turns": recipe.evaluations.follow_turns}


def paired_identity(recipe: Recipe, output_hash: str) -> Mapping[str, Json]:
    """What decides the log-odds on paired prompts: the policy, and what the table holds."""
    name = recipe.evaluations.paired_prompts
    return {"policy": output_hash, "table": None if name is None else file_hash(table_path(name))}


def recorded_files(kind: str, recipe: Recipe, output_hash: str) -> tuple[dict[str, bool], Mapping[str, Json]]:
    """The files of `modes`, `follow` or `paired_prompts`, each with whether it has to be there, and what they were measured by.

    constraints.json is written with the two modes, where a task has constraints; follow.json where follow_turns asks.
    """
    if kind == "modes":
        files: dict[str, bool] = {"thinking": True, "non_thinking": True, "constraints": False}
        return files, evaluation_identity(recipe, output_hash)
    if kind == "paired_prompts":
        asked = recipe.evaluations.paired_prompts is not None
        return {kind: asked}, paired_identity(recipe, output_hash) if asked else {}
    return {"follow": recipe.evaluations.follow_turns > 1}, follow_identity(recipe, output_hash)
