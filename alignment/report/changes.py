"""Whether accuracy changed from one stage to the next: the difference, its test, and a verdict that names losses.

The test is the two-proportion z-test with a pooled variance, two-sided at 95%. It treats the two evaluations as
independent samples; since both answer the same problems, it is conservative: it may miss a real change. Tasks are tested
separately, without a correction for their number.
Neighbours: records/evaluation.py (what is compared), document.py (the classes of the result).
"""

import math
from collections.abc import Sequence
from typing import Protocol

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.ranks import rank_correlation
from alignment.core.typed_json import described
from alignment.core.vocabulary import Mode
from alignment.records.evaluation import EvaluationFigures
from alignment.records.sweep import SweepPoint
from alignment.report.document import AccuracyChange, Change, Number, Outcome, TaskChange
from alignment.report.run import Stage

TEST = "two-proportion z-test, two-sided, 95%"
CRITICAL_Z = 1.959964
# Every other figure that is one number is compared too, without a test.
BESIDE_ACCURACY = tuple(
    one.name for one in described(EvaluationFigures) if one.kind == Number and one.name != "seconds"
)


class Scored(Protocol):
    """Judged answers: one mode of an evaluation, or one task of it."""

    @property
    def count(self) -> int:
        """Number of judged answers."""
        ...

    @property
    def accuracy(self) -> Estimate:
        """Fraction of judged answers that are correct."""
        ...


def z_score(before: Scored, after: Scored) -> float:
    """z of the difference of two accuracies (after minus before), with the variance pooled; 0 where there is none."""
    first, second = before.accuracy.value, after.accuracy.value
    if first is None or second is None or not before.count or not after.count:
        return 0.0
    pooled = (first * before.count + second * after.count) / (before.count + after.count)
    variance = pooled * (1 - pooled) * (1 / before.count + 1 / after.count)
    return (second - first) / math.sqrt(variance) if variance > 0 else 0.0


def verdict(z: float) -> Outcome:
    """gain, loss or no clear change."""
    if abs(z) <= CRITICAL_Z:
        return "no clear change"
    return "gain" if z > 0 else "loss"


def accuracy_change(before: Scored, after: Scored) -> AccuracyChange:
    """The difference of two accuracies with its test."""
    z = z_score(before, after)
    gap = difference(before.accuracy.value, after.accuracy.value)
    return AccuracyChange(gap, round(z, 3), abs(z) > CRITICAL_Z, verdict(z))


def mode_change(since: str, before: EvaluationFigures, after: EvaluationFigures) -> Change:
    """The change in one mode since the stage named `since`: accuracy with its test, other figures without."""
    earlier = {task.task: task for task in before.tasks}
    tasks = [
        TaskChange(one.task, accuracy_change(earlier[one.task], one)) for one in after.tasks if one.task in earlier
    ]
    beside = {name: difference(getattr(before, name), getattr(after, name)) for name in BESIDE_ACCURACY}
    return Change(since, TEST, accuracy_change(before, after), tuple(tasks), beside)


def difference(before: Number, after: Number) -> Number:
    """after - before; None if either is not known."""
    return None if before is None or after is None else round(after - before, 6)


def evaluated_before(stages: Sequence[Stage], index: int, mode: Mode) -> Stage | None:
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


def spearman(points: Sequence[SweepPoint]) -> Number:
    """Spearman's rank correlation of budget and accuracy on a curve; None under three points or where one is flat."""
    known = [(point.place.budget, point.figures.accuracy.value) for point in points]
    pairs = [(budget, accuracy) for budget, accuracy in known if budget is not None and accuracy is not None]
    found = rank_correlation([float(budget) for budget, _ in pairs], [accuracy for _, accuracy in pairs])
    return None if found is None else round(found, 4)
