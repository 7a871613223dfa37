"""The order in which a step asks for the problems of many tasks: tasks whose rewards vary more often, others less.

A task that is always solved, or never, teaches nothing: its groups have no advantage. So each task's part of a step is in
proportion to the variance of its rewards (p(1 - p) for a reward of 0 or 1 with pass rate p), over a floor that every task has.
Within a task, problems never asked come first. Neighbours: difficulty.py (the pool), records/difficulty.py (what is known).
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from alignment.records.difficulty import ProblemDifficulty

TASK_HALF_LIFE_STEPS = 10.0  # of what was seen of a task: shorter than a problem's, since each step sees the task anew
PRIOR_COMPLETIONS = 8.0  # of the mean task, which each estimate is mixed with
LEAST_VARIANCE = 1e-6  # so that tasks come in equal parts where no reward varies


def task_variances(
    tasks: Sequence[str], known: Mapping[str, ProblemDifficulty], task_of: Mapping[str, str], step: int
) -> dict[str, float]:
    """The expected variance of the reward of each task's groups; of one that was never asked for, that of the mean task."""
    weights, sums = dict.fromkeys(tasks, 0.0), dict.fromkeys(tasks, 0.0)
    for name in sorted(known):
        one = known[name]
        weight = one.completions * 0.5 ** (max(0, step - one.last_step) / TASK_HALF_LIFE_STEPS)
        weights[task_of[name]] += weight
        sums[task_of[name]] += weight * one.variance
    seen = [sums[task] / weights[task] for task in tasks if weights[task] > 0]
    mean = sum(seen) / len(seen) if seen else 1.0
    return {task: (sums[task] + PRIOR_COMPLETIONS * mean) / (weights[task] + PRIOR_COMPLETIONS) for task in tasks}


def by_task(
    problems: Sequence[str],
    task_of: Mapping[str, str],
    variances: Mapping[str, float],
    explore: float,
    draw: random.Random,
) -> Iterator[str]:
    """Problems that come in an order of their own within each task, so that each task has its part of any number of them.

    A task's part is `explore` in equal parts and the rest by variance. Each place goes to the task that is owed most; what tasks
    are owed at first is random, so that small parts come up in some steps.
    """
    waiting: dict[str, list[str]] = {task: [] for task in variances}
    for name in reversed(problems):
        waiting[task_of[name]].append(name)
    total = sum(max(one, LEAST_VARIANCE) for one in variances.values())
    part = {
        task: explore / len(variances) + (1 - explore) * max(variance, LEAST_VARIANCE) / total
        for task, variance in variances.items()
    }
    owed = {task: draw.random() for task in variances}
    for _ in problems:
        for task in owed:
            owed[task] += part[task]
        chosen = max((task for task in owed if waiting[task]), key=lambda task: (owed[task], task))
        owed[chosen] -= 1.0
        yield waiting[chosen].pop()
