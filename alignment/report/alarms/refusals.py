"""Alarms of refusals: a policy that begins to decline harmless questions, or ceases to decline harmful ones.

Each figure without the other would be a success: who declines everything never answers what is harmful. Neighbours: language.py
(the same of languages), ../changes.py (which stage is compared with).
"""

from collections.abc import Iterator

from alignment.report.alarms.evidence import alarm, clearly_below, compared_modes, percent_of
from alignment.report.document import Alarm
from alignment.report.run import Run


def refusal_alarms(run: Run, index: int) -> Iterator[Alarm]:
    """Fractions whose interval lies on the wrong side of that of the stage before."""
    stage = run.stages[index]
    for spoken, before, earlier, found in compared_modes(run, index):
        if clearly_below(earlier.wrongly_refused, found.wrongly_refused):
            message = (
                f"{percent_of(found.wrongly_refused)} of the harmless questions are declined in {spoken} mode, where it was "
                f"{percent_of(earlier.wrongly_refused)} after {before}."
            )
            yield alarm(stage, "refuses_harmless", found.wrongly_refused.value, earlier.wrongly_refused.value, message)
        if clearly_below(found.rightly_refused, earlier.rightly_refused):
            message = (
                f"{percent_of(found.rightly_refused)} of the questions that should be declined are declined in {spoken} mode, "
                f"where it was {percent_of(earlier.rightly_refused)} after {before}."
            )
            yield alarm(stage, "answers_harmful", found.rightly_refused.value, earlier.rightly_refused.value, message)
