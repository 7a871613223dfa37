"""Runs filter_queries: asks the policy without thinking where that is wanted, sorts the problems, writes them and the card.

Sampling goes by chunks as in a sample stage: one that is done is not drawn again after a kill. Neighbours: sample.py
(the chunks), checked_rows.py (the card and the counts), data_factory/filters/queries.py (the checks).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from alignment.data.mixture import load_parts, problems_of
from alignment.data.rows import Problem
from alignment.data.sources.rows import LeftOut
from alignment.data_factory.checked_card import Origin
from alignment.data_factory.evaluations import evaluation_tests
from alignment.data_factory.filters.check import sort_rows
from alignment.data_factory.filters.queries import query_checks, verifiable
from alignment.records.rollout import RolloutRow
from alignment.training.context import StageContext
from alignment.training.stages.checked_rows import finish
from alignment.training.stages.sample import is_accepted, judged_chunks

if TYPE_CHECKING:
    from alignment.training.kinds.filter_queries import FilterQueriesStage


def run(context: StageContext) -> int:
    """Sort a stage's problems; returns the tokens sampled. Raises DataError if none is left."""
    stage: FilterQueriesStage = context.stage
    problems, origin = _read(context)
    tests = evaluation_tests(context.recipe, stage.tests)
    rows = _answered(context, problems)
    solved = None if rows is None else _rates(problems, rows, stage)
    checks = query_checks(problems, stage.rewards, solved, stage.solved_fraction, tests.index)
    finish(context, sort_rows(problems, checks), checks, origin, tests, "problems.jsonl")
    return sum(row.completion_tokens for row in rows or [])


def _read(context: StageContext) -> tuple[list[Problem], Origin]:
    """Every problem of a stage's data, and the part that each is from. Ids that stand twice get a number."""
    left_out: list[LeftOut] = []
    problems, parts = list[Problem](), dict[str, int]()
    for number, part in enumerate(load_parts(context.stage.data)):
        for problem in problems_of(context.recipe, [part], left_out, context.artifact):
            name, again = problem.id, 2
            while name in parts:
                name, again = f"{problem.id}~{again}", again + 1
            parts[name] = number
            problems.append(replace(problem, id=name))
    context.leave_out(left_out)
    return problems, Origin(parts)


def _answered(context: StageContext, problems: list[Problem]) -> list[RolloutRow] | None:
    """The policy's judged answers without thinking to the problems that can be judged; None where none is wanted."""
    stage: FilterQueriesStage = context.stage
    if stage.rollout is None:
        return None
    asked = stage.model_copy(update={"rollout": stage.rollout.model_copy(update={"thinking_fraction": 0.0})})
    sound = [
        one for one, found in zip(problems, verifiable(problems, stage.rewards), strict=True) if not found.at_fault
    ]
    context.folder.checkpoints.mkdir(parents=True, exist_ok=True)
    chunks = judged_chunks(replace(context, stage=asked), sound)
    return [row for chunk in chunks for row in chunk]


def _rates(problems: list[Problem], rows: list[RolloutRow], stage: "FilterQueriesStage") -> dict[str, float | None]:
    """The fraction of accepted answers to each problem, of those that could be judged; None where none could."""
    known: dict[str, list[bool]] = {problem.id: [] for problem in problems}
    for row in rows:
        if row.reward is not None:
            known[row.problem].append(is_accepted(row, stage))
    return {name: sum(found) / len(found) if found else None for name, found in known.items()}
