"""Problems that say how long to think, and worked solutions of many lengths to learn it from.

A budget that is told stands in the question, and the policy has to keep it by itself (L1, arXiv 2503.04697); one that is
forced ends thinking from outside and is no business of the data (rollout/budget.py). Neighbours: mixture.py, which
applies this to the parts of a mixture; rewards/length.py, whose form `adherence` judges by the column set here.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from alignment.data.rows import Problem

SENTENCE = "Think for about {tokens} tokens."
REVIEW = "Wait, let me look at that again"


def told(problems: Iterable[Problem], budgets: Sequence[int]) -> Iterator[Problem]:
    """The problems, each told one of the budgets in turn; unchanged where there are none."""
    for index, problem in enumerate(problems):
        yield tell(problem, budgets[index % len(budgets)]) if budgets else problem


def tell(problem: Problem, tokens: int) -> Problem:
    """One problem that asks for so many thinking tokens; the number is its column `budget` too."""
    question = f"{problem.question}\n{SENTENCE.format(tokens=tokens)}"
    columns = {**problem.columns, "budget": tokens}
    return replace(problem, id=f"{problem.id}-told-{tokens}", question=question, columns=columns)


def reviewed(problems: Iterable[Problem], most: int, seed: int) -> Iterator[Problem]:
    """The problems, their worked solutions gone over again up to `most` times, as chance decides."""
    rng = random.Random(seed)
    for problem in problems:
        again = f"\n{REVIEW}\n{problem.trace}" * rng.randint(0, most)
        yield replace(problem, trace=problem.trace + again) if problem.trace else problem
