"""Everything that `alignment processbench` measures of a process reward model or a judge.

Neighbours: bench.py, evaluation/calibration.py, stress.py, best_of.py (the arithmetic), inference/process_model.py (scores).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alignment.core.progress import Progress
from alignment.data.rows import WRONG_BELOW, Stepwise
from alignment.data_factory.step_labels import judge
from alignment.evaluation.calibration import calibration, last_step_minima
from alignment.evaluation.process.bench import NO_ERROR, Marked, bench_figures, best_threshold, random_f1
from alignment.evaluation.process.best_of import Candidate, best_of_curve
from alignment.evaluation.process.stress import STRESS, rewritten, stress_figures
from alignment.inference.process_model import Solution, StepModel
from alignment.recipe.blocks.process import Aggregate, aggregated
from alignment.recipe.blocks.steps import JudgedSteps
from alignment.records.judges import JudgeSpending
from alignment.records.process import (
    BestOfN,
    CalibrationPoint,
    ProcessRecord,
    ProcessSubset,
    ScoredTrace,
    StressTest,
)

Rows = Sequence[Stepwise]
BEST_OF = (1, 2, 4, 8, 16, 32, 64)
KEPT_TRACES = 8
PART = 32  # solutions that are scored between two reports
STRESSED = 256  # solutions that stress tests change, at most


@dataclass(frozen=True)
class BenchSettings:
    """How a model is measured. threshold: given, or chosen on `threshold_rows`, which must be other rows."""

    threshold: float | None = None
    threshold_rows: Rows = ()
    threshold_from: str = "given"
    aggregate: Aggregate = "minimum"
    seed: int = 0
    stress: bool = True  # six readings more of a part of the solutions


def measure_model(model: StepModel, subsets: Mapping[str, Rows], settings: BenchSettings) -> ProcessRecord:
    """F1 on each subset, calibration, outcome drift and stress tests."""
    threshold = settings.threshold if settings.threshold is not None else 0.5
    if settings.threshold_rows:
        scores = _scores(model, "threshold", [_solution(row) for row in settings.threshold_rows])
        threshold = best_threshold(_marked(settings.threshold_rows, scores))
    found: dict[str, list[list[float] | None]] = {
        name: _scores(model, name, [_solution(row) for row in rows]) for name, rows in subsets.items()
    }
    pairs = [
        (row, scores) for name, rows in subsets.items() for row, scores in zip(rows, found[name], strict=True) if scores
    ]
    subset_figures = [_subset(name, rows, found[name], threshold) for name, rows in subsets.items()]
    labelled = [
        (score, float(label >= WRONG_BELOW))
        for row, scores in pairs
        for score, label in zip(scores, row.labels, strict=True)
        if label is not None
    ]
    bins, error = calibration([score for score, _ in labelled], [label for _, label in labelled])
    stressed = pairs[:: math.ceil(len(pairs) / STRESSED) or 1] if settings.stress else []
    last, by_chance = last_step_minima([scores for _, scores in pairs])
    return ProcessRecord(
        model=model.name,
        subsets=tuple(subset_figures),
        f1=_mean([one.f1 for one in subset_figures]),
        threshold=round(threshold, 6),
        threshold_from=settings.threshold_from,
        aggregate=settings.aggregate,
        calibration=tuple(
            CalibrationPoint(one.steps, round(one.mean_score, 4), round(one.right_fraction, 4)) for one in bins
        ),
        calibration_error=None if error is None else round(error, 4),
        last_step_minima=None if last is None else round(last, 4),
        last_step_minima_by_chance=None if by_chance is None else round(by_chance, 4),
        stress=tuple(_stressed(model, stressed, settings)) if stressed else (),
        traces=tuple(_trace(row, scores) for row, scores in pairs[:: max(1, len(pairs) // KEPT_TRACES)][:KEPT_TRACES]),
    )


def measure_judge(method: JudgedSteps, subsets: Mapping[str, Rows]) -> ProcessRecord:
    """F1 of a judge that names the first wrong step; rows that it did not answer are left out and counted.

    Raises EngineError as StepJudge.critiques.
    """
    asked = judge.StepJudge(method)
    figures = []
    for name, rows in subsets.items():
        shown = [judge.Solution(str(row.prompt[-1].get("content") or ""), row.steps, row.states) for row in rows]
        critiques = asked.critiques(shown)
        marked = [
            Marked(_label(row), [], _first_wrong(found.labels.labels))
            for row, found in zip(rows, critiques, strict=True)
            if found.labels.known
        ]
        figures.append(_figures(name, marked, 0.5, len(rows) - len(marked), None))
    spent = asked.spent_in_all()
    return ProcessRecord(
        f"judge {asked.model}",
        tuple(figures),
        _mean([one.f1 for one in figures]),
        judge=JudgeSpending(spent.asked, spent.tokens, round(spent.cost, 6)),
    )


def best_of(problems: Sequence[Sequence[Candidate]], seed: int, weight: Aggregate) -> tuple[BestOfN, ...]:
    """The curve of best of N, as it is recorded. weight: what an answer counts in the weighted vote."""
    return tuple(
        BestOfN(
            one.n,
            one.mean_tokens,
            one.product,
            one.minimum,
            one.last,
            one.mean,
            one.majority,
            one.pass_at_n,
            one.outcome,
            one.weighted,
        )
        for one in best_of_curve(problems, BEST_OF, seed, weight)
    )


def _subset(name: str, rows: Rows, scores: Sequence[list[float] | None], threshold: float) -> ProcessSubset:
    marked = _marked(rows, scores)
    return _figures(name, marked, threshold, len(rows) - len(marked), round(random_f1(marked, draws=5), 4))


def _figures(
    name: str, marked: Sequence[Marked], threshold: float, unscored: int, chance: float | None
) -> ProcessSubset:
    found = bench_figures(marked, threshold)
    return ProcessSubset(
        name, found.errors, found.right, found.with_error, found.without_error, round(found.f1, 4), chance, unscored
    )


def _marked(rows: Rows, scores: Sequence[list[float] | None]) -> list[Marked]:
    return [Marked(_label(row), found) for row, found in zip(rows, scores, strict=True) if found]


def _scores(model: StepModel, what: str, solutions: Sequence[Solution]) -> list[list[float] | None]:
    """The scores of solutions in parts, with a report after each. The longest come first, so that no estimate is too low."""
    progress, found = Progress(what, len(solutions)), dict[int, list[float] | None]()
    order = sorted(range(len(solutions)), key=lambda place: -sum(map(len, solutions[place].steps)))
    for start in range(0, len(order), PART):
        part = order[start : start + PART]
        found |= zip(part, model.scores([solutions[place] for place in part]), strict=True)
        progress.report(len(found))
    return [found[place] for place in range(len(solutions))]


def _stressed(
    model: StepModel, pairs: Sequence[tuple[Stepwise, list[float]]], settings: BenchSettings
) -> list[StressTest]:
    """Each test on the solutions that it changes."""
    found = []
    for name in STRESS:
        changed = [(row, scores, rewritten(name, row.steps, place)) for place, (row, scores) in enumerate(pairs)]
        kept = [(row, scores, steps) for row, scores, steps in changed if steps is not None]
        solutions = [Solution(row.prompt, steps, _thinking_steps(row, steps)) for row, _, steps in kept]
        after = _scores(model, f"stress, {name}", solutions)
        both = [
            (before, later)
            for (_, scores, _), again in zip(kept, after, strict=True)
            if (before := aggregated(scores, settings.aggregate)) is not None
            and (later := aggregated(again or [], settings.aggregate)) is not None
        ]
        figures = stress_figures(name, [one for one, _ in both], [one for _, one in both])
        found.append(StressTest(name, figures.risen, figures.mean_change, figures.solutions))
    return found


def _trace(row: Stepwise, scores: Sequence[float]) -> ScoredTrace:
    question = str(row.prompt[-1].get("content") or "")
    rounded = tuple(round(one, 4) for one in scores)
    return ScoredTrace(question, tuple(row.steps), rounded, row.first_error, tuple(row.states))


def _solution(row: Stepwise) -> Solution:
    return Solution(row.prompt, row.steps, row.thinking_steps)


def _thinking_steps(row: Stepwise, rewritten: Sequence[str]) -> int:
    """How many steps of a rewritten solution come before the one with the answer, which no rewriting changes inside."""
    if row.thinking_steps in (0, len(row.steps)):
        return len(rewritten) if row.thinking_steps else 0
    answer = row.steps[row.thinking_steps]
    return next((place for place, one in enumerate(rewritten) if answer in one), len(rewritten))


def _label(row: Stepwise) -> int:
    return NO_ERROR if row.first_error is None else row.first_error


def _first_wrong(labels: Sequence[float | None]) -> int:
    return next((place for place, one in enumerate(labels) if one is not None and one < WRONG_BELOW), NO_ERROR)


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
