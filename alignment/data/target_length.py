"""Problems that say how long to think, and worked solutions of many lengths to learn it from.

A budget that is told stands in the question, and the policy has to keep it by itself (L1, arXiv 2503.04697); one that is
forced ends thinking from outside and is no business of the data (inference/thinking_budget.py). Neighbours: mixture.py, which
applies this to the parts of a mixture; rewards/kinds/length.py, whose form `adherence` judges by the column set here.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from alignment.data.rows import Problem
from alignment.recipe.data import MixturePart

SENTENCE = "Think for about {tokens} tokens."
REVIEW = "Wait, let me look at that again"


def told(problems: Iterable[Problem], part: MixturePart) -> Iterator[Problem]:
    """The problems of a part, each told one of its budgets in turn, their worked solutions gone over again.

    How often is up to chance, up to `max_review_passes` times; in `length_matched_fraction` of the rows it is the place of the told budget among
    the part's budgets, so that the length means what the question says.
    """
    rng, budgets = random.Random(part.seed), part.target_lengths
    for index, problem in enumerate(problems):
        place = index % len(budgets) if budgets else 0
        means_it = rng.random() < part.length_matched_fraction
        again = min(place, part.max_review_passes) if means_it else rng.randint(0, part.max_review_passes)
        gone_over = reviewed(problem, again)
        yield tell(gone_over, budgets[place]) if budgets else gone_over


def tell(problem: Problem, tokens: int) -> Problem:
    """One problem that asks for so many thinking tokens; the number is its column `budget` too."""
    asked = problem.with_question(f"{problem.question}\n{SENTENCE.format(tokens=tokens)}")
    columns = {**problem.columns, "budget": tokens}
    return replace(asked, id=f"{problem.id}-told-{tokens}", columns=columns)


def reviewed(problem: Problem, times: int) -> Problem:
    """One problem, its worked solution gone over again so many times."""
    if not problem.trace or not times:
        return problem
    return replace(problem, trace=problem.trace + f"\n{REVIEW}\n{problem.trace}" * times)
