"""Accuracy over the number of rows that a stage trains on, and the fewest that will do.

Sets are nested: the first rows of each part, in the proportions of the recipe. Neighbours: trial.py (trains and
measures), records/trials.py (RowCurve), commands/rows/.
"""

from collections.abc import Sequence
from statistics import fmean

from alignment.core.errors import OptionError
from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import wilson
from alignment.core.statistics.smallest import smallest_from_which
from alignment.data_factory.allotment import allotted
from alignment.records.trials import ROWS, RowCurve, RowPoint, Trial
from alignment.run.trials.trial import Trials

SIZES, LEAST = 6, 8  # without sizes of the user's own: all rows, half of them and so on, and not below LEAST


def sizes_of(rows: int, asked: Sequence[int]) -> list[int]:
    """The numbers of rows to train on, from few to many. Raises OptionError for more than there are, or fewer than two."""
    halved = [rows >> times for times in range(SIZES)]
    found = sorted(set(asked)) or sorted({one for one in halved if one >= LEAST})
    if found and found[-1] > rows:
        raise OptionError(f"found {found[-1]:,} after --sizes, and the stage has {rows:,} rows; write {rows} or less")
    if len(found) < 2 or found[0] < 1:
        raise OptionError(
            f"a curve has two numbers of rows or more, from 1 on, and the stage has {rows:,} rows; write --sizes"
        )
    return found


def measure_rows(trials: Trials, asked: Sequence[int], seeds: int) -> RowCurve:
    """Measure what is missing and write trials/rows-STAGE.json after each number of rows.

    seeds: trainings at each; the first has the recipe's seed.
    """
    own, points = trials.rows(), list[RowPoint]()
    for size in sizes_of(sum(own), asked):
        counts = allotted(size, own, own)
        found = [
            trials.measured(trials.planned(counts, None if not number else trials.plan.recipe.seed + number))
            for number in range(seeds)
        ]
        points.append(_point(found))
        curve = RowCurve(trials.stage, trials.mode, trials.tasks, tuple(points), fewest(points), seeds)
        curve.write(trials.folder / ROWS.format(trials.stage))
    return curve


def fewest(points: Sequence[RowPoint]) -> int | None:
    """The fewest rows from which on every accuracy is within the interval of the best."""
    return smallest_from_which([(one.rows, one.accuracy) for one in points])


def _point(found: Sequence[Trial]) -> RowPoint:
    first = found[0]
    accuracies = tuple(one.accuracy.value for one in found if one.accuracy.value is not None)
    # Trainings answer the same problems: they count as one answer to each, which the interval is for.
    mean = fmean(accuracies)
    estimate = Estimate(mean, *wilson(mean * first.count, first.count)).rounded(4)
    return RowPoint(first.rows, first.counts, estimate, first.count, accuracies, first.steps, first.tokens)
