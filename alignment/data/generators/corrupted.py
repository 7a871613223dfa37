"""Solutions with a planted error: a worked chain in which one result is wrong and the following steps compute with it.

What a process reward model is measured on where no human labels are: the first wrong step is known by construction.
Neighbours: families.py (the worked chains), data/rows.py (Stepwise).
"""

import random
import re
from collections.abc import Iterable, Iterator

from alignment.data.rows import Problem, Stepwise

_LINE = re.compile(r"(-?\d+) ([+-]) (\d+) = (-?\d+)")


def corrupted(problems: Iterable[Problem], seed: int, wrong_fraction: float = 0.5) -> Iterator[Stepwise]:
    """The worked solution of each problem as steps, `wrong_fraction` of them with a planted error.

    Problems whose solution is no chain of `a + b = c` lines are passed over. The chain is thinking, the answer the last step.
    """
    for problem in problems:
        parsed = [_LINE.fullmatch(line) for line in (problem.trace or "").split("\n")]
        chain = [found for found in parsed if found is not None]
        if not chain or len(chain) < len(parsed):
            continue
        draw = random.Random(f"{seed}:{problem.id}")
        place = draw.randrange(len(chain)) if draw.random() < wrong_fraction else None
        yield _solution(problem, chain, place, draw)


def _solution(problem: Problem, chain: list[re.Match[str]], wrong: int | None, draw: random.Random) -> Stepwise:
    total, steps = int(chain[0][1]), []
    for place, line in enumerate(chain):
        result = total + int(line[3]) if line[2] == "+" else total - int(line[3])
        if place == wrong:
            result += draw.choice([-10, -2, -1, 1, 2, 10])
        steps.append(f"{total} {line[2]} {line[3]} = {result}")
        total = result
    steps.append(f"\\boxed{{{total}}}")
    labels: list[float | None] = [1.0] * len(steps)
    if wrong is not None:
        labels = [*[1.0] * wrong, 0.0, *[None] * (len(steps) - wrong - 1)]
    outcome = float(wrong is None)
    return Stepwise(
        problem.id, problem.messages, steps, labels, problem.answer, outcome, problem.family, thinking_steps=len(chain)
    )
