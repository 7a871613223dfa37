"""Alarms of the language audit: answers that drift to another language, or to no language that anybody can tell.

A policy that is paid for a language by a check that lets unknown texts pass learns to write letters that are none. Neighbours:
evaluations.py (the other alarms of an evaluation), ../changes.py (which stage is compared with).
"""

from collections.abc import Iterator

from alignment.core.vocabulary import MODES
from alignment.records.evaluation import EvaluationFigures
from alignment.report.alarms.evidence import alarm
from alignment.report.changes import evaluated_before
from alignment.report.document import Alarm
from alignment.report.run import Run

FEWEST_ANSWERS = 20  # answers whose language could be told before
FRACTION_LEFT = 0.5  # of them, below which it rings


def language_alarms(run: Run, index: int) -> Iterator[Alarm]:
    """Answers of a stage whose language can no longer be told, or is clearly more often another than the question's."""
    stage = run.stages[index]
    for mode in MODES:
        before = evaluated_before(run.stages, index, mode)
        if before is None or mode not in stage.evaluations:
            continue
        earlier, found = before.evaluations[mode].figures, stage.evaluations[mode].figures
        spoken = mode.replace("_", "-")
        if earlier.language_count >= FEWEST_ANSWERS and found.language_count < FRACTION_LEFT * earlier.language_count:
            message = (
                f"The language of {found.language_count} {spoken} answers can be told, where it was {earlier.language_count} after "
                f"{before.name}: read them; they may be no language any more."
            )
            left = found.language_count / earlier.language_count
            yield alarm(stage, "language_lost", left, FRACTION_LEFT, message)
        elif _clearly_below(found, earlier):
            message = (
                f"{_percent(found)} of the {spoken} answers whose language can be told are in the question's, where it was "
                f"{_percent(earlier)} after {before.name}."
            )
            yield alarm(
                stage, "language_drift", found.language_consistency.value, earlier.language_consistency.value, message
            )


def _clearly_below(found: EvaluationFigures, earlier: EvaluationFigures) -> bool:
    high, low = found.language_consistency.high, earlier.language_consistency.low
    return high is not None and low is not None and high < low


def _percent(figures: EvaluationFigures) -> str:
    return f"{figures.language_consistency.value or 0.0:.0%}"
