"""Whether accuracy changed from one stage to the next: the difference, its test, and a verdict that names losses.

The test is the two-proportion z-test with a pooled variance, two-sided at 95%. It treats the two evaluations as
independent samples; as both answer the same problems, it is careful: a real change may go unnamed, more seldom is a
chance one named. Tasks are tested one by one and without a correction for their number.
Neighbours: record.py (what is compared), document.py (puts the result under `changes`).
"""

import math
from collections.abc import Sequence
from typing import Any

from alignment.report.record import BudgetPoint, Evaluation, Number, Stage, TaskScore

TEST = "two-proportion z-test, two-sided, 95%"
CRITICAL_Z = 1.959964
BESIDE_ACCURACY = ("format", "think_follow", "mean_thinking_tokens", "mean_answer_tokens", "truncated_fraction")


def z_score(before: Evaluation | TaskScore, after: Evaluation | TaskScore) -> float:
    """z of the difference of two accuracies (after minus before), with the variance pooled; 0 where there is none."""
    if before.accuracy is None or after.accuracy is None or not before.count or not after.count:
        return 0.0
    pooled = (before.accuracy * before.count + after.accuracy * after.count) / (before.count + after.count)
    variance = pooled * (1 - pooled) * (1 / before.count + 1 / after.count)
    return (after.accuracy - before.accuracy) / math.sqrt(variance) if variance > 0 else 0.0


def verdict(z: float) -> str:
    """gain, loss or no clear change."""
    if abs(z) <= CRITICAL_Z:
        return "no clear change"
    return "gain" if z > 0 else "loss"


def accuracy_change(before: Evaluation | TaskScore, after: Evaluation | TaskScore) -> dict[str, Any]:
    """The `accuracy`, `z`, `significant` and `verdict` of one comparison."""
    z = z_score(before, after)
    return {
        "accuracy": difference(before.accuracy, after.accuracy),
        "z": round(z, 3),
        "significant": abs(z) > CRITICAL_Z,
        "verdict": verdict(z),
    }


def mode_change(since: str, before: Evaluation, after: Evaluation) -> dict[str, Any]:
    """What changed in one mode since the stage named `since`: accuracy with its test, other measures without one."""
    earlier = {task.task: task for task in before.tasks}
    tasks = [
        {"task": task.task} | accuracy_change(earlier[task.task], task) for task in after.tasks if task.task in earlier
    ]
    beside = {name: difference(getattr(before, name), getattr(after, name)) for name in BESIDE_ACCURACY}
    return {"since": since, "test": TEST} | accuracy_change(before, after) | beside | {"tasks": tasks}


def difference(before: Number, after: Number) -> Number:
    return None if before is None or after is None else round(after - before, 6)


def evaluated_before(stages: Sequence[Stage], index: int, mode: str) -> Stage | None:
    """The stage that stage `index` is compared with in this mode: the latest one it descends from that was evaluated.

    Descent is followed through the manifests' inputs, by name or by hash. A stage whose inputs are not recorded yet
    is compared with the latest evaluated stage before it.
    """
    earlier = list(stages[:index])
    if stages[index].inputs:
        ancestors = _ancestors(stages, index)
        earlier = [stage for stage in earlier if stage.name in ancestors]
    evaluated = [stage for stage in earlier if mode in stage.evaluations]
    return evaluated[-1] if evaluated else None


def _ancestors(stages: Sequence[Stage], index: int) -> set[str]:
    found: set[str] = set()
    wanted = dict(stages[index].inputs)
    for stage in reversed(stages[:index]):
        if stage.name in wanted or (stage.output_hash and stage.output_hash in wanted.values()):
            found.add(stage.name)
            wanted.update(stage.inputs)
    return found


def spearman(points: Sequence[BudgetPoint]) -> Number:
    """Spearman's rank correlation of budget and accuracy over a sweep; None under three points or where one is flat."""
    pairs = [
        (math.inf if point.budget is None else point.budget, point.accuracy)
        for point in points
        if point.accuracy is not None
    ]
    if len(pairs) < 3:
        return None
    budgets, accuracies = _ranks([pair[0] for pair in pairs]), _ranks([pair[1] for pair in pairs])
    middle = (len(pairs) + 1) / 2
    covariance = sum((one - middle) * (other - middle) for one, other in zip(budgets, accuracies, strict=True))
    spread = math.sqrt(sum((rank - middle) ** 2 for rank in budgets) * sum((rank - middle) ** 2 for rank in accuracies))
    return round(covariance / spread, 4) if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, ties sharing their mean rank."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) + 1) / 2 for value in values]
