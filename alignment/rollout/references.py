"""Checks that a source's references pass their own verifier: each sampled reference is judged as an answer.

If a verifier rejects a correct reference, RL would punish correct answers. `alignment check` covers local files; a
public set is not downloaded for that, so the stage that reads it calls `refuse_failing`. Neighbours:
checks/rows/references.py (the check), scoring.py (verdicts on rollouts).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Problem
from alignment.data.sources.declared import Procedural, Table, has_messages, has_pairs, row_columns
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rewards_of
from rewards import machine_fault, spec_faults
from rewards.gold import GoldFailure, failures_of_gold, gold_columns, has_gold

SAMPLED_ROWS = 200  # of each source
COMMON = {"kind", "name", "weight", "gate", "clip", "columns", "tasks"}


def measuring_fault(source: Procedural | Table, *, own: bool = False) -> str | None:
    """Why a source cannot be evaluated on: it is for training, or its programs cannot be isolated here. None if it can.

    own: whether it is the user's, who decides what is held out.
    """
    if isinstance(source, Table) and (has_messages(source) or has_pairs(source)):
        holds = "chats" if has_messages(source) else "pairs of answers"
        return f"`{source.id}` holds {holds}, and a task needs problems with answers; write its `fields`"
    if not own and source.use != "evaluation":
        return f"`{source.id}` is for training; name a source with `use: evaluation`"
    fault = machine_fault({"kind": "python_tests"}) if "tests" in row_columns(source) else None
    return None if fault is None else f"`{source.id}` is judged by running programs; {fault}"


def refuse_failing(recipe: Recipe, stage: StageFields, problems: Sequence[Problem]) -> None:
    """Raise DataError if more of a source's sampled references fail than `data.max_failing_fraction` allows."""
    by_source: dict[str, list[Problem]] = {}
    for problem in problems:
        if len(sample := by_source.setdefault(problem.family, [])) < SAMPLED_ROWS:
            sample.append(problem)
    found = [
        text
        for sample in by_source.values()
        for text in failing(sample, graders_of(rewards_of(stage)), recipe.data.max_failing_fraction)
    ]
    if found:
        raise DataError(f"stage `{stage.name}`: " + "; ".join(found))


def failing(sample: Sequence[Problem], graders: dict[str, dict[str, Any]], max_fraction: float) -> Iterator[str]:
    """For each verifier that rejects too many references: how many, why, and the first of them."""
    for kind, options in graders.items():
        graded = [(one.id, {"answer": one.answer, **one.columns}) for one in sample if is_for(kind, one)]
        failures = failures_of_gold(kind, graded, options) if graded else []
        if failures and len(failures) > max_fraction * len(graded):
            yield _message(sample[0].family, kind, failures, len(graded), max_fraction)


def _message(source: str, kind: str, failures: Sequence[GoldFailure], graded: int, max_fraction: float) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(one.reason for one in failures).most_common())
    first = failures[0]
    return (
        f"{len(failures)} of {graded} sampled references of `{source}` do not pass {kind} as an answer ({reasons}), and "
        f"data.max_failing_fraction is {max_fraction:g}; the first is {first.place}: {first.reference[:80]!r}; fix the "
        "file, name its right field in data/sources/, or raise max_failing_fraction"
    )


def graders_of(specs: Sequence[Reward]) -> dict[str, dict[str, Any]]:
    """The options of each reward kind that has gold answers; an invalid reward is reported by its own check."""
    dumped = [spec.spec() for spec in specs if has_gold(spec.kind)]
    return {
        one["kind"]: {name: value for name, value in one.items() if name not in COMMON}
        for one in dumped
        if not spec_faults([one])
    }


def is_for(kind: str, problem: Problem) -> bool:
    """Whether a row has the columns that a kind judges."""
    others = gold_columns(kind) - {"answer"}
    held = all(column in problem.columns for column in others)
    return held and (bool(others) or bool(problem.answer) or not problem.columns)
