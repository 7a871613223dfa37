"""The identity of an evaluation: everything that decides its figures. Imports no torch.

Neighbours: run/runner.py (what is still to be measured), job.py (measures).
"""

from collections.abc import Mapping

from alignment.core.typed_json import Json
from alignment.data.own_task import task_content, task_name
from alignment.recipe.engine import WITHOUT_EFFECT
from alignment.recipe.evaluation import Evaluations

# What adds figures of its own does not change the others; nor does how fast the engine is.
ELSEWHERE: dict[str, bool | set[str]] = {"budgets": True, "follow_turns": True, "engine": set(WITHOUT_EFFECT)}


def evaluation_identity(settings: Evaluations, output_hash: str, seed: int) -> Mapping[str, Json]:
    """A recorded evaluation is reused only where this is equal."""
    written = settings.model_dump(mode="json", exclude=ELSEWHERE)
    written["after_each_stage"] = [task_name(name) for name in settings.after_each_stage]
    own = {task_name(name): found for name in settings.after_each_stage if (found := task_content(name)) is not None}
    return {"settings": {**written, **({"own_tasks": own} if own else {})}, "policy": output_hash, "seed": seed}


def follow_identity(settings: Evaluations, output_hash: str, seed: int) -> Mapping[str, Json]:
    """As `evaluation_identity`, with how many turns a conversation has."""
    return {**evaluation_identity(settings, output_hash, seed), "follow_turns": settings.follow_turns}


def recorded_files(
    kind: str, settings: Evaluations, output_hash: str, seed: int
) -> tuple[dict[str, bool], Mapping[str, Json]]:
    """The files of `modes` or `follow`, each with whether it has to be there, and what they were measured by.

    constraints.json is written with the two modes, where a task has constraints; follow.json where follow_turns asks.
    """
    if kind == "modes":
        files: dict[str, bool] = {"thinking": True, "non_thinking": True, "constraints": False}
        return files, evaluation_identity(settings, output_hash, seed)
    return {"follow": settings.follow_turns > 1}, follow_identity(settings, output_hash, seed)
