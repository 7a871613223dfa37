"""Grades the answers of an evaluation: each task by its own grader, and those of the project by the one that applies.

Neighbours: answering.py (the answers), data/sources/own_task.py (what a task of one's own says), rollout/scoring.py
(verdicts).
"""

from collections.abc import Sequence
from dataclasses import replace

from alignment.data.rows import Problem
from alignment.data.sources.own_task import task_name, task_of
from alignment.evaluation.lm_eval.names import is_lm_eval
from alignment.evaluation.lm_eval.task import lm_eval_task
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.own_task import OwnTask
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import Trajectory
from rewards import Rollout, Verdict
from rewards.kinds.language import LanguageConsistency

# Each problem is graded by the first of CORRECTNESS that applies to it: by its task, its answer, its constraints, its tests,
# the answers that are known, the calls that it asks for, or whether it should be refused.
OWN = "task"
CORRECTNESS = (OWN, "math_answer", "instruction", "python_tests", "abstention", "tool_call", "refusal")
OF_EVERY_TASK = [
    Reward(kind="think_format", weight=0.0),
    Reward(kind="tool_call", weight=0.0),
    Reward(kind="abstention", weight=0.0),
    Reward(kind="refusal", weight=0.0),
    Reward.model_validate({"kind": "math_answer", "name": "claimed", "weight": 0.0, "columns": {"answer": "claimed"}}),
]
GRADERS = [
    Reward(kind="math_answer"),
    Reward.model_validate({"kind": "instruction", "all_or_nothing": True}),
    Reward(kind="python_tests"),
    *OF_EVERY_TASK,
]
LANGUAGE = "language"  # the name of the audit's verdict
SCORE = "score"  # the name of an own grader's verdict


class Graders:
    """The graders of an evaluation's tasks. Use `close` when done."""

    def __init__(self, settings: Evaluations) -> None:
        found = [task for name in settings.after_each_stage if (task := task_of(name)) is not None]
        self.tasks = {task.name: task for task in found}
        harness = [name for name in settings.after_each_stage if is_lm_eval(name)]
        self._harness = {task_name(name): lm_eval_task(name) for name in harness}
        self._shipped, self._of_none = Scorer(GRADERS), Scorer(OF_EVERY_TASK)
        self._own = {name: Scorer([_named(task), *OF_EVERY_TASK]) for name, task in self.tasks.items()}
        # Not among the scorers, which stop where most rows cannot be judged: of sums nobody can say in which language they are.
        self._language = LanguageConsistency(parts="both") if "language" in settings.audits else None

    def judge(self, problems: Sequence[Problem], completions: Sequence[Trajectory]) -> list[Judged]:
        """Verdicts in order, each with that of CORRECTNESS which its task asks for."""
        judged: dict[int, Judged] = {}
        for name in dict.fromkeys(problem.family for problem in problems):
            picked = [place for place, problem in enumerate(problems) if problem.family == name]
            found = self._of(name).judge([problems[one] for one in picked], [completions[one] for one in picked])
            judged |= {place: self._accepted(row) for place, row in zip(picked, found, strict=True)}
        return self._audited([judged[place] for place in range(len(problems))])

    def _audited(self, rows: list[Judged]) -> list[Judged]:
        """With the verdict on the language of answer and thinking, where the evaluation asks for it."""
        if self._language is None:
            return rows
        made = [Rollout(row.trajectory.opening.messages, row.trajectory.text) for row in rows]
        found = self._language.judge(made)
        return [replace(row, verdicts={**row.verdicts, LANGUAGE: one}) for row, one in zip(rows, found, strict=True)]

    def close(self) -> None:
        """End the verifiers."""
        for scorer in (self._shipped, self._of_none, *self._own.values()):
            scorer.close()

    def _of(self, name: str) -> Scorer:
        return self._of_none if name in self._harness else self._own.get(name, self._shipped)

    def _accepted(self, row: Judged) -> Judged:
        """With a verdict of 1 or 0 by the score that a task of one's own accepts."""
        if (other := self._harness.get(row.problem.family)) is not None:
            judged = other.verdict(row.problem, row.trajectory.text)
            return replace(row, verdicts={**row.verdicts, SCORE: judged, OWN: judged})
        task = self.tasks.get(row.problem.family)
        if task is None:
            return row
        given = row.verdicts[SCORE]
        score = None if given.score is None else float(given.score >= task.accept_score)
        return replace(row, verdicts={**row.verdicts, OWN: Verdict(score, given.reason, given.evidence)})


def _named(task: OwnTask) -> Reward:
    return task.grader.model_copy(update={"name": SCORE, "weight": 1.0, "gate": False})


def correctness(judged: Judged) -> float | None:
    """The score of the grader that a problem is for; None where it could not judge."""
    found = [judged.verdicts[name] for name in CORRECTNESS if name in judged.verdicts]
    applicable = [one for one in found if one.applicable]
    return applicable[0].score if applicable else None
