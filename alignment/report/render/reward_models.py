"""The table of the report's part on reward models, for the page and for Markdown.

Neighbours: ../document.py (RewardModelSection), records/reward_model.py (the figures), process.py (the same for steps).
"""

from collections.abc import Sequence

from alignment.report import phrases
from alignment.report.document import RewardModelSection, RewardsOverSteps

LEGEND = (
    "Accuracy is the fraction of held-out pairs whose chosen answer has the higher reward. Length alone is that of preferring the "
    "longer answer; where the chosen answer is the shorter one, length is no help. A model whose accuracy falls there, or that "
    "prefers the longer answer much more often than length alone is right, has learned length."
)
HEADINGS = (
    "stage", "pairs", "accuracy %", "length alone %", "accuracy % if shorter", "prefers longer %",
    "rank correlation with length", "calibration error",
)  # fmt: skip


def table(sections: Sequence[RewardModelSection]) -> list[tuple[str, ...]]:
    """A row for each reward model, in the order of HEADINGS."""
    return [
        (
            one.stage, str(one.measured.pairs), phrases.with_interval(one.measured.accuracy),
            phrases.with_interval(one.measured.length_alone), phrases.with_interval(one.measured.accuracy_if_shorter),
            phrases.with_interval(one.measured.prefers_longer), _number(one.measured.length_correlation),
            _number(one.measured.calibration_error),
        )
        for one in sections
    ]  # fmt: skip


STEPS_LEGEND = (
    "Mean of each score in each quarter of the steps. A reward model is a proxy, which training raises in any case; where a "
    "verifier beside it stands still or falls, the two have parted."
)
STEPS_HEADINGS = ("stage", "score", "is", "first quarter", "second", "third", "last quarter")


def steps_table(rows: Sequence[RewardsOverSteps]) -> list[tuple[str, ...]]:
    """A row for each score, in the order of STEPS_HEADINGS."""
    return [(one.stage, one.name, one.role, *map(_number, one.quarters)) for one in rows]


def _number(value: float | None) -> str:
    return phrases.MISSING if value is None else f"{value:.2f}"
