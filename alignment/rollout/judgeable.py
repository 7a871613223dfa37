"""Whether problems can be judged at all, asked before a stage samples: each by a reward with a weight, on usable columns.

Neighbours: scoring.py (judges their completions), checks/rows/ (the same of rows at hand, before a run).
"""

from collections.abc import Sequence
from typing import Any

import rewards
from alignment.core.errors import DataError
from alignment.data.rows import Problem
from alignment.recipe.blocks.rewards import Reward
from rewards.compose import is_of_task


def refuse_unjudged(
    problems: Sequence[Problem], specs: Sequence[Reward], *, scored_tasks: Sequence[Sequence[str]] = ()
) -> None:
    """Raise DataError for a problem that no weighted reward can judge, or that a reward calls unusable.

    scored_tasks: of each model with a weight, the patterns of the tasks whose answers it scores; without any, of all tasks.
    """
    _refuse_idle(problems, specs)
    weighted = [spec for spec in specs if spec.weight]
    for problem in problems:
        row = {"tools": problem.tools, **problem.columns, "answer": problem.answer}
        own = [spec for spec in weighted if is_of_task(problem.family, spec.tasks or ())]
        by_model = any(is_of_task(problem.family, tasks) for tasks in scored_tasks)
        if not by_model and not any(rewards.is_row_of(spec.kind, named_columns(spec, row)) for spec in own):
            has = sorted(name for name, value in row.items() if value not in (None, "", []))
            raise DataError(f"problem {problem.id} can be judged by no reward that has a weight; it has {has}")
        faults_found = (rewards.row_fault(spec.kind, named_columns(spec, row)) for spec in specs)
        trouble = next((found for found in faults_found if found is not None), None)
        if trouble is not None:
            raise DataError(f"problem {problem.id}: {trouble}")


def _refuse_idle(problems: Sequence[Problem], specs: Sequence[Reward]) -> None:
    """Raise DataError for a reward whose tasks no problem is of: a misspelt name would leave it out in silence."""
    tasks = list(dict.fromkeys(problem.family for problem in problems))
    for spec in specs:
        if spec.tasks and not any(is_of_task(task, spec.tasks) for task in tasks):
            raise DataError(
                f"reward `{spec.called}` is for the tasks {', '.join(spec.tasks)}, and no problem of this stage is of them; "
                f"they are of {', '.join(tasks[:30])}"
            )


def named_columns(spec: Reward, row: dict[str, Any]) -> dict[str, Any]:
    """A row's columns under the names that a reward's verifier knows, by the spec's `columns`."""
    named = (spec.model_extra or {}).get("columns") or {}
    return {**row, **{own: row.get(given) for own, given in named.items()}}
