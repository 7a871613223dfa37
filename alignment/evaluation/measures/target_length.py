"""How near the thinking comes to what a question asks for (docs/run-directory.md, `target_lengths`).

Nothing ends the thinking from outside here. Neighbours: data/target_length.py (puts the budget into the question), measure.py.
"""

from collections.abc import Sequence
from typing import Any

from alignment.data.rows import Problem
from alignment.data.target_length import with_target_length
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.evaluation.measures.outcomes import accuracy, certain


def adherence(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> list[dict[str, Any]]:
    """A point per told budget; the error of an answer is |thought - told| / told."""
    points = []
    for budget in evaluator.settings.target_lengths:
        asked = [with_target_length(problem, budget) for problem in problems[: evaluator.settings.target_length_count]]
        rows = evaluator.answers([Question(problem, "thinking", flagged=False) for problem in asked], seed)
        outcomes = [outcome(row) for row in rows]
        off = [abs(one.thinking_tokens - budget) / budget for one in outcomes]
        points.append(
            {
                "budget": budget,
                **accuracy(outcomes),
                **certain("mean_thinking_tokens", outcomes, [one.thinking_tokens for one in outcomes]),
                **certain("adherence_error", outcomes, off),
            }
        )
    return points
