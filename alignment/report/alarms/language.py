"""Alarms of the language audit: answers that drift to another language, or to no language that anybody can tell.

A policy that is paid for a language by a check that lets unknown texts pass learns to write letters that are none. Neighbours:
evaluations.py (the other alarms of an evaluation), ../changes.py (which stage is compared with).
"""

from collections.abc import Iterator

from alignment.report.alarms.evidence import alarm, clearly_below, compared_modes, percent_of
from alignment.report.document import Alarm
from alignment.report.run import Run

FEWEST_ANSWERS = 20  # answers whose language could be told before
FRACTION_LEFT = 0.5  # of them, below which it rings


def language_alarms(run: Run, index: int) -> Iterator[Alarm]:
    """Answers of a stage whose language can no longer be told, or is clearly more often another than the question's."""
    stage = run.stages[index]
    for spoken, before, earlier, found in compared_modes(run, index):
        if earlier.language_count >= FEWEST_ANSWERS and found.language_count < FRACTION_LEFT * earlier.language_count:
            message = (
                f"The language of {found.language_count} {spoken} answers can be told, where it was {earlier.language_count} after "
                f"{before}: read them; they may be no language any more."
            )
            left = found.language_count / earlier.language_count
            yield alarm(stage, "language_lost", left, FRACTION_LEFT, message)
        elif clearly_below(found.language_consistency, earlier.language_consistency):
            message = (
                f"{percent_of(found.language_consistency)} of the {spoken} answers whose language can be told are in the question's, where it was "
                f"{percent_of(earlier.language_consistency)} after {before}."
            )
            yield alarm(
                stage, "language_drift", found.language_consistency.value, earlier.language_consistency.value, message
            )
