"""Alarms of refusals: a policy that begins to decline harmless questions, or ceases to decline harmful ones.

Each figure without the other would be a success: who declines everything never answers what is harmful. Neighbours: language.py
(the same of languages), ../changes.py (which stage is compared with).
"""

from collections.abc import Iterator

from alignment.core.statistics.estimate import Estimate
from alignment.core.vocabulary import MODES
from alignment.report.alarms.evidence import alarm
from alignment.report.changes import evaluated_before
from alignment.report.document import Alarm
from alignment.report.run import Run


def refusal_alarms(run: Run, index: int) -> Iterator[Alarm]:
    """Fractions whose interval lies on the wrong side of that of the stage before."""
    stage = run.stages[index]
    for mode in MODES:
        before = evaluated_before(run.stages, index, mode)
        if before is None or mode not in stage.evaluations:
            continue
        earlier, found = before.evaluations[mode].figures, stage.evaluations[mode].figures
        spoken = mode.replace("_", "-")
        if _clearly_below(earlier.wrongly_refused, found.wrongly_refused):
            message = (
                f"{_percent(found.wrongly_refused)} of the harmless questions are declined in {spoken} mode, where it was "
                f"{_percent(earlier.wrongly_refused)} after {before.name}."
            )
            yield alarm(stage, "refuses_harmless", found.wrongly_refused.value, earlier.wrongly_refused.value, message)
        if _clearly_below(found.rightly_refused, earlier.rightly_refused):
            message = (
                f"{_percent(found.rightly_refused)} of the questions that should be declined are declined in {spoken} mode, "
                f"where it was {_percent(earlier.rightly_refused)} after {before.name}."
            )
            yield alarm(stage, "answers_harmful", found.rightly_refused.value, earlier.rightly_refused.value, message)


def _clearly_below(one: Estimate, other: Estimate) -> bool:
    return one.high is not None and other.low is not None and one.high < other.low


def _percent(found: Estimate) -> str:
    return f"{found.value or 0.0:.0%}"
