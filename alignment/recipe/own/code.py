"""Code and tasks of the user's own that a recipe names: rewards, environments, evaluation tasks, relative to its file.

Names are made absolute when the recipe is loaded, so that every process finds the same file, and a reward gets its
function's name. Neighbours: paths.py (the same for `data`), recipe/reading/load.py (calls this), rewards/own/loading.py
(the names).
"""

from pathlib import Path
from typing import Any

from alignment.recipe.own.paths import is_path
from rewards.own.loading import OwnCodeError, beside, is_own, own_name

LM_EVAL = "lm_eval:"  # a task of lm-evaluation-harness, by its name there


def with_own_code(values: Any, folder: Path) -> None:
    """Make what a document names as its own absolute, in place. Anything else is left for the schema."""
    if not isinstance(values, dict):
        return
    stages = values.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict):
            _with_own_rewards(stage.get("rewards"), folder)
            with_own_environment(stage.get("rollout"), folder)
    evaluations = values.get("evaluations")
    if isinstance(evaluations, dict):
        with_own_environment(evaluations, folder)
        if "paired_prompts" in evaluations:
            evaluations["paired_prompts"] = own_task(evaluations["paired_prompts"], folder)
        tasks = evaluations.get("after_each_stage")
        if isinstance(tasks, list):
            evaluations["after_each_stage"] = [own_task(task, folder) for task in tasks]


def own_task(task: Any, folder: Path) -> Any:
    """A task of one's own by its absolute path; a name as it stands."""
    if isinstance(task, str) and task.startswith(LM_EVAL):
        name, colon, chosen = task.removeprefix(LM_EVAL).partition(":")
        return f"{LM_EVAL}{own_task(name, folder)}{colon}{chosen}" if is_path(name, folder) else task
    if not is_path(task, folder):
        return task
    return str((folder / Path(task).expanduser()).resolve())


def with_own_grader(spec: Any, folder: Path) -> None:
    """Make the kind of one reward absolute, in place, and name it after its function where it has no name."""
    if not isinstance(spec, dict) or not is_own(spec.get("kind")):
        return
    spec["kind"] = beside(spec["kind"], folder)
    if spec.get("name") is None and (name := short_name(spec["kind"])) is not None:
        spec["name"] = name


def short_name(kind: Any) -> str | None:
    """The name of a function or class of one's own; None for anything else."""
    try:
        return own_name(kind).attribute if is_own(kind) else None
    except OwnCodeError:
        return None


def _with_own_rewards(specs: Any, folder: Path) -> None:
    for spec in specs if isinstance(specs, list) else []:
        with_own_grader(spec, folder)


def with_own_environment(block: Any, folder: Path) -> None:
    """Make the kind of a block's `environment` absolute, in place."""
    chosen = block.get("environment") if isinstance(block, dict) else None
    if isinstance(chosen, dict) and is_own(chosen.get("kind")):
        chosen["kind"] = beside(chosen["kind"], folder)
