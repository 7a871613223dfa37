"""What alarms are made from: figures of a stage over its steps, and values of its identity.

Neighbours: the other files here (one noun each), report/run.py (Stage).
"""

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import TypeGuard

from alignment.core.statistics.estimate import Estimate
from alignment.core.vocabulary import MODES
from alignment.records.evaluation import EvaluationFigures
from alignment.report.alarms.trends import outer_quarters
from alignment.report.changes import evaluated_before
from alignment.report.document import Alarm, Level, Number
from alignment.report.run import Run, Stage


def alarm(stage: Stage, kind: str, value: Number, threshold: Number, message: str, level: Level = "warning") -> Alarm:
    """An alarm of a stage; value and threshold are None where nothing was measured."""
    return Alarm(stage.name, kind, level, None if value is None else round(value, 6), threshold, message)


def compared_modes(run: Run, index: int) -> Iterator[tuple[str, str, EvaluationFigures, EvaluationFigures]]:
    """Of each mode that a stage and one before it were measured in: its name in words, the earlier stage's, and both figures."""
    stage = run.stages[index]
    for mode in MODES:
        before = evaluated_before(run.stages, index, mode)
        if before is not None and mode in stage.evaluations:
            figures = before.evaluations[mode].figures, stage.evaluations[mode].figures
            yield mode.replace("_", "-"), before.name, *figures


def clearly_below(one: Estimate, other: Estimate) -> bool:
    """Whether one interval ends below where the other begins."""
    return one.high is not None and other.low is not None and one.high < other.low


def percent_of(found: Estimate) -> str:
    """A fraction in whole percent."""
    return f"{found.value or 0.0:.0%}"


def mean_of(stage: Stage, metric: str) -> Number:
    """The mean of a metric over a stage's lines; None where no line has it."""
    values = [value for _, value in stage.series(metric)]
    return fmean(values) if values else None


def quarters(stage: Stage, metric: str) -> tuple[float, float] | None:
    """The means of the first and the last quarter of a metric; None with fewer than four values."""
    values = [value for _, value in stage.series(metric)]
    if len(values) < 4:
        return None
    before, after = outer_quarters(values)
    return fmean(before), fmean(after)


def count_of(stage: Stage, name: str) -> float:
    """A number of the manifest's counts; 0 where it is not there."""
    found = stage.counts.get(name)
    return float(found) if is_number(found) else 0.0


def values_of(tree: object, key: str) -> Iterator[object]:
    """Every value stored under `key` at any depth of a JSON tree."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values_of(value, key)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from values_of(item, key)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of an identity is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
