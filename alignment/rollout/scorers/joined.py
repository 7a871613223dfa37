"""ModelScorer, the seam for scores that come from a model, and joining them to the verifiers' verdicts.

A scorer sees rollouts and gives verdicts; a hook then turns the scores of one group into what enters the reward. Unknown
stays unknown: a rollout that a weighted scorer could not score has no total. Neighbours: reward_model.py and fluency.py (the
scorers), ../scoring.py (the verifiers and the total).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from alignment.rollout.scoring import RESUMES, Judged, Scorer
from alignment.rollout.trajectory import Trajectory
from rewards import Verdict, not_applicable
from rewards.compose import TASK, VerdictsUnavailable, is_of_task, refuse_broken


class ModelScorer(Protocol):
    """What scores rollouts by a model. `name` is that of its verdicts; with weight 0 it only records them.

    tasks: patterns of the tasks whose rollouts it scores; all without any.
    """

    name: str
    weight: float
    tasks: tuple[str, ...]

    def verdicts(self, rollouts: Sequence[Trajectory]) -> list[Verdict]:
        """A verdict for each rollout, in order: the score as it is recorded, None where it is not known."""
        ...

    def in_group(self, scores_G: Sequence[float | None]) -> list[float | None]:
        """The hook: what enters the reward, from the scores of all rollouts of one problem."""
        ...


def with_scores(
    verifiers: Scorer, scorers: Sequence[ModelScorer], judged: Sequence[Judged], group: int
) -> list[Judged]:
    """Judged rollouts with the scorers' verdicts and their part of the total.

    group: rollouts of one problem, one after another. Raises rewards.VerdictsUnavailable if a scorer fails on most of them.
    """
    rows = list(judged)
    for scorer in scorers:
        own = [place for place, one in enumerate(rows) if is_of_task(one.problem.family, scorer.tasks)]
        scored = dict(zip(own, _scored(verifiers, scorer, [rows[place] for place in own], group), strict=True))
        rows = [scored[place] if place in scored else _left_out(one, scorer.name) for place, one in enumerate(rows)]
    return rows


def _scored(verifiers: Scorer, scorer: ModelScorer, rows: Sequence[Judged], group: int) -> list[Judged]:
    """Whole groups of rollouts with one scorer's verdicts and its part of the total."""
    found = scorer.verdicts([one.trajectory for one in rows]) if rows else []
    try:
        refuse_broken(scorer.name, found)
    except VerdictsUnavailable as error:
        raise error.advising(RESUMES) from error
    values: list[float | None] = []
    for start in range(0, len(found), group):
        values += scorer.in_group([verdict.score for verdict in found[start : start + group]])
    return [
        verifiers.joined(one, scorer.name, verdict, scorer.weight, value)
        for one, verdict, value in zip(rows, found, values, strict=True)
    ]


def _left_out(row: Judged, name: str) -> Judged:
    """A rollout of a task that is not this scorer's."""
    return replace(row, verdicts={**row.verdicts, name: not_applicable(TASK)})
