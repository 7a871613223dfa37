"""Questions that ask for a number of thinking tokens, and worked solutions of different lengths to learn it from.

A target length stands in the question, and the policy has to keep it by itself (L1, arXiv 2503.04697). A thinking
budget is enforced by the engine and does not concern the data (inference/thinking_budget.py). Neighbours: mixture.py
(applies this to the parts of a mixture), rewards/kinds/length.py (its form `adherence` scores against the column
`budget`).
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from alignment.data.rows import Problem
from alignment.recipe.blocks.data import MixturePart

SENTENCE = "Think for about {tokens} tokens."
REVIEW = "Wait, let me look at that again"  # begins each review pass


def with_target_lengths(problems: Iterable[Problem], part: MixturePart) -> Iterator[Problem]:
    """Give the problems of a part its target lengths in turn, and repeat their worked solutions.

    The number of review passes is drawn uniformly from 0 to `max_review_passes`. In `length_matched_fraction` of the rows
    it is the index of the target length instead, so that longer solutions go with longer targets.
    """
    rng, lengths = random.Random(part.seed), part.target_lengths
    for number, problem in enumerate(problems):
        index = number % len(lengths) if lengths else 0
        matched = rng.random() < part.length_matched_fraction
        passes = min(index, part.max_review_passes) if matched else rng.randint(0, part.max_review_passes)
        repeated = with_review_passes(problem, passes)
        yield with_target_length(repeated, lengths[index]) if lengths else repeated


def with_target_length(problem: Problem, tokens: int) -> Problem:
    """Copy a problem so that its question asks for this many thinking tokens, also in its column `budget`."""
    asking = problem.with_question(f"{problem.question}\n{SENTENCE.format(tokens=tokens)}")
    columns = {**problem.columns, "budget": tokens}
    return replace(asking, id=f"{problem.id}-target-{tokens}", columns=columns)


def with_review_passes(problem: Problem, passes: int) -> Problem:
    """Copy a problem so that its worked solution is repeated this many times, each after the REVIEW line."""
    if not problem.trace or not passes:
        return problem
    return replace(problem, trace=problem.trace + f"\n{REVIEW}\n{problem.trace}" * passes)
